//! What one guest has of the network: its handle, the names it looked up, and who is told of refusals.
//!
//! This is the only module that asks the switchboard.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use capability::{Labels, Refusal, keys};

use crate::sockets::denial::{Action, Denial, DenialCause, DenialReport};
use crate::sockets::fault::Fault;
use crate::sockets::names::{HostName, LOCALHOST, Name, NameMemory, World};
use crate::sockets::pending::{Pending, Tasks};

/// The network of one guest.
#[derive(Debug)]
pub(crate) struct Network {
    handle: Option<client::Handle>,
    reporter: Reporter,
    names: Arc<Mutex<NameMemory>>,
    tasks: Tasks,
}

/// Tells of refusals.
#[derive(Clone, Debug)]
struct Reporter(Arc<dyn DenialReport>);

impl Network {
    pub(crate) fn new(handle: Option<client::Handle>, report: Arc<dyn DenialReport>) -> Network {
        Network { handle, reporter: Reporter(report), names: Arc::default(), tasks: Tasks::default() }
    }

    /// The guest's tasks.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Lets what the guest has written go out.
    pub(crate) async fn finish(self) {
        self.tasks.finish().await;
    }

    /// Refuses something that a guest cannot do (yet), and tells of it.
    pub(crate) fn deny(&self, action: Action, target: String) -> Fault {
        let cause = match self.handle {
            Some(_) => DenialCause::Unsupported,
            None => DenialCause::NoNetwork,
        };
        self.reporter.0.denied(Denial { action, target, cause });
        Fault::AccessDenied
    }

    /// Asks for a TCP connection to an address.
    pub(crate) fn connect(&self, remote: SocketAddr) -> Pending<client::Connection> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner).names_of(remote.ip());
        let Some(handle) = self.handle.clone() else {
            let fault = self.deny(Action::Connect, target(names.first(), remote));
            return Pending::start(&self.tasks, std::future::ready(Err(fault)));
        };
        let reporter = self.reporter.clone();
        Pending::start(&self.tasks, async move { connect(&handle, &reporter, &names, remote).await })
    }

    /// Looks a name up.
    ///
    /// # Errors
    ///
    /// The text is no name, or it needs no asking to know that there is no answer.
    pub(crate) fn lookup(&self, text: &str) -> Result<Lookup, Fault> {
        match Name::parse(text) {
            Name::Address(address) => Ok(Lookup::Known(vec![address])),
            Name::Localhost => Ok(Lookup::Known(LOCALHOST.to_vec())),
            Name::Invalid => Err(Fault::InvalidArgument),
            Name::Host(name) => self.ask_for(name).map(Lookup::Asked),
        }
    }

    fn ask_for(&self, name: HostName) -> Result<Pending<Vec<IpAddr>>, Fault> {
        let Some(handle) = self.handle.clone() else {
            return Err(self.deny(Action::Lookup, name.as_str().to_owned()));
        };
        let (reporter, names) = (self.reporter.clone(), Arc::clone(&self.names));
        Ok(Pending::start(&self.tasks, async move {
            match handle.resolve(&name.to_lookup()).await {
                Ok(addresses) => {
                    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                    addresses.iter().for_each(|address| names.remember(*address, &name));
                    Ok(addresses)
                }
                Err(client::RequestError::Refused(Refusal::NotFound)) => Err(Fault::NameUnresolvable),
                Err(error) => Err(reporter.failed(Action::Lookup, name.as_str(), &error)),
            }
        }))
    }
}

/// The answer to a lookup.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Known without asking.
    Known(Vec<IpAddr>),
    /// On its way.
    Asked(Pending<Vec<IpAddr>>),
}

/// Asks by each name that the address came from, then by the address, as long as only a grant is missing. The first
/// refusal is told, because it names what the program asked for.
async fn connect(
    handle: &client::Handle,
    reporter: &Reporter,
    names: &[HostName],
    remote: SocketAddr,
) -> Result<client::Connection, Fault> {
    let mut first: Option<(String, client::RequestError)> = None;
    for name in names.iter().map(Some).chain([None]) {
        match handle.connect(&request(name, remote)?).await {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                let lacks_grant = matches!(error, client::RequestError::Refused(Refusal::Grant));
                let (tried, error) = match first.take() {
                    // A later refusal of another kind is about something that is granted: that is what matters.
                    Some(first) if lacks_grant => first,
                    _ => (target(name, remote), error),
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

/// The labels of a connect request.
fn request(name: Option<&HostName>, remote: SocketAddr) -> Result<Labels, Fault> {
    let (key, value) = match name {
        Some(name) => (keys::SERVER_HOSTNAME, name.as_str().to_owned()),
        None => (keys::SERVER_ADDRESS, remote.ip().to_string()),
    };
    let port = remote.port().to_string();
    // Which application a service belongs to is for the handle to say.
    let outside = name.is_none_or(|name| name.world == World::Outside).then_some((keys::NETWORK, keys::OUTSIDE));
    let labels = [(keys::TRANSPORT, "tcp"), (key, &*value), (keys::SERVER_PORT, &*port)];
    // An address or port that no label can hold, such as port 0.
    Labels::try_from_pairs(labels.into_iter().chain(outside)).map_err(|_not_canonical| Fault::InvalidArgument)
}

/// What a grant would call it.
fn target(name: Option<&HostName>, remote: SocketAddr) -> String {
    match name {
        Some(name) => format!("{}:{}", name.as_str(), remote.port()),
        None => remote.to_string(),
    }
}

impl Reporter {
    /// Tells of a failure if it is the sandbox's, and finds the guest's code for it. That a host is down is between the
    /// guest and its peer.
    fn failed(&self, action: Action, target: &str, error: &client::RequestError) -> Fault {
        let cause = match error {
            client::RequestError::Refused(Refusal::Unreachable { .. }) => None,
            client::RequestError::Refused(refusal) => Some(DenialCause::Refused(refusal.clone())),
            failure => Some(DenialCause::Failed { reason: failure.to_string() }),
        };
        if let Some(cause) = cause {
            self.0.denied(Denial { action, target: target.to_owned(), cause });
        }
        Fault::from(error)
    }
}
