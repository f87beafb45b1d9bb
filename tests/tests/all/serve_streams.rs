//! Bodies much larger than any buffer: they flow, at the speed of the slower side, and memory stays as it is.

use cord_tests::http::{curl, read_head, read_rest};
use cord_tests::process::{Running, written_bytes};
use cord_tests::published::connect;
use cord_tests::services::Service;
use cord_tests::wait;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;

const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];
const GIBIBYTE: u64 = 1 << 30;
const CHUNK_BYTES: usize = 256 * 1024;
/// More than one instance and all buffers on the way need, and far less than a body.
const SPARE_BYTES: u64 = 24 << 20;

/// The largest number of bytes that both processes have had of their own while `work` was done, above those before it.
fn growth<T: Send>(service: &Service, work: impl FnOnce() -> T + Send) -> (T, u64) {
    let bytes = || service.processes().into_iter().map(written_bytes).sum::<u64>();
    let before = bytes();
    let (is_over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(bytes(), Ordering::Relaxed);
                wait::moment();
            }
        });
        // Also if the work fails.
        let _end = SetAtEnd(&is_over);
        work()
    });
    (done, most.into_inner().saturating_sub(before))
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A chunk of a body that is different at every place.
fn chunk(at: u64) -> Vec<u8> {
    let mut state = at | 1;
    let mut words = Vec::with_capacity(CHUNK_BYTES);
    while words.len() < CHUNK_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.extend_from_slice(&state.to_le_bytes());
    }
    words
}

/// FNV-1a, as the guests compute it.
fn add(checksum: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *checksum = (*checksum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

/// Sends a gibibyte to a page. Its checksum.
fn upload(mut stream: &TcpStream, page: &str) -> u64 {
    write!(stream, "POST {page} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {GIBIBYTE}\r\n\r\n")
        .unwrap();
    let mut checksum = 0xcbf2_9ce4_8422_2325;
    for at in (0..GIBIBYTE).step_by(CHUNK_BYTES) {
        let chunk = chunk(at);
        add(&mut checksum, &chunk);
        stream.write_all(&chunk).unwrap();
    }
    checksum
}

#[test]
fn a_gibibyte_is_read_by_a_guest_with_flat_memory() {
    for guest in SITES {
        // It answers only when it has read everything.
        let service = Service::http(&["--timeout", "1h"], guest, &[]);
        curl(&["--data", "abcd", &service.url("/sum")]).expect(200, "4 fc179f83ee0724dd\n");
        let (answer, grown) = growth(&service, || {
            let mut stream = connect(service.address());
            let checksum = upload(&stream, "/sum");
            (checksum, read_rest(&mut stream))
        });
        let (checksum, answer) = answer;
        assert!(answer.contains(&format!("{GIBIBYTE} {checksum:016x}\n")), "{guest}: {checksum:016x}: {answer}");
        assert!(grown < SPARE_BYTES, "{guest}: {grown} bytes more");
    }
}

#[test]
fn a_gibibyte_goes_through_a_guest_and_comes_back_with_flat_memory() {
    for (guest, page) in [("http-site.wasm", "/echo"), ("http-site-p3.wasm", "/echo"), ("http-site-p3.wasm", "/copy")] {
        let service = Service::http(&[], guest, &[]);
        curl(&["--data", "abcd", &service.url(page)]).expect(200, "abcd");
        let ((sent, received), grown) = growth(&service, || {
            let mut stream = connect(service.address());
            scope(|scope| {
                let sender = stream.try_clone().unwrap();
                let sent = scope.spawn(move || upload(&sender, page));
                let head = read_head(&mut stream);
                assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{guest}: {head}");
                let received = download(&mut stream, &head);
                (sent.join().unwrap(), received)
            })
        });
        assert_eq!(received, (GIBIBYTE, sent), "{guest} {page}");
        assert!(grown < SPARE_BYTES, "{guest} {page}: {grown} bytes more");
    }
}

/// Reads a body to its end, in chunks or of a known length: its length and its checksum.
fn download(stream: &mut TcpStream, head: &str) -> (u64, u64) {
    let mut input = BufReader::with_capacity(CHUNK_BYTES, stream);
    let (mut length, mut checksum) = (0, 0xcbf2_9ce4_8422_2325);
    let mut data = vec![0; CHUNK_BYTES];
    if head.to_lowercase().contains(&format!("\r\ncontent-length: {GIBIBYTE}\r\n")) {
        while length < GIBIBYTE {
            input.read_exact(&mut data).unwrap();
            add(&mut checksum, &data);
            length += data.len() as u64;
        }
        return (length, checksum);
    }
    assert!(head.to_lowercase().contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    loop {
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        let size =
            usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?} after {length} bytes"));
        data.resize(size + 2, 0);
        input.read_exact(&mut data).unwrap();
        add(&mut checksum, &data[..size]);
        length += size as u64;
        if size == 0 {
            return (length, checksum);
        }
    }
}

#[test]
fn large_bodies_by_http_2() {
    const BYTES: usize = 128 << 20;
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let folder = tempfile::tempdir().unwrap();
        let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
        let body: Vec<u8> = (0..BYTES as u64).step_by(CHUNK_BYTES).flat_map(chunk).collect();
        std::fs::write(&sent, &body).unwrap();
        let echo = || {
            let mut curl = Command::new("curl");
            curl.args(["--disable", "--silent", "--show-error", "--http2-prior-knowledge", "-X", "POST", "-T"]);
            curl.arg(&sent).arg("-o").arg(&received).args([
                "-w",
                "%{http_code} %{http_version}",
                &service.url("/echo"),
            ]);
            Running::start(curl.stdin(Stdio::null()).stderr(Stdio::piped())).wait()
        };
        let (outcome, grown) = growth(&service, echo);
        outcome.expect_silent_success().expect_stdout("200 2");
        assert!(std::fs::read(&received).unwrap() == body, "{guest}: another body came back");
        assert!(grown < SPARE_BYTES, "{guest}: {grown} bytes more");
    }
}

#[test]
fn a_client_that_reads_a_byte_a_second_disturbs_nobody() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        curl(&[&service.url("/count")]).expect(200, "1\n");
        let slow: Vec<TcpStream> = (0..8).map(|_| connect(service.address())).collect();
        for mut client in &slow {
            write!(client, "GET /big?bytes={GIBIBYTE} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        // One byte now and then, as slowly as others are served.
        let ((), grown) = growth(&service, || {
            for _ in 0..40 {
                curl(&[&service.url("/count")]).expect(200, "1\n");
                curl(&["--http2-prior-knowledge", &service.url("/count")]).expect(200, "1\n");
                for mut client in &slow {
                    client.read_exact(&mut [0]).unwrap();
                }
            }
        });
        assert!(grown < 8 * SPARE_BYTES, "{guest}: {grown} bytes more for 8 clients that do not take theirs");
        // What they have not taken is still coming.
        for mut client in &slow {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
        }
    }
}

#[test]
fn clients_that_send_slowly_disturb_nobody() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let mut slow: Vec<TcpStream> = (0..20).map(|_| connect(service.address())).collect();
        for client in &mut slow {
            write!(client, "POST /sum HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n").unwrap();
        }
        for byte in *b"abcd" {
            for client in &mut slow {
                client.write_all(&[byte]).unwrap();
            }
            curl(&[&service.url("/count")]).expect(200, "1\n");
        }
        for client in &mut slow {
            let answer = read_rest(client);
            assert!(answer.contains("4 fc179f83ee0724dd\n"), "{guest}: {answer}");
        }
    }
}

#[test]
fn a_guest_that_reads_nothing_is_sent_no_more_than_buffers_hold() {
    for guest in SITES {
        let service = Service::http(&["--timeout", "1h"], guest, &[]);
        let mut client = connect(service.address());
        write!(client, "POST /sleep-forever HTTP/1.1\r\nHost: a\r\nContent-Length: {GIBIBYTE}\r\n\r\n").unwrap();
        service.wait_for_log("about to sleep");
        let (sent, grown) = growth(&service, || fill(&client));
        assert!(sent < GIBIBYTE / 8, "{guest}: {sent} bytes were taken");
        assert!(grown < SPARE_BYTES, "{guest}: {grown} bytes more");
        curl(&[&service.url("/count")]).expect(200, "1\n");
    }
}

/// Sends until for a while nothing more is taken. How much that was.
fn fill(client: &TcpStream) -> u64 {
    client.set_nonblocking(true).unwrap();
    let (mut sent, mut refused) = (0, 0);
    let data = vec![b'x'; CHUNK_BYTES];
    while refused < 100 && sent < GIBIBYTE {
        match (&*client).write(&data) {
            Ok(length) => {
                sent += length as u64;
                refused = 0;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                wait::moment();
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}
