//! Writes answers.

use crate::request::Method;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Result, Write, copy};
use std::path::Path;

#[derive(Clone, Copy)]
pub(crate) enum Status {
    BadRequest,
    Forbidden,
    NotFound,
    NotImplemented,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::NotImplemented => "501 Not Implemented",
        }
    }
}

/// Says why there is no file.
pub(crate) fn send_status(mut output: impl Write, status: Status, method: Method) -> Result<()> {
    let line = status.line();
    let body = format!("{line}\n");
    send_head(&mut output, line, "text/plain", body.len() as u64)?;
    if method == Method::Get {
        output.write_all(body.as_bytes())?;
    }
    output.flush()
}

/// Sends a file, or for HEAD only what it would be.
pub(crate) fn send_file(mut output: impl Write, mut file: File, path: &Path, method: Method) -> Result<()> {
    let length = file.metadata()?.len();
    send_head(&mut output, "200 OK", content_type(path), length)?;
    if method == Method::Get {
        copy(&mut file, &mut output)?;
    }
    output.flush()
}

fn send_head(output: &mut impl Write, line: &str, content_type: &str, length: u64) -> Result<()> {
    write!(output, "HTTP/1.0 {line}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n")
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(OsStr::to_str) {
        Some("html") => "text/html",
        Some("txt") => "text/plain",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
