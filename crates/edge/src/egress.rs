//! Dials outside for the switchboard and hands over the connected socket.
//!
//! An egress trusts the switchboard that a call was granted, and nobody else about anything: of a call by name it looks
//! the name up itself, keeps the addresses where the name may lead ([`AddressScope`]), and dials those very addresses.
//! There is no second lookup that could say something else (DNS rebinding).
//!
//! A dial for UDP is a socket that is connected to where the datagrams go, and hears that peer alone. Nothing is sent by
//! that, so of a name the first address counts to which a route leads.
//!
//! An egress never listens, and knows nothing of handles, grants or the other edges.

mod dial;
mod race;

use crate::calls::{self, Answer, CallLimits, ServeError};
use crate::names::Names;
use capability::{AddressScope, LabelKey, Labels, Refusal, UnreachableCause, keys};
use channel::Calls;
use protocol::message::{Call, Failure};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// What bounds an egress.
#[derive(Clone, Copy, Debug)]
pub struct EgressLimits {
    /// Most dials under way; one more is refused. Each may hold up to 16 sockets while it tries addresses.
    pub dials: usize,
    /// How long a dial may take, lookup and all attempts together.
    pub dial_time: Duration,
    /// Most names looked up at once, a thread each; further dials by name wait, and their time runs.
    pub lookups: usize,
    /// How long to wait for one address before the next is tried beside it.
    pub attempt_delay: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            dials: 512,
            dial_time: Duration::from_secs(30),
            lookups: 64,
            // The value that RFC 8305, section 8, recommends.
            attempt_delay: Duration::from_millis(250),
        }
    }
}

/// Serves the dials that come through `target`, until the switchboard closes it. Dials under way are dropped then.
///
/// A lookup that hangs outlives this: end the runtime with
/// [`shutdown_background`](tokio::runtime::Runtime::shutdown_background).
///
/// # Authority
/// Connects to whatever the switchboard says, from the network of this process.
///
/// # Errors
/// See [`ServeError`].
pub async fn run(target: impl Calls, limits: EgressLimits) -> Result<(), ServeError> {
    run_with(target, Names::ambient_system(limits.lookups), limits).await
}

async fn run_with(target: impl Calls, names: Names, limits: EgressLimits) -> Result<(), ServeError> {
    let names = Arc::new(names);
    let call_limits =
        CallLimits { at_once: limits.dials, time: limits.dial_time, out_of_time: UnreachableCause::TimedOut };
    calls::serve(target, call_limits, move |call| match call {
        Call::Dial { id, labels, scope } => {
            let names = Arc::clone(&names);
            let work = async move { answer(&names, &labels, &scope, limits.attempt_delay).await };
            Some((id, work))
        }
        _ => None,
    })
    .await
}

async fn answer(names: &Names, labels: &Labels, scope: &AddressScope, attempt_delay: Duration) -> Answer {
    match dial(names, labels, scope, attempt_delay).await {
        Ok((labels, socket)) => Answer::Dialled(labels, socket),
        Err(failure) => Answer::Failed(failure),
    }
}

async fn dial(
    names: &Names,
    labels: &Labels,
    scope: &AddressScope,
    attempt_delay: Duration,
) -> Result<(Labels, OwnedFd), Failure> {
    let Destination { transport, host, port } = Destination::of(labels)?;
    let addresses = match host {
        Host::Address(address) => vec![address],
        Host::Name(name) => permitted(&names.lookup(name).await?, scope)?,
    };
    let addresses = race::interleave(&addresses).into_iter().map(|address| SocketAddr::new(address, port));
    let dialled = match transport {
        Transport::Tcp => {
            let attempts = addresses.map(|address| async move { Ok((address, dial::connect_ambient(address).await?)) });
            race::race(attempts, attempt_delay).await
        }
        Transport::Udp => first_route(addresses),
    };
    match dialled {
        Ok((address, socket)) => Ok((labels_of(address)?, socket)),
        Err(refusals) => Err(dial::most_telling(refusals).into()),
    }
}

/// A socket to the first address to which there is a route.
fn first_route(addresses: impl Iterator<Item = SocketAddr>) -> Result<(SocketAddr, OwnedFd), Vec<Refusal>> {
    let mut refusals = Vec::new();
    for address in addresses {
        match dial::connect_datagrams_ambient(address) {
            Ok(socket) => return Ok((address, socket)),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(refusals)
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Destination<'labels> {
    transport: Transport,
    host: Host<'labels>,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host<'labels> {
    /// Goes before an address: that is the runner's word about where the name leads, and not asked for.
    Name(&'labels str),
    Address(IpAddr),
}

impl<'labels> Destination<'labels> {
    /// Reads the labels of a call.
    ///
    /// # Errors
    /// [`Refusal::Label`] with the key of the label that is missing or asks for what an egress does not do.
    fn of(labels: &'labels Labels) -> Result<Self, Refusal> {
        let transport = match labels.get(keys::TRANSPORT) {
            Some("tcp") => Transport::Tcp,
            Some("udp") => Transport::Udp,
            _ => return Err(refused_label(keys::TRANSPORT)),
        };
        if labels.get(keys::NETWORK).is_some_and(|network| network != keys::OUTSIDE) {
            return Err(refused_label(keys::NETWORK));
        }
        let parsed_port = labels.get(keys::SERVER_PORT).and_then(|port| port.parse().ok());
        let port = parsed_port.ok_or_else(|| refused_label(keys::SERVER_PORT))?;
        let host = match labels.get(keys::SERVER_HOSTNAME) {
            Some(name) => Host::Name(name),
            None => {
                let parsed_address = labels.get(keys::SERVER_ADDRESS).and_then(|text| text.parse().ok());
                Host::Address(parsed_address.ok_or_else(|| refused_label(keys::SERVER_ADDRESS))?)
            }
        };
        Ok(Self { transport, host, port })
    }
}

fn refused_label(key: &str) -> Refusal {
    let keys = LabelKey::new(key).into_iter().collect();
    Refusal::Label { keys }
}

/// The addresses where a name may lead. Some may: the others are left out, as a name server may well mix them.
fn permitted(addresses: &[IpAddr], scope: &AddressScope) -> Result<Vec<IpAddr>, Refusal> {
    let permitted: Vec<IpAddr> = addresses.iter().copied().filter(|address| scope.permits(*address)).collect();
    match (permitted.is_empty(), addresses.first()) {
        (false, _) => Ok(permitted),
        (true, Some(&address)) => Err(Refusal::PrivateName { address }),
        (true, None) => Err(Refusal::Unreachable { cause: UnreachableCause::NameNotFound }),
    }
}

/// Where a socket leads.
fn labels_of(address: SocketAddr) -> Result<Labels, Failure> {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let pairs = [(keys::SERVER_ADDRESS, ip.as_str()), (keys::SERVER_PORT, port.as_str())];
    Labels::try_from_pairs(pairs).map_err(|error| {
        tracing::error!(%address, %error, "a dialled address has no labels");
        Failure::Fault
    })
}

#[cfg(test)]
mod tests;
