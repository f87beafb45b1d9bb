//! The native peer of `cord serve`: hyper, an event loop on each core, a small answer that is always the same.
//!
//! Listens at a port that the system picks and prints it.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a server to compare with: it stands for others")]

use bytes::Bytes;
use cord_benches::event_loop;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::thread;
use tokio::task::JoinSet;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let cores = thread::available_parallelism()?.get();
    let mut threads = Vec::with_capacity(cores);
    for _ in 0..cores {
        let listener = listener.try_clone()?;
        threads.push(thread::spawn(move || event_loop().block_on(serve(listener))));
    }
    for thread in threads {
        thread.join().map_err(|_panic| io::Error::other("a thread panicked"))??;
    }
    Ok(())
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new());
                connections.spawn(builder.serve_connection(TokioIo::new(stream), service_fn(hello)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello\n")))
}
