//! Tests of the sockets against real kernel sockets and the real client; only the switchboard at its far end is a fake.

mod connection;
mod listening;
mod loopback;
mod network;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use capability::{Labels, Refusal, UnreachableCause};
use channel::Channel;
use protocol::message::{Call, Failure, Reply, Request, RequestBody, Response, ResponseBody};
use tokio::task::JoinSet;

use crate::descriptors::Descriptors;
use crate::limits::HostLimits;
use crate::sockets::denial::{Denial, DenialReport};
use crate::sockets::network::Network;

/// What the fake switchboard answers.
pub(crate) type Answer = (ResponseBody, Option<OwnedFd>);

/// Few, so that a test can reach the limit.
const MAX_SOCKETS: usize = 300;

/// Denials, as they came.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<Vec<String>>);

impl Denials {
    pub(crate) fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl DenialReport for Denials {
    fn denied(&self, denial: Denial) {
        self.0.lock().unwrap().push(denial.to_string());
    }
}

/// Answers requests in a switchboard's place.
pub(crate) struct Switchboard {
    pub(crate) handle: client::Handle,
    /// The requests, as `connect network=outside server_port=22 ...` or `resolve ...`.
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinSet<()>,
}

impl Switchboard {
    /// Answers a request, told by its text, with what `answer` says.
    pub(crate) fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Switchboard {
        let (near, far) = fdpass::pair().unwrap();
        let channel: Channel<Request, Response> = Channel::new(far).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let record = Arc::clone(&asked);
        task.spawn(async move {
            while let Ok(Some((Request { id, body }, _))) = channel.receive().await {
                let request = text(&body);
                record.lock().unwrap().push(request.clone());
                let (body, descriptor) = answer(&request);
                let descriptor = descriptor.as_ref().map(std::os::fd::AsFd::as_fd);
                channel.send(&Response { id, body }, descriptor).await.unwrap();
            }
        });
        Switchboard { handle: client::Handle::new(near).unwrap(), asked, task }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn network(handle: Option<client::Handle>, application: Option<String>, denials: &Arc<Denials>) -> Network {
    let limits = HostLimits { sockets: MAX_SOCKETS, ..HostLimits::default() };
    let share = Descriptors::new(usize::MAX).share();
    Network::new(handle, application, Arc::clone(denials) as _, &limits, share)
}

/// A guest's network with a fake switchboard at the other end.
struct World {
    network: Network,
    denials: Arc<Denials>,
    switchboard: Option<Switchboard>,
}

impl World {
    /// A world whose switchboard answers a request, told by its text, with what `answer` says.
    fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> World {
        let switchboard = Switchboard::new(answer);
        let denials = Arc::new(Denials::default());
        let handle = Some(switchboard.handle.clone());
        let network = network(handle, Some("shop".to_owned()), &denials);
        World { network, denials, switchboard: Some(switchboard) }
    }

    /// A guest without a network.
    fn without_network() -> World {
        let denials = Arc::new(Denials::default());
        let network = network(None, None, &denials);
        World { network, denials, switchboard: None }
    }

    /// Ends the switchboard.
    async fn end(&mut self) {
        if let Some(switchboard) = &mut self.switchboard {
            switchboard.task.shutdown().await;
        }
    }

    fn denials(&self) -> Vec<String> {
        self.denials.told()
    }

    fn asked(&self) -> Vec<String> {
        self.switchboard.as_ref().map_or_else(Vec::new, Switchboard::asked)
    }
}

fn text(body: &RequestBody) -> String {
    let (name, labels) = match body {
        RequestBody::ClientConnect(labels) => ("connect", labels),
        RequestBody::Resolve(labels) => ("resolve", labels),
        RequestBody::ServerStart(labels) => ("serve", labels),
        other => panic!("a guest never asks to {}", other.name()),
    };
    labels.iter().fold(name.to_owned(), |text, (key, value)| format!("{text} {key}={value}"))
}

pub(crate) fn refused(refusal: Refusal) -> Answer {
    (ResponseBody::Failed(Failure::Refused(refusal)), None)
}

pub(crate) fn unreachable(cause: UnreachableCause) -> Answer {
    refused(Refusal::Unreachable { cause })
}

pub(crate) fn connected(socket: impl Into<OwnedFd>, labels: &[(&str, &str)]) -> Answer {
    let labels = Labels::try_from_pairs(labels.iter().copied()).unwrap();
    (ResponseBody::Connected(labels), Some(socket.into()))
}

/// Answers with one end of a socket pair, whose other end nobody keeps.
fn any_pair() -> Answer {
    connected(UnixStream::pair().unwrap().0, &[])
}

/// Answers with the channel of a new server, and gives the test the switchboard's end of it.
fn started() -> (Answer, Channel<Reply, Call>) {
    let (near, far) = fdpass::pair().unwrap();
    ((ResponseBody::Started, Some(near)), Channel::new(far).unwrap())
}

fn addresses(addresses: &[&str]) -> Answer {
    (ResponseBody::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()), None)
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}
