//! A file server for one request of HTTP/1.0: `http10-files FOLDER`. The client is at standard input and output.
//!
//! Answers GET and HEAD. A folder stands for its `index.html`. A path that leaves the folder is refused even if it comes
//! back, and a client that sends more than [`MOST_HEAD_BYTES`] before an empty line is sent away.

mod answer;
mod request;

use answer::{Status, send_file, send_status};
use request::{Asked, Method};
use std::fs::File;
use std::io::{BufRead, Read, stdin, stdout};
use std::path::{Path, PathBuf};

const MOST_HEAD_BYTES: usize = 8 * 1024;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("usage: http10-files FOLDER");
    let head = read_head()?;
    let output = stdout().lock();
    let Asked { method, path } = match request::parse(&head) {
        Ok(asked) => asked,
        Err(status) => return send_status(output, status, Method::Get),
    };
    match open(Path::new(&folder), &path) {
        Some((file, path)) => send_file(output, file, &path, method),
        None => send_status(output, Status::NotFound, method),
    }
}

/// All up to the empty line. Less if the client ends before, or says too much.
fn read_head() -> std::io::Result<Vec<u8>> {
    let mut input = stdin().lock().take(MOST_HEAD_BYTES as u64);
    let mut head = Vec::new();
    loop {
        let begin = head.len();
        input.read_until(b'\n', &mut head)?;
        if head.len() == begin || matches!(&head[begin..], b"\n" | b"\r\n") {
            return Ok(head);
        }
    }
}

/// The file and where it is, if there is one.
fn open(folder: &Path, path: &str) -> Option<(File, PathBuf)> {
    let mut path = folder.join(path);
    if path.is_dir() {
        path.push("index.html");
    }
    let file = File::open(&path).ok()?;
    file.metadata().ok()?.is_file().then_some((file, path))
}
