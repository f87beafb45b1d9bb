//! How a connection is asked for: by which names and addresses, in which order, and what of several refusals is told.

use std::net::{IpAddr, SocketAddr};

use capability::{Labels, Refusal, keys};
use client::RequestError;

use crate::sockets::denial::Action;
use crate::sockets::fault::Fault;
use crate::sockets::names::HostName;
use crate::sockets::network::Reporter;
use crate::sockets::ports::Transport;

/// What a guest asked to be connected to, but for the host.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    /// Where one-word names belong.
    pub(crate) application: Option<String>,
}

/// The host, in one of the ways to say it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host<'a> {
    Name(&'a HostName),
    Address(IpAddr),
}

/// Why one way did not lead there.
#[derive(Debug)]
pub(crate) enum AskError {
    /// No label can hold it.
    Unfit,
    /// The switchboard said no, or nothing.
    Unanswered(RequestError),
}

impl Asked {
    /// What a grant would call it.
    pub(crate) fn target(&self, host: Host<'_>) -> String {
        let address = match host {
            Host::Name(name) => format!("{}:{}", name.as_str(), self.port),
            Host::Address(ip) => SocketAddr::new(ip, self.port).to_string(),
        };
        target(self.transport, &address)
    }

    /// The labels of a request for it. `None`: the address or the port, 0, is none that a label can hold.
    fn labels(&self, host: Host<'_>) -> Option<Labels> {
        let mut labels = match host {
            Host::Name(name) => name.labels(self.application.as_deref()).ok()?,
            Host::Address(ip) => {
                let address = ip.to_string();
                Labels::try_from_pairs([(keys::SERVER_ADDRESS, &*address), (keys::NETWORK, keys::OUTSIDE)]).ok()?
            }
        };
        let port = self.port.to_string();
        labels.insert(keys::TRANSPORT, self.transport.label()).ok()?;
        labels.insert(keys::SERVER_PORT, &port).ok()?;
        Some(labels)
    }

    /// Asks in one way.
    ///
    /// # Errors
    ///
    /// See [`AskError`]. Nobody has been told.
    pub(crate) async fn ask(&self, handle: &client::Handle, host: Host<'_>) -> Result<client::Connection, AskError> {
        let labels = self.labels(host).ok_or(AskError::Unfit)?;
        handle.connect(&labels).await.map_err(AskError::Unanswered)
    }

    /// Asks by each name that the address came from, then by the address, as long as only a grant is missing. The first
    /// refusal is told, because it names what the program asked for.
    pub(crate) async fn connect(
        &self,
        handle: &client::Handle,
        reporter: &Reporter,
        names: &[HostName],
        address: IpAddr,
    ) -> Result<client::Connection, Fault> {
        let mut first: Option<(String, RequestError)> = None;
        for host in names.iter().map(Host::Name).chain([Host::Address(address)]) {
            match self.ask(handle, host).await {
                Ok(connection) => return Ok(connection),
                Err(AskError::Unfit) => return Err(Fault::InvalidArgument),
                Err(AskError::Unanswered(error)) => {
                    let lacks_grant = lacks_grant(&error);
                    let (tried, error) = match first.take() {
                        // A later refusal of another kind is about something that is granted: that is what matters.
                        Some(first) if lacks_grant => first,
                        _ => (self.target(host), error),
                    };
                    if !lacks_grant || matches!(host, Host::Address(_)) {
                        return Err(reporter.failed(Action::Connect, &tried, &error));
                    }
                    first = Some((tried, error));
                }
            }
        }
        // The last turn of the loop, by address, always returns.
        Err(Fault::Unknown)
    }
}

/// Whether the answer would be another one in another way to ask.
pub(crate) fn lacks_grant(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(Refusal::Grant))
}

/// TCP is what is meant if nothing else is said.
pub(crate) fn target(transport: Transport, address: &str) -> String {
    match transport {
        Transport::Tcp => address.to_owned(),
        Transport::Udp => format!("udp://{address}"),
    }
}
