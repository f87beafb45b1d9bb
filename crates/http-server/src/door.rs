//! One connection from its first byte to its last, in whatever version of HTTP, with or without TLS.

use crate::activity::Activity;
use crate::drive::told_to_stop;
use crate::handler::{Handler, Scheme};
use crate::limits::Limits;
use crate::opening::{Version, open};
use crate::record::AccessLog;
use crate::request_id::RequestIds;
use crate::service::Service;
use crate::transport::Transport;
use crate::versions::{Underlying, serve_http1, serve_http2};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Serves connections that somebody else accepted. Cheap to clone.
///
/// What is done for every connection: HTTP/1.1, HTTP/1.0 and HTTP/2 (over TLS as agreed in the handshake, in clear text if
/// the client begins with it) with persistent connections; heads and bodies within [`Limits`]; answers that HTTP allows;
/// one [`AccessRecord`](crate::AccessRecord) for each request.
///
/// A client that shuts down its half of the connection counts as gone, because one that was closed cannot be told from
/// it, and its guest would work for nobody.
///
/// Of two lengths of a body (`content-length` and `transfer-encoding`) the chunks count, and the connection ends with the
/// answer: nothing behind it is understood as a request. `expect: 100-continue` is heeded in HTTP/1.1 only.
pub struct FrontDoor<H, L> {
    handler: Arc<H>,
    log: Arc<L>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    ids: Arc<RequestIds>,
}

impl<H, L> Clone for FrontDoor<H, L> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            log: Arc::clone(&self.log),
            tls: self.tls.clone(),
            limits: self.limits,
            ids: Arc::clone(&self.ids),
        }
    }
}

impl<H, L> fmt::Debug for FrontDoor<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontDoor").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<H: Handler, L: AccessLog> FrontDoor<H, L> {
    /// Answers by `handler` and records in `log`; with TLS if `tls` says how (see [`tls_config`](crate::tls_config)).
    pub fn new(handler: Arc<H>, log: Arc<L>, tls: Option<Arc<rustls::ServerConfig>>, limits: Limits) -> Self {
        Self {
            handler,
            log,
            tls: tls.map(TlsAcceptor::from),
            limits: limits.in_reason(),
            ids: Arc::new(RequestIds::new()),
        }
    }

    /// Serves one connection to its end: `socket` between `client` and `server`, a connected socket of a stream.
    ///
    /// When `drain` turns true, or is true already, the connection ends after what is under way: a request whose answer is
    /// not out is answered, a client that just connected may still ask once, and nobody is waited for otherwise. How long
    /// that takes is up to the handler and the caller. Dropping the future closes the connection at once.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with network and time.
    pub async fn serve(&self, socket: OwnedFd, client: SocketAddr, server: SocketAddr, drain: watch::Receiver<bool>) {
        if let Err(error) = self.serve_socket(socket, client, server, drain).await {
            // What a client does to its connection is its own affair.
            tracing::debug!(%error, %client, "connection ended early");
        }
    }

    async fn serve_socket(
        &self,
        socket: OwnedFd,
        client: SocketAddr,
        server: SocketAddr,
        mut drain: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let activity = Arc::new(Activity::new());
        let transport = Transport::new(socket, Arc::clone(&activity), self.limits.write_idle_time)?;
        let service = |scheme| {
            Arc::new(Service {
                handler: Arc::clone(&self.handler),
                log: Arc::clone(&self.log) as Arc<dyn AccessLog>,
                ids: Arc::clone(&self.ids),
                limits: self.limits,
                scheme,
                client,
                server,
                activity,
            })
        };
        match &self.tls {
            None => serve_http(transport, service(Scheme::Http), drain).await,
            Some(acceptor) => {
                let handshake = acceptor.accept(transport);
                let tls = self.limits.in_time(self.limits.handshake_time, &mut drain, handshake).await?;
                serve_http(Box::new(tls), service(Scheme::Https), drain).await
            }
        }
    }
}

async fn serve_http<I, H>(io: I, service: Arc<Service<H>>, mut drain: watch::Receiver<bool>) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite + Underlying + Unpin,
    H: Handler,
{
    let limits = service.limits;
    match limits.in_time(limits.head_time, &mut drain, open(io)).await? {
        None => Ok(()),
        Some((Version::Http1, io)) => {
            serve_http1(io, service, drain).await;
            Ok(())
        }
        Some((Version::Http2, io)) => {
            serve_http2(io, service, drain).await;
            Ok(())
        }
    }
}

impl Limits {
    /// What a client begins with, if that is there in time.
    async fn in_time<T>(
        &self,
        time: Duration,
        drain: &mut watch::Receiver<bool>,
        beginning: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let too_late = async {
            told_to_stop(drain).await;
            sleep(self.late_start_time).await;
        };
        tokio::select! {
            biased;
            begun = timeout(time, beginning) => begun?,
            () = too_late => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
