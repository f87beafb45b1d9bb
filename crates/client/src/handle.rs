//! The handle: one method for each request.

use crate::calls::Calls;
use crate::error::{ProtocolError, RequestError};
use crate::name;
use crate::stream::{Connection, Decisions, Server};
use capability::{Constraint, Labels};
use channel::Channel;
use protocol::message::{Call, Reply, RequestBody, ResponseBody, TargetInfo};
use std::io;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::task::JoinSet;

/// What an egress or a resolver answers calls on. Closing it takes the target out of the switchboard.
pub type TargetChannel = Channel<Call, Reply>;

/// A handle to the switchboard. Clones share one socket and one numbering; the socket is closed with the last of them.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    calls: Arc<Calls>,
    /// The task that reads the responses. It ends with this set.
    _reader: JoinSet<()>,
}

impl Handle {
    /// The handle over `socket`, which the switchboard or [`Handle::constrain`] gave.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no seqpacket socket; otherwise as the system says.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let calls = Arc::new(Calls::new(Channel::new(socket)?));
        let mut reader = JoinSet::new();
        let reading = Arc::clone(&calls);
        reader.spawn(async move { reading.read().await });
        Ok(Self { shared: Arc::new(Shared { calls, _reader: reader }) })
    }

    /// A weaker handle of this one, to be given away or opened with [`Handle::new`].
    ///
    /// # Errors
    /// [`RequestError::Refused`] if it would be stronger in anything; otherwise see [`RequestError`].
    pub async fn constrain(&self, constraint: &Constraint) -> Result<OwnedFd, RequestError> {
        match self.ask(RequestBody::Constrain(constraint.clone()), None).await? {
            (ResponseBody::Handle, Some(handle)) => Ok(handle),
            _ => Err(unexpected("constrain")),
        }
    }

    /// A connection to the target that these out-labels choose: a server, or through an egress the outside.
    ///
    /// Dropping the future gives the connection up, also if it is already on its way.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn connect(&self, out_labels: &Labels) -> Result<Connection, RequestError> {
        match self.ask(RequestBody::ClientConnect(out_labels.clone()), None).await? {
            (ResponseBody::Connected(labels), Some(socket)) => Ok(Connection { socket, labels, datagrams: Vec::new() }),
            _ => Err(unexpected("client-connect")),
        }
    }

    /// Registers a server with these in-labels; it is there until the [`Server`] is dropped.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn serve(&self, in_labels: &Labels) -> Result<Server, RequestError> {
        let body = RequestBody::ServerStart(in_labels.clone());
        Ok(Server::new(self.start(body, "server-start").await?))
    }

    /// Hands an accepted socket to the server that these out-labels choose, and says by which labels both ends know
    /// each other. The caller keeps its own descriptor of the socket and closes it when it likes.
    ///
    /// `datagrams` came for the socket before it existed, oldest first: none for a stream. At most
    /// [`MAX_DATAGRAMS`](protocol::MAX_DATAGRAMS), of [`MAX_DATAGRAM_BYTES`](protocol::MAX_DATAGRAM_BYTES) together.
    ///
    /// # Errors
    /// [`RequestError::Unsendable`] if there are more; otherwise see [`RequestError`].
    pub async fn push(
        &self,
        out_labels: &Labels,
        socket: BorrowedFd<'_>,
        datagrams: Vec<Vec<u8>>,
    ) -> Result<Labels, RequestError> {
        let body = RequestBody::IngressConnect { labels: out_labels.clone(), datagrams };
        match self.ask(body, Some(socket)).await? {
            (ResponseBody::Delivered(labels), None) => Ok(labels),
            _ => Err(unexpected("ingress-connect")),
        }
    }

    /// Registers an egress with these in-labels; the switchboard asks it to dial on the channel.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn egress_start(&self, in_labels: &Labels) -> Result<TargetChannel, RequestError> {
        let body = RequestBody::EgressStart(in_labels.clone());
        self.start(body, "egress-start").await
    }

    /// Registers a resolver with these in-labels; the switchboard asks it for addresses on the channel.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn resolver_start(&self, in_labels: &Labels) -> Result<TargetChannel, RequestError> {
        let body = RequestBody::ResolverStart(in_labels.clone());
        self.start(body, "resolver-start").await
    }

    /// The targets that contradict neither these out-labels nor those of the handle.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn list(&self, out_labels: &Labels) -> Result<Vec<TargetInfo>, RequestError> {
        match self.ask(RequestBody::List(out_labels.clone()), None).await? {
            (ResponseBody::Listing { targets, .. }, None) => Ok(targets),
            _ => Err(unexpected("list")),
        }
    }

    /// The decisions, from now on, that contradict neither these out-labels nor those of the handle.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn watch(&self, out_labels: &Labels) -> Result<Decisions, RequestError> {
        match self.ask(RequestBody::Watch(out_labels.clone()), None).await? {
            (ResponseBody::Watching, Some(socket)) => Ok(Decisions::new(Channel::new(socket)?)),
            _ => Err(unexpected("watch")),
        }
    }

    /// The addresses of a host name as somebody types it, best first. A name with a dot, also one at its end, is asked
    /// for in the network [`outside`](capability::keys::OUTSIDE); one without in whatever network the handle says.
    ///
    /// # Errors
    /// [`RequestError::Refused`] also if it is no host name; otherwise see [`RequestError`].
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, RequestError> {
        self.resolve_labels(&name::labels(host)?).await
    }

    /// The addresses of the `server_hostname` in these out-labels, best first. None if it is one word in a network other
    /// than `outside`, and the name of a service there: that is reached by its name.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn resolve_labels(&self, out_labels: &Labels) -> Result<Vec<IpAddr>, RequestError> {
        match self.ask(RequestBody::Resolve(out_labels.clone()), None).await? {
            (ResponseBody::Addresses(addresses), None) => Ok(addresses),
            _ => Err(unexpected("resolve")),
        }
    }

    async fn start<Incoming, Outgoing>(
        &self,
        body: RequestBody,
        request: &'static str,
    ) -> Result<Channel<Incoming, Outgoing>, RequestError>
    where
        Incoming: protocol::Message,
        Outgoing: protocol::Message,
    {
        match self.ask(body, None).await? {
            (ResponseBody::Started, Some(socket)) => Ok(Channel::new(socket)?),
            _ => Err(unexpected(request)),
        }
    }

    async fn ask(
        &self,
        body: RequestBody,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(ResponseBody, Option<OwnedFd>), RequestError> {
        match self.shared.calls.ask(body, descriptor).await? {
            (ResponseBody::Failed(failure), _) => Err(failure.into()),
            answer => Ok(answer),
        }
    }
}

fn unexpected(request: &'static str) -> RequestError {
    ProtocolError::WrongResponse { request }.into()
}
