//! How a request gets its connection: by the same questions to the same handle as a socket does, and what of the answers is
//! told.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use capability::Refusal;
use client::RequestError;
use http::Uri;
use http_client::{Connect, ConnectError, Connecting, TlsError};

use crate::sockets::{
    Action, AskError, Asked, Denial, DenialCause, DenialReport, Fault, Host, HostName, LOCALHOST, Name, Reporter,
    Transport, lacks_grant,
};

/// The way to all that a handle grants.
#[derive(Clone, Debug)]
pub(super) struct Way {
    handle: Option<client::Handle>,
    application: Option<String>,
    reporter: Reporter,
}

impl Way {
    pub(super) fn new(
        handle: Option<client::Handle>,
        application: Option<String>,
        report: Arc<dyn DenialReport>,
    ) -> Way {
        Way { handle, application, reporter: Reporter::new(report) }
    }

    /// Tells of a failure that is not the server's: a certificate that this host does not believe, or believing none.
    pub(super) fn tell(&self, uri: &Uri, error: &http_client::RequestError) {
        tracing::debug!(%uri, %error, "a guest's request failed");
        let http_client::RequestError::Tls(cause @ (TlsError::NoRoots | TlsError::Certificate { .. })) = error else {
            return;
        };
        let target = format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
        let cause = DenialCause::Failed { reason: cause.to_string() };
        self.reporter.tell(Denial { action: Action::Connect, target, cause });
    }

    async fn socket(&self, host: &str, port: u16) -> Result<OwnedFd, ConnectError> {
        let asked = Asked { transport: Transport::Tcp, port, application: self.application.clone() };
        let by_address = |address: IpAddr| Host::Address(address);
        match Name::parse(host) {
            Name::Address(address) => self.first(&asked, &[by_address(address)]).await,
            Name::Host(name) => self.first(&asked, &[Host::Name(&name)]).await,
            Name::Localhost(name) => self.first(&asked, &localhost(&name)).await,
            Name::Invalid => Err(ConnectError::NotAHost),
        }
    }

    /// The first connection that there is. Without one, a refusal is told by the last host, and that of something granted
    /// before that of something that is not.
    async fn first(&self, asked: &Asked, hosts: &[Host<'_>]) -> Result<OwnedFd, ConnectError> {
        let target = || hosts.last().map_or_else(String::new, |host| asked.target(*host));
        let Some(handle) = &self.handle else {
            self.reporter.no_network(Action::Connect, target());
            return Err(ConnectError::Denied);
        };
        let mut refused: Option<RequestError> = None;
        for host in hosts {
            match asked.ask(handle, *host).await {
                Ok(connection) => return Ok(connection.socket),
                Err(AskError::Unfit) => return Err(ConnectError::NotAHost),
                Err(AskError::Unanswered(error)) => {
                    if refused.as_ref().is_none_or(lacks_grant) {
                        refused = Some(error);
                    }
                }
            }
        }
        let Some(error) = refused else { return Err(ConnectError::NotAHost) };
        Err(match (self.reporter.failed(Action::Connect, &target(), &error), &error) {
            (_, RequestError::Refused(Refusal::NotFound | Refusal::Ambiguous { .. })) => ConnectError::NotFound,
            (fault, RequestError::Refused(_)) => connect_error(fault),
            (_, failure) => ConnectError::Failed(failure.to_string()),
        })
    }
}

/// As a program would try: what the name leads to without asking anybody, and at last the name itself, which somebody may
/// have granted alone.
fn localhost(name: &HostName) -> [Host<'_>; 3] {
    let [v4, v6] = LOCALHOST;
    [Host::Address(v4), Host::Address(v6), Host::Name(name)]
}

impl Connect for Way {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let (way, host) = (self.clone(), host.to_owned());
        Box::pin(async move { way.socket(&host, port).await })
    }
}

fn connect_error(fault: Fault) -> ConnectError {
    match fault {
        Fault::AccessDenied => ConnectError::Denied,
        Fault::InvalidArgument => ConnectError::NotAHost,
        Fault::NameUnresolvable | Fault::PermanentResolverFailure => ConnectError::NameUnresolvable,
        Fault::TemporaryResolverFailure => ConnectError::TemporaryResolverFailure,
        Fault::ConnectionRefused => ConnectError::Refused,
        Fault::RemoteUnreachable | Fault::AddressNotBindable => ConnectError::Unreachable,
        Fault::Timeout => ConnectError::TimedOut,
        Fault::NewSocketLimit => ConnectError::LimitReached,
        other => ConnectError::Failed(other.to_string()),
    }
}
