//! Bytes of a client to the HTTP front door, in pieces as the input says: nothing panics, every connection ends, what
//! reaches the handler is as [`Handler`] promises and within the limits, and every answer is of one request on record.
#![no_main]

use bytes::Bytes;
use http::{Method, Request, Response, Version, header};
use http_body_util::{BodyExt, Full};
use http_server::{AccessLog, AccessRecord, Failure, FrontDoor, Handler, Limits, RequestBody, RequestInfo};
use libfuzzer_sys::fuzz_target;
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Longer than all time limits of one connection, one after the other.
const TOO_LONG: Duration = Duration::from_secs(100_000);

/// Only the handler gives it. Its value is the number of the call.
const CALL: &str = "x-call";

/// Fields that concern only a connection, so that no handler sees them.
const OF_CONNECTION: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
}

/// So small that they are met.
fn limits() -> Limits {
    Limits { head_bytes: 1024, head_fields: 12, target_bytes: 256, streams: 3, ..Limits::default() }
}

/// What the first byte of an input decides; the two after it are the lengths of the pieces.
#[derive(Clone, Copy)]
struct Manner(u8);

impl Manner {
    fn reads_body(self) -> bool {
        self.0 & 1 == 0
    }

    fn fails(self) -> bool {
        self.0 & 2 != 0
    }

    fn hangs_up(self) -> bool {
        self.0 & 4 != 0
    }

    fn drains(self) -> bool {
        self.0 & 8 != 0
    }
}

struct Checking {
    manner: Manner,
    /// No more than this can be in all bodies together.
    sent: usize,
    calls: AtomicU64,
    running: AtomicUsize,
    body_bytes: AtomicUsize,
}

/// Counts a call as running until its future is gone.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler for Checking {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<RequestBody>, info: RequestInfo) -> Result<Response<Self::Body>, Failure> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        let _running = Running(&self.running);
        check_request(&request, &info);
        let most = if request.version() == Version::HTTP_2 { limits().streams as usize } else { 1 };
        assert!(running <= most, "{running} requests are under way");
        if self.manner.reads_body() {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Failure::Broken)?;
                let count = frame.data_ref().map_or(0, Bytes::len);
                let all = self.body_bytes.fetch_add(count, Ordering::Relaxed) + count;
                assert!(all <= self.sent, "more came than was sent");
            }
        }
        if self.manner.fails() && call % 2 == 1 {
            return Err(Failure::NoRoom);
        }
        Ok(Response::builder().header(CALL, call).body(Full::from("fine")).expect("the parts are good"))
    }
}

fn check_request(request: &Request<RequestBody>, info: &RequestInfo) {
    let (uri, fields) = (request.uri(), request.headers());
    assert_eq!(uri.scheme_str(), Some("http"), "{uri}");
    let authority = uri.authority().expect("every request has an authority").as_str();
    assert!(!authority.is_empty() && !authority.contains(['@', '/', ' ']), "{authority:?}");
    let hosts: Vec<_> = fields.get_all(header::HOST).iter().collect();
    assert_eq!(hosts, [authority], "one host field, and it is the authority");
    assert!(uri.path().starts_with('/') || (uri.path() == "*" && request.method() == Method::OPTIONS), "{uri}");
    assert_ne!(request.method(), Method::CONNECT);
    let ids: Vec<_> = fields.get_all("x-request-id").iter().collect();
    assert_eq!(ids, [info.id.as_str()]);
    for name in OF_CONNECTION {
        assert!(!fields.contains_key(name), "{name}");
    }
    assert!(fields.get_all(header::TE).iter().all(|value| value == "trailers"));
    let limits = limits();
    assert!(uri.path_and_query().is_none_or(|path| path.as_str().len() <= limits.target_bytes));
    let of_client = || fields.iter().filter(|(name, _)| *name != header::HOST && *name != "x-request-id");
    assert!(of_client().count() <= limits.head_fields);
    assert!(of_client().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() <= limits.head_bytes);
}

#[derive(Default)]
struct Kept(Mutex<Vec<AccessRecord>>);

impl AccessLog for Kept {
    fn record(&self, record: AccessRecord) {
        for line in [record.common_log(), record.json()] {
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        }
        self.0.lock().expect("nobody panicked").push(record);
    }
}

/// Sends and reads at once, until the server has said all. `pieces` are lengths that take turns; zero is all that is left.
async fn client(socket: UnixStream, manner: Manner, mut pieces: [usize; 2], mut bytes: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = socket.into_split();
    let sending = async move {
        while !bytes.is_empty() {
            let length = if pieces[0] == 0 { bytes.len() } else { pieces[0].min(bytes.len()) };
            let (piece, rest) = bytes.split_at(length);
            if writer.write_all(piece).await.is_err() {
                break;
            }
            // The server reads each piece by itself.
            yield_now().await;
            pieces.reverse();
            bytes = rest;
        }
        if manner.hangs_up() {
            drop(writer);
        } else {
            writer.forget();
        }
    };
    let receiving = async move {
        let mut answers = Vec::new();
        // A reset is an end, too.
        let _ = reader.read_to_end(&mut answers).await;
        answers
    };
    tokio::join!(sending, receiving).1
}

/// Each answer of HTTP/1 is that of the next request on record; an answer of the handler is of a call that was made, and
/// no call has two.
fn check_answers(mut answers: &[u8], records: &[AccessRecord], calls: u64) {
    let mut answered = records.iter().filter(|record| record.status != AccessRecord::CLIENT_GONE);
    let mut next_call = 0;
    while let Some(end) = answers.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = std::str::from_utf8(&answers[..end]).expect("the head of an answer is text");
        answers = &answers[end + 4..];
        let mut lines = head.split("\r\n");
        let (version, status) = lines.next().and_then(|line| line.split_once(' ')).expect("there is a status line");
        assert!(matches!(version, "HTTP/1.0" | "HTTP/1.1"), "{head}");
        let status: u16 = status.get(..3).and_then(|digits| digits.parse().ok()).expect("a status has three digits");
        if status < 200 {
            continue;
        }
        let record = answered.next().expect("an answer is on record");
        assert_eq!(status, record.status, "{head}");
        let mut length = 0;
        for (name, value) in lines.map(|line| line.split_once(": ").expect("a field has a value")) {
            match name {
                "content-length" => length = value.parse().expect("a length is a number"),
                CALL => {
                    let call: u64 = value.parse().expect("the handler gave a number");
                    assert!(call >= next_call && call < calls, "call {call} of {calls}, after {next_call}");
                    next_call = call + 1;
                }
                _ => {}
            }
        }
        if record.line.as_ref().is_none_or(|line| line.method != Method::HEAD) {
            // The last may be broken off.
            answers = answers.get(length..).unwrap_or_default();
        }
    }
}

fn check(input: &[u8]) {
    let Some((&[manner, first, second], bytes)) = input.split_first_chunk() else {
        return;
    };
    let manner = Manner(manner);
    let handler = Arc::new(Checking {
        manner,
        sent: bytes.len(),
        calls: AtomicU64::new(0),
        running: AtomicUsize::new(0),
        body_bytes: AtomicUsize::new(0),
    });
    let kept = Arc::new(Kept::default());
    let door = FrontDoor::new(Arc::clone(&handler), Arc::clone(&kept), None, limits());
    let (ours, theirs) = Socket::pair().expect("a pair of sockets can be made");
    let (stop, drain) = watch::channel(manner.drains());
    let addresses = ("192.0.2.2:1".parse().expect("an address"), "192.0.2.1:80".parse().expect("an address"));
    let answers = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            ours.set_nonblocking(true).expect("the mode can be set");
            let ours = UnixStream::from_std(ours).expect("it is a socket");
            let serving = door.serve(theirs.into(), addresses.0, addresses.1, drain);
            let pieces = [first, second].map(usize::from);
            let both = async { tokio::join!(serving, client(ours, manner, pieces, bytes)).1 };
            timeout(TOO_LONG, both).await.expect("every connection ends")
        })
    });
    drop(stop);
    assert_eq!(handler.running.load(Ordering::Relaxed), 0, "no request outlives its connection");
    let records = kept.0.lock().expect("nobody panicked");
    let calls = handler.calls.load(Ordering::Relaxed);
    let understood = records.iter().filter(|record| record.line.is_some()).count() as u64;
    assert!(calls <= understood, "{calls} calls, {understood} requests on record");
    if !bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
        check_answers(&answers, &records, calls);
    }
}

fuzz_target!(|input: &[u8]| check(input));
