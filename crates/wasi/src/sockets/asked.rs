//! How a connection is asked for: by which names and addresses, in which order, and what of several refusals is told.

use std::net::SocketAddr;

use capability::{Labels, Refusal, keys};
use client::RequestError;

use crate::sockets::denial::Action;
use crate::sockets::fault::Fault;
use crate::sockets::names::HostName;
use crate::sockets::network::Reporter;
use crate::sockets::ports::Transport;

/// What a guest asked to be connected to.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// Where one-word names belong.
    pub(crate) application: Option<String>,
}

impl Asked {
    /// What a grant would call it.
    pub(crate) fn target(&self, name: Option<&HostName>) -> String {
        let address = match name {
            Some(name) => format!("{}:{}", name.as_str(), self.remote.port()),
            None => self.remote.to_string(),
        };
        target(self.transport, &address)
    }

    /// The labels of a request for it, by name or by address.
    fn labels(&self, name: Option<&HostName>) -> Result<Labels, Fault> {
        let mut labels = match name {
            Some(name) => name.labels(self.application.as_deref())?,
            None => {
                let address = self.remote.ip().to_string();
                let labels = [(keys::SERVER_ADDRESS, &*address), (keys::NETWORK, keys::OUTSIDE)];
                Labels::try_from_pairs(labels).map_err(|_not_canonical| Fault::InvalidArgument)?
            }
        };
        let port = self.remote.port().to_string();
        let added = [(keys::TRANSPORT, self.transport.label()), (keys::SERVER_PORT, &*port)];
        // A port that no label can hold is port 0.
        added
            .into_iter()
            .try_for_each(|(key, value)| labels.insert(key, value))
            .map_err(|_not_canonical| Fault::InvalidArgument)?;
        Ok(labels)
    }

    /// Asks by each name that the address came from, then by the address, as long as only a grant is missing. The first
    /// refusal is told, because it names what the program asked for.
    pub(crate) async fn connect(
        &self,
        handle: &client::Handle,
        reporter: &Reporter,
        names: &[HostName],
    ) -> Result<client::Connection, Fault> {
        let mut first: Option<(String, RequestError)> = None;
        for name in names.iter().map(Some).chain([None]) {
            match handle.connect(&self.labels(name)?).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    let lacks_grant = matches!(error, RequestError::Refused(Refusal::Grant));
                    let (tried, error) = match first.take() {
                        // A later refusal of another kind is about something that is granted: that is what matters.
                        Some(first) if lacks_grant => first,
                        _ => (self.target(name), error),
                    };
                    if !lacks_grant || name.is_none() {
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

/// TCP is what is meant if nothing else is said.
pub(crate) fn target(transport: Transport, address: &str) -> String {
    match transport {
        Transport::Tcp => address.to_owned(),
        Transport::Udp => format!("udp://{address}"),
    }
}
