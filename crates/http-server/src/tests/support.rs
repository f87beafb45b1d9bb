//! A front door with a handler made of a closure, clients that speak raw bytes, and a runtime that counts descriptors.

use crate::{AccessLog, AccessRecord, Failure, FrontDoor, Handler, Limits, RequestBody, RequestInfo};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than any test takes that does not wait for what never comes.
const TOO_LONG: Duration = Duration::from_secs(100_000);

/// Held while a test runs, because descriptors are counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `test` on the real clock.
pub(super) fn alone(test: impl Future<Output = ()>) {
    run(Builder::new_current_thread().enable_all(), test);
}

/// Runs `test` on a clock that stands still while anything can be done, and otherwise jumps to the next timer.
pub(super) fn on_paused_clock(test: impl Future<Output = ()>) {
    run(Builder::new_current_thread().enable_all().start_paused(true), test);
}

fn run(builder: &mut Builder, test: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime opens what all of them share, and keeps it.
    drop(builder.build().expect("a runtime can be built"));
    let open_descriptors = || std::fs::read_dir("/proc/self/fd").expect("/proc is there").count();
    let before = open_descriptors();
    let runtime = builder.build().expect("a runtime can be built");
    runtime.block_on(async { timeout(TOO_LONG, test).await }).expect("the test ends");
    drop(runtime);
    assert_eq!(open_descriptors(), before, "descriptors after and before the test");
}

pub(super) type Failed = Box<dyn Error + Send + Sync>;
pub(super) type AnyBody = UnsyncBoxBody<Bytes, Failed>;
pub(super) type Answered = Result<Response<AnyBody>, Failure>;

/// A body of one piece.
pub(super) fn whole(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

pub(super) fn nothing() -> AnyBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that comes from elsewhere, piece by piece, of a length that nobody knows.
pub(super) fn piecewise() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, Failed>>, AnyBody) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Received(receiver).boxed_unsync())
}

/// A body of these pieces.
pub(super) fn pieces(frames: impl IntoIterator<Item = Result<Frame<Bytes>, Failed>>) -> AnyBody {
    let (sender, body) = piecewise();
    for frame in frames {
        sender.send(frame).expect("the body is there");
    }
    body
}

pub(super) fn data(text: impl Into<Bytes>) -> Result<Frame<Bytes>, Failed> {
    Ok(Frame::data(text.into()))
}

struct Received(mpsc::UnboundedReceiver<Result<Frame<Bytes>, Failed>>);

impl Body for Received {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        self.0.poll_recv(cx)
    }
}

pub(super) fn ok(body: AnyBody) -> Answered {
    Ok(Response::new(body))
}

/// Notifies when it is dropped.
pub(super) struct Tell(pub(super) Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// One type for all handlers, so that the server is compiled once.
pub(super) struct Closure(Box<dyn Fn(Request<RequestBody>, RequestInfo) -> Answering + Send + Sync>);

impl Handler for Closure {
    type Body = AnyBody;

    fn handle(&self, request: Request<RequestBody>, info: RequestInfo) -> impl Future<Output = Answered> + Send {
        (self.0)(request, info)
    }
}

/// Keeps all records.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<AccessRecord>>);

impl AccessLog for Kept {
    fn record(&self, record: AccessRecord) {
        self.0.lock().expect("nobody panicked").push(record);
    }
}

/// A front door and the connections through it.
pub(super) struct Door {
    front: FrontDoor<Closure, Kept>,
    kept: Arc<Kept>,
    stop: watch::Sender<bool>,
    connections: JoinSet<()>,
}

impl Door {
    pub(super) fn new<F, A>(handler: F) -> Self
    where
        F: Fn(Request<RequestBody>, RequestInfo) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        Self::with(Limits::default(), None, handler)
    }

    pub(super) fn with<F, A>(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>, handler: F) -> Self
    where
        F: Fn(Request<RequestBody>, RequestInfo) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let kept = Arc::new(Kept::default());
        let handler = Closure(Box::new(move |request, info| Box::pin(handler(request, info))));
        let front = FrontDoor::new(Arc::new(handler), Arc::clone(&kept), tls, limits);
        Self { front, kept, stop: watch::Sender::new(false), connections: JoinSet::new() }
    }

    /// A client that is connected.
    pub(super) fn connect(&mut self) -> Client {
        let (client, server) = pair();
        self.serve(server.into(), client.local_addr().expect("it is connected"));
        Client::over(client)
    }

    /// A client on a socket pair, as the switchboard makes them. What one end reads makes room for the other at once.
    pub(super) fn connect_by_pair(&mut self) -> Client {
        let (client, server) = UnixStream::pair().expect("a pair of sockets can be made");
        self.serve(server.into(), "192.0.2.2:1".parse().expect("an address"));
        Client::over(OwnedFd::from(client).into())
    }

    fn serve(&mut self, socket: OwnedFd, client: SocketAddr) {
        let (front, drain) = (self.front.clone(), self.stop.subscribe());
        let server = "192.0.2.1:80".parse().expect("an address");
        self.connections.spawn(async move { front.serve(socket, client, server, drain).await });
    }

    /// Tells all connections to end.
    pub(super) fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until all connections have ended, and tells what was recorded.
    pub(super) async fn ended(&mut self) -> Vec<AccessRecord> {
        while let Some(ended) = self.connections.join_next().await {
            ended.expect("nothing panicked");
        }
        self.records()
    }

    pub(super) fn records(&self) -> Vec<AccessRecord> {
        std::mem::take(&mut *self.kept.0.lock().expect("nobody panicked"))
    }
}

/// Two ends of a TCP connection: who connected, who accepted.
#[expect(clippy::disallowed_methods, reason = "both ends of the connection under test")]
pub(super) fn pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    let client = std::net::TcpStream::connect(address).expect("somebody listens");
    // On a paused clock nothing may wait for the system's own timers.
    client.set_nodelay(true).expect("an option of TCP");
    (client, listener.accept().expect("somebody connected").0)
}

/// A client that says what it is told to, and understands as much of HTTP/1.1 as is needed to.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The one value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there once");
        value
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

impl Client {
    fn over(socket: std::net::TcpStream) -> Self {
        socket.set_nonblocking(true).expect("the mode can be set");
        Self { stream: TcpStream::from_std(socket).expect("it is a socket"), read: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server is there");
    }

    /// A request with nothing special about it, and its answer.
    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: example.com\r\n\r\n")).await;
        self.reply().await
    }

    /// The next answer, to something else than HEAD.
    pub(super) async fn reply(&mut self) -> Reply {
        self.reply_to("GET").await
    }

    pub(super) async fn reply_to(&mut self, method: &str) -> Reply {
        let head = self.head().await;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("there is a first line");
        let status = status_line.split(' ').nth(1).expect("there is a status").parse().expect("it is a number");
        let fields = lines.map(|line| line.split_once(": ").expect("it is a field"));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut reply = Reply { status, fields, body: Vec::new() };
        let is_bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        reply.body = if is_bodiless {
            Vec::new()
        } else if let Some(length) = reply.field("content-length") {
            self.take(length.parse().expect("it is a number")).await
        } else if reply.field("transfer-encoding") == Some("chunked") {
            self.chunks().await.expect("the body is whole")
        } else {
            self.rest().await.expect("the connection ends well")
        };
        reply
    }

    /// The next head, without the empty line.
    pub(super) async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).take(end).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            let count = self.stream.read_buf(&mut self.read).await.expect("the server is there");
            assert_ne!(count, 0, "the connection ended in a head: {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    pub(super) async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            let more = self.stream.read_buf(&mut self.read).await.expect("the server is there");
            assert_ne!(more, 0, "the connection ended in a body");
        }
        self.read.drain(..count).collect()
    }

    /// A chunked body. Its trailers, with the empty line, stay to be read.
    pub(super) async fn chunks(&mut self) -> Result<Vec<u8>, io::Error> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let length = usize::from_str_radix(&line, 16).expect("it is the length of a chunk");
            if length == 0 {
                if self.read.starts_with(b"\r\n") {
                    self.read.drain(..2);
                }
                return Ok(body);
            }
            body.extend(self.take(length).await);
            assert_eq!(self.line().await?, "");
        }
    }

    async fn line(&mut self) -> Result<String, io::Error> {
        loop {
            if let Some(end) = self.read.windows(2).position(|window| window == b"\r\n") {
                let line = self.read.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8(line).expect("it is text"));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// All that comes until the connection ends.
    pub(super) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.read).await?;
        Ok(std::mem::take(&mut self.read))
    }

    /// The connection ends here, well and with nothing more said.
    pub(super) async fn sees_the_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest().await.expect("it ends well")), "");
    }

    pub(super) fn end_writing(&self) {
        rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write).expect("it is connected");
    }

    /// Closes the connection with a reset.
    pub(super) fn reset(self) {
        self.stream.set_zero_linger().expect("an option of TCP");
    }
}

/// All of a request's body, or why not.
pub(super) async fn collect(body: &mut RequestBody) -> Result<Bytes, crate::BodyError> {
    Ok(body.collect().await?.to_bytes())
}

/// A body that never ends, one piece at a time.
pub(super) fn endless(piece: &'static [u8]) -> AnyBody {
    struct Endless(Bytes);
    impl Body for Endless {
        type Data = Bytes;
        type Error = Failed;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
            Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
        }
    }
    Endless(Bytes::from_static(piece)).boxed_unsync()
}
