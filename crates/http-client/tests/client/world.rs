//! Plays whoever makes connections, and the servers at their other ends.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use http_client::{Client, Connect, Connecting, RequestError, ResponseBody, Timeouts, Trust};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::task::JoinSet;

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, std::io::Error>;
pub(crate) type Answer = Response<AnyBody>;

/// Takes a connection and its number.
type Serve = dyn Fn(&World, UnixStream, usize) + Send + Sync;

/// What it remembers, and runs.
pub(crate) struct World {
    serve: Box<Serve>,
    asked: Mutex<Vec<String>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Connect for World {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let (near, far) = UnixStream::pair().unwrap();
        let nth = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(format!("{host} {port}"));
            asked.len()
        };
        (self.serve)(self, far, nth);
        Box::pin(async { Ok(OwnedFd::from(near)) })
    }
}

impl World {
    /// Every connection, from the first, is given to `serve` with its number.
    pub(crate) fn new(serve: impl Fn(&World, UnixStream, usize) + Send + Sync + 'static) -> Arc<World> {
        Arc::new(World { serve: Box::new(serve), asked: Mutex::default(), tasks: Mutex::default() })
    }

    /// Every connection leads to a server of HTTP/1.1.
    pub(crate) fn http1<H, F>(handler: H) -> Arc<World>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        World::new(move |world, far, _| {
            let handler = handler.clone();
            world.start(async move { serve_http1(tokio_stream(far), handler).await });
        })
    }

    /// Every connection leads to a server under TLS, which speaks what the client took of its offers.
    pub(crate) fn tls<H, F>(config: Arc<ServerConfig>, handler: H) -> Arc<World>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        World::new(move |world, far, _| {
            let (config, handler) = (Arc::clone(&config), handler.clone());
            world.start(async move {
                // A client that refuses the certificate goes: that is the test's to see.
                let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(tokio_stream(far)).await else {
                    return;
                };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    serve_http2(stream, handler).await;
                } else {
                    serve_http1(stream, handler).await;
                }
            });
        })
    }

    /// Every connection leads to a thread that waits for the end of a head and then says `answer`, with nothing behind it.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Arc<World> {
        let answer = answer.into();
        World::new(move |_, mut far, _| {
            let answer = answer.clone();
            std::thread::spawn(move || {
                read_head(&mut far);
                // The client may hang up before all is said.
                let _ = far.write_all(&answer);
            });
        })
    }

    pub(crate) fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap().spawn(task);
    }

    /// A client that believes nobody.
    pub(crate) fn client(self: &Arc<Self>) -> Client {
        self.trusting(Trust::nothing())
    }

    pub(crate) fn trusting(self: &Arc<Self>, trust: Trust) -> Client {
        Client::new(Arc::clone(self) as Arc<dyn Connect>, trust)
    }

    /// Where connections were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads up to the empty line; `None` if the stream ends before.
pub(crate) fn read_head(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

pub(crate) fn tokio_stream(stream: UnixStream) -> tokio::net::UnixStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(stream).unwrap()
}

pub(crate) async fn serve_http1<S, H, F>(stream: S, handler: H)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| infallible(handler(request)));
    // A client that gives up is the test's to see.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

pub(crate) async fn serve_http2<S, H, F>(stream: S, handler: H)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| infallible(handler(request)));
    let executor = Tasks(Arc::default());
    let _ = http2::Builder::new(executor).serve_connection(TokioIo::new(stream), service).await;
}

async fn infallible(answer: impl Future<Output = Answer>) -> Result<Answer, Infallible> {
    Ok(answer.await)
}

/// The streams of a server of HTTP/2.
#[derive(Clone)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().unwrap().spawn(task);
    }
}

/// An answer with this body.
pub(crate) fn ok(text: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync())
}

pub(crate) async fn get(client: &Client, uri: &str) -> Result<Response<ResponseBody>, RequestError> {
    get_within(client, uri, Timeouts::default()).await
}

pub(crate) async fn get_within(
    client: &Client,
    uri: &str,
    timeouts: Timeouts,
) -> Result<Response<ResponseBody>, RequestError> {
    client.send(Request::get(uri).body(Empty::<Bytes>::new()).unwrap(), timeouts).await
}

/// Asks and reads the whole answer.
pub(crate) async fn fetch(client: &Client, uri: &str) -> Result<Bytes, RequestError> {
    Ok(get(client, uri).await?.into_body().collect().await?.to_bytes())
}
