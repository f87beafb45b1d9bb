//! A runner played by a program, on the handle that is its standard input: `rival flood KIND` asks as fast as it can and
//! for ever, and says `flooding` when it has begun; `rival measure COUNT LABEL=VALUE...` connects one after another and prints the nanoseconds that each took.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of the tests, that fails them")]

use capability::{Constraint, Labels};
use client::Handle;
use protocol::Message;
use protocol::message::{Request, RequestBody, RequestId, Response, ResponseBody};
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let handle = fdpass::take_stdin().unwrap();
    match words.as_slice() {
        ["flood", kind, labels @ ..] => flood(handle, kind, &parse(labels)),
        ["measure", count, labels @ ..] => measure(handle, count.parse().unwrap(), &parse(labels)),
        _ => panic!("{words:?}"),
    }
}

fn parse(words: &[&str]) -> Labels {
    Labels::try_from_pairs(words.iter().map(|word| word.split_once('=').unwrap())).unwrap()
}

/// So long it does something else between two connections. Otherwise it would be another flood.
const PAUSE: Duration = Duration::from_micros(300);

/// Connects `count` times, each time a while after the last connection is closed.
fn measure(handle: OwnedFd, count: usize, labels: &Labels) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let handle = Handle::new(handle).unwrap();
        let server = handle.serve(labels).await.unwrap();
        for _ in 0..count {
            std::thread::sleep(PAUSE);
            let started = now();
            let connection = handle.connect(labels).await.unwrap();
            println!("{}", started.elapsed().as_nanos());
            drop((connection, server.accept().await.unwrap()));
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "what this program is for")]
fn now() -> Instant {
    Instant::now()
}

/// Asks for what is refused, for ever. `KIND`: `one` handle, `many` handles, `deaf` (many, of which nothing is read),
/// `large` requests.
fn flood(handle: OwnedFd, kind: &str, labels: &Labels) {
    let (handles, reads) = match kind {
        "one" | "large" => (vec![handle], true),
        "many" => (weaker(&handle, 500), true),
        "deaf" => (weaker(&handle, 500), false),
        _ => panic!("{kind}"),
    };
    let request = |id| {
        let body = if kind == "large" { large() } else { RequestBody::ClientConnect(labels.clone()) };
        Request { id: RequestId(id), body }.encode().unwrap()
    };
    let mut packets = (1..).map(request);
    let mut buffer = vec![0; protocol::MAX_MESSAGE_BYTES];
    let mut says = Some("flooding");
    loop {
        for handle in &handles {
            let packet = packets.next().unwrap();
            while fdpass::send(handle.as_fd(), &packet, &[]).is_ok() {}
            while reads && fdpass::receive(handle.as_fd(), &mut buffer, 1).is_ok() {}
        }
        says.take().into_iter().for_each(|text| println!("{text}"));
        let interest = if reads { PollFlags::IN | PollFlags::OUT } else { PollFlags::OUT };
        let mut waits: Vec<PollFd<'_>> = handles.iter().map(|handle| PollFd::new(handle, interest)).collect();
        poll(&mut waits, None).unwrap();
    }
}

fn weaker(handle: &OwnedFd, count: u64) -> Vec<OwnedFd> {
    let mut all = Vec::new();
    let mut buffer = vec![0; protocol::MAX_MESSAGE_BYTES];
    for id in 0..count {
        let rights = [capability::Right::ClientConnect].into_iter().collect();
        let body = RequestBody::Constrain(Constraint { rights, ..Constraint::default() });
        fdpass::send(handle.as_fd(), &Request { id: RequestId(id), body }.encode().unwrap(), &[]).unwrap();
        poll(&mut [PollFd::new(handle, PollFlags::IN)], None).unwrap();
        let packet = fdpass::receive(handle.as_fd(), &mut buffer, 1).unwrap();
        let response = Response::decode(&buffer[..packet.length]).unwrap();
        assert_eq!(response.body, ResponseBody::Handle);
        all.extend(packet.descriptors.unwrap());
    }
    all
}

/// As much as a message holds, all of which must be read before it can be refused.
fn large() -> RequestBody {
    use capability::{Grant, Pattern, Right};
    let grant = |number: usize| {
        (0..16).fold(Grant::new(Right::ClientConnect), |grant, key| {
            grant.with(&format!("k{key}"), Pattern::exact(&format!("{number}")).unwrap()).unwrap()
        })
    };
    let grants = Some((0..256).map(grant).collect());
    RequestBody::Constrain(Constraint { rights: capability::Rights::ALL, grants, ..Constraint::default() })
}
