//! The native peers of `cord serve`: a small answer that is always the same, on an event loop for each core.
//!
//! `native-http hyper` is hyper alone. `native-http door` has the front door of `cord serve` before the same answer, so that
//! what the door costs and what the guest costs can be told apart. Both print the address that they listen at.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a server to compare with: it stands for others")]

use bytes::Bytes;
use cord_bench::event_loop;
use http_body_util::Full;
use http_server::{AccessLog, AccessRecord, Failure, FrontDoor, Handler, Limits, RequestBody, RequestInfo};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

fn main() -> io::Result<()> {
    let has_door = match std::env::args().nth(1).as_deref() {
        Some("hyper") => false,
        Some("door") => true,
        _ => return Err(io::Error::other("usage: native-http hyper|door")),
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let cores = thread::available_parallelism()?.get();
    let mut threads = Vec::with_capacity(cores);
    for _ in 0..cores {
        let listener = listener.try_clone()?;
        threads.push(thread::spawn(move || event_loop().block_on(serve(listener, has_door))));
    }
    for thread in threads {
        thread.join().map_err(|_panic| io::Error::other("a thread panicked"))??;
    }
    Ok(())
}

async fn serve(listener: TcpListener, has_door: bool) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = listener.local_addr()?;
    let door = FrontDoor::new(Arc::new(Hello), Arc::new(Unread), None, Limits::default());
    let (_stop, drain) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, client) = accepted?;
                if has_door {
                    connections.spawn(through(door.clone(), stream, client, server, drain.clone()));
                } else {
                    connections.spawn(alone(stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn alone(stream: TcpStream) {
    // A client that breaks off is no fault of the others.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello\n")))
}

async fn through(
    door: FrontDoor<Hello, Unread>,
    stream: TcpStream,
    client: SocketAddr,
    server: SocketAddr,
    drain: watch::Receiver<bool>,
) {
    if let Ok(stream) = stream.into_std() {
        door.serve(stream.into(), client, server, drain).await;
    }
}

struct Hello;

impl Handler for Hello {
    type Body = Full<Bytes>;

    async fn handle(&self, _: Request<RequestBody>, _: RequestInfo) -> Result<Response<Self::Body>, Failure> {
        Ok(Response::new(Full::from("hello\n")))
    }
}

/// Records that nobody writes down, as with `--access-log off`.
struct Unread;

impl AccessLog for Unread {
    fn record(&self, _: AccessRecord) {}
}
