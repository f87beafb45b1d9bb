//! A connection, its first byte, an echo, and its end: through the switchboard and beside it, in the same run.
//!
//! `tcp-loopback` is the peer of both others: a thread that accepts and echoes, as a service would. `service` is the same
//! conversation over the socket pair that the switchboard made; `egress` is it over a TCP socket that the egress dialled.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use capability::Labels;
use client::{Connection, Handle};
use cord_benches::{Broker, event_loop};
use criterion::{Criterion, criterion_group, criterion_main};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

fn echo(mut stream: impl Read + Write) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        stream.write_all(&byte).unwrap();
    }
}

fn converse(mut stream: impl Read + Write) {
    let mut byte = [7];
    stream.write_all(&byte).unwrap();
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [7]);
}

/// A thread that serves one connection after the other.
#[expect(clippy::disallowed_methods, reason = "the peer that is measured is a plain listener")]
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| echo(stream.unwrap())));
    address
}

fn blocking(socket: OwnedFd) -> UnixStream {
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).unwrap();
    stream
}

fn connect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("connect+echo+close");

    let address = echo_server();
    #[expect(clippy::disallowed_methods, reason = "the peer that is measured is a plain connect")]
    group.bench_function("tcp-loopback", |bench| bench.iter(|| converse(TcpStream::connect(address).unwrap())));

    let mut broker = Broker::start();
    let runtime = event_loop();
    let handle = runtime.block_on(async { Handle::new(broker.take_handle()).unwrap() });
    let service = Labels::try_from_pairs([("network", "bench"), ("service", "echo")]).unwrap();
    let server = runtime.block_on(async {
        let weaker = capability::Constraint {
            rights: capability::Rights::only(capability::Right::ServerStart),
            ..capability::Constraint::default()
        };
        handle.constrain(&weaker).await.unwrap()
    });
    let serving = service.clone();
    thread::spawn(move || {
        let runtime = event_loop();
        let server = runtime.block_on(async { Handle::new(server).unwrap().serve(&serving).await.unwrap() });
        while let Some(Connection { socket, .. }) = runtime.block_on(server.accept()) {
            echo(blocking(socket));
        }
    });
    // Until the service is there.
    while runtime.block_on(handle.list(&service)).unwrap().is_empty() {}
    group.bench_function("service", |bench| {
        bench.iter(|| converse(blocking(runtime.block_on(handle.connect(&service)).unwrap().socket)));
    });

    let port = address.port().to_string();
    let outside =
        [("transport", "tcp"), ("network", "outside"), ("server_address", "127.0.0.1"), ("server_port", &port)];
    let outside = Labels::try_from_pairs(outside).unwrap();
    group.bench_function("egress", |bench| {
        bench.iter(|| converse(blocking(runtime.block_on(handle.connect(&outside)).unwrap().socket)));
    });
    group.finish();
    drop(handle);
}

criterion_group!(benches, connect);
criterion_main!(benches);
