//! One connection of the pool: asked for, put under TLS if it must be, counted.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::address;
use crate::classify::{Phase, classify};
use crate::connect::{Connect, ConnectError};
use crate::error::{RequestError, TlsError};
use crate::stream::{self, Duplex};
use crate::trust::Trust;

/// Connections that one client has at once, those that wait for a request included: each is an open descriptor.
pub const MAX_CONNECTIONS: usize = 1024;

/// How long a connection that is one too many waits for room: longer than an unused one is kept.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// The longest that a connection may take, TLS included, whatever a request allows: also one that no request waits for any
/// more, because another connection was free sooner.
pub const LONGEST_CONNECT: Duration = Duration::from_secs(600);

/// Makes the connections of one client.
#[derive(Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    connect: Arc<dyn Connect>,
    trust: Trust,
    room: Arc<Semaphore>,
}

/// A connection of the pool.
pub(crate) struct Dialled {
    stream: Box<dyn Duplex>,
    has_h2: bool,
    served: Served,
    _room: OwnedSemaphorePermit,
}

/// Whether a connection has brought a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Served(Arc<AtomicBool>);

/// Why there is no such connection. The requests that wait for it get copies.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the connection ended during the handshake")]
    Lost,
}

impl Connector {
    pub(crate) fn new(connect: Arc<dyn Connect>, trust: Trust) -> Connector {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Connector { shared: Arc::new(Shared { connect, trust, room }) }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Dialled>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Dialled>, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let dialled = timeout(LONGEST_CONNECT, shared.dial(&uri)).await;
            dialled.unwrap_or_else(|_late| Err(ConnectError::TimedOut.into())).map(TokioIo::new)
        })
    }
}

impl Shared {
    async fn dial(&self, uri: &Uri) -> Result<Dialled, DialError> {
        let (host, port) = address::host_and_port(uri).ok_or(ConnectError::NotAHost)?;
        let room = timeout(ROOM_WAIT, Arc::clone(&self.room).acquire_owned()).await;
        let Ok(Ok(room)) = room else { return Err(ConnectError::LimitReached.into()) };
        let name = match uri.scheme() == Some(&Scheme::HTTPS) {
            true => Some(server_name(host)?),
            false => None,
        };
        let socket = self.connect.connect(host, port).await?;
        let stream = stream::open(socket).map_err(|error| ConnectError::Failed(error.to_string()))?;
        let Some(name) = name else { return Ok(Dialled::new(stream, false, room)) };
        // Whether the connection is allowed is said first: then who asks need not know whom this host believes.
        let connector = TlsConnector::from(self.trust.config()?);
        let stream = connector.connect(name, stream).await.map_err(handshake_error)?;
        let has_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled::new(Box::new(stream), has_h2, room))
    }
}

/// What the server's certificate must be for.
fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_owned();
    DnsName::try_from(name).map(ServerName::DnsName).map_err(|_unfit| ConnectError::NotAHost)
}

fn handshake_error(error: io::Error) -> DialError {
    match classify(&error, Phase::Head) {
        RequestError::Tls(error) => DialError::Tls(error),
        RequestError::ConnectionLost => DialError::Lost,
        other => DialError::Tls(TlsError::Protocol { reason: other.to_string() }),
    }
}

impl Dialled {
    fn new(stream: Box<dyn Duplex>, has_h2: bool, room: OwnedSemaphorePermit) -> Dialled {
        Dialled { stream, has_h2, served: Served::default(), _room: room }
    }
}

impl Served {
    /// The connection has brought a response.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.served.clone());
        if self.has_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Dialled {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
