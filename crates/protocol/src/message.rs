//! What crosses a handle, a target channel and a watch channel, as types that cannot hold an invalid label or grant.

use capability::{AddressScope, Constraint, Labels, Refusal, Right};
use std::net::IpAddr;
use std::time::Duration;

/// A number that the asker chose for a request; its response carries the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A number that the switchboard chose for a call to a target; its reply carries the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A request through a handle, with the number its response will carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Not in use by another request of the handle that waits for its response.
    pub id: RequestId,
    /// What is asked.
    pub body: RequestBody,
}

/// What is asked through a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// A weaker handle of this one.
    Constrain(Constraint),
    /// A connection to a server, or through an egress to the outside. Out-labels.
    ClientConnect(Labels),
    /// Register a server. In-labels.
    ServerStart(Labels),
    /// Hand an accepted socket (1 descriptor) to a server.
    IngressConnect {
        /// Out-labels.
        labels: Labels,
        /// What came for the socket before it existed, oldest first. Empty for a stream. At most
        /// [`MAX_DATAGRAMS`](crate::MAX_DATAGRAMS), of [`MAX_DATAGRAM_BYTES`](crate::MAX_DATAGRAM_BYTES) together.
        datagrams: Vec<Vec<u8>>,
    },
    /// Register an egress. In-labels.
    EgressStart(Labels),
    /// Register a resolver. In-labels.
    ResolverStart(Labels),
    /// The targets that do not contradict these labels. Out-labels.
    List(Labels),
    /// The decisions that do not contradict these labels, from now on. Out-labels.
    Watch(Labels),
    /// The addresses of the `server_hostname` in these out-labels; or, for one word in a network other than `outside`,
    /// whether there is such a service.
    Resolve(Labels),
}

impl RequestBody {
    pub(crate) const CONSTRAIN: &'static str = "constrain";
    pub(crate) const RESOLVE: &'static str = "resolve";

    /// The name of the request, as in a [`Decision`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constrain(_) => Self::CONSTRAIN,
            Self::ClientConnect(_) => Right::ClientConnect.name(),
            Self::ServerStart(_) => Right::ServerStart.name(),
            Self::IngressConnect { .. } => Right::IngressConnect.name(),
            Self::EgressStart(_) => Right::EgressStart.name(),
            Self::ResolverStart(_) => Right::ResolverStart.name(),
            Self::List(_) => Right::List.name(),
            Self::Watch(_) => Right::Watch.name(),
            Self::Resolve(_) => Self::RESOLVE,
        }
    }
}

/// The answer to the request of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The number of the request.
    pub id: RequestId,
    /// The answer.
    pub body: ResponseBody,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// The weaker handle (1 descriptor).
    Handle,
    /// The connected socket (1 descriptor), and the union of the labels of both ends.
    Connected(Labels),
    /// The target channel (1 descriptor). Closing it takes the target out of the switchboard.
    Started,
    /// The pushed socket has reached a server; the union of the labels of both ends.
    Delivered(Labels),
    /// Some of the targets; more responses of the same number follow unless `last`.
    Listing {
        /// Some of them.
        targets: Vec<TargetInfo>,
        /// Whether these were the last.
        last: bool,
    },
    /// The channel of [`Decision`]s (1 descriptor).
    Watching,
    /// The addresses of the host name, best first. None: it is the name of a service, and reached by that.
    Addresses(Vec<IpAddr>),
    /// It failed.
    Failed(Failure),
}

/// Why a request failed: a "no", or no decision at all (rule 8 keeps them apart).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The switchboard decided, and said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The switchboard could not decide, or could not carry out what it decided. The cause is in its log.
    #[error("the switchboard failed; its log says why")]
    Fault,
}

/// What registers with the switchboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// Takes connections.
    Server,
    /// Dials outside.
    Egress,
    /// Turns host names into addresses.
    Resolver,
}

impl TargetKind {
    /// The kind as text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Egress => "egress",
            Self::Resolver => "resolver",
        }
    }
}

/// Targets with equal labels, as a listing shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInfo {
    /// What they are.
    pub kind: TargetKind,
    /// Their labels.
    pub in_labels: Labels,
    /// How many have these labels.
    pub replicas: u32,
}

/// What the switchboard asks of a target, on the target's channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To a server: a connection (1 descriptor). Gets no reply.
    Connection {
        /// The union of the labels of both ends.
        labels: Labels,
        /// What came for the socket before it existed, oldest first: see [`RequestBody::IngressConnect`].
        datagrams: Vec<Vec<u8>>,
    },
    /// To an egress: dial what these labels say. A `server_hostname` goes before a `server_address`.
    Dial {
        /// The number the reply carries.
        id: CallId,
        /// Where to, and for whom.
        labels: Labels,
        /// Where the host name may lead.
        scope: AddressScope,
    },
    /// To a resolver: look up the `server_hostname` of these labels.
    Lookup {
        /// The number the reply carries.
        id: CallId,
        /// The name, and for whom.
        labels: Labels,
    },
    /// The asker is gone: a reply is not needed any more.
    Cancel {
        /// The number of the call.
        id: CallId,
    },
}

/// What a target answers to the call of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number of the call.
    pub id: CallId,
    /// The answer.
    pub body: ReplyBody,
}

/// A target's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// The connected socket (1 descriptor), and where it really leads: `server_address` and `server_port`.
    Dialled(Labels),
    /// The addresses, best first.
    Addresses(Vec<IpAddr>),
    /// It failed.
    Failed(Failure),
}

/// One decision of the switchboard, on a watch channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was asked: [`RequestBody::name`].
    pub request: String,
    /// The labels of the request and its handle.
    pub from: Labels,
    /// The labels of the chosen target; empty if none was chosen.
    pub to: Labels,
    /// Why it failed; `None` if it was allowed.
    pub failure: Option<Failure>,
    /// From request to answer.
    pub took: Duration,
    /// Decisions left out before this one, because the watcher was slow to read.
    pub lost: u64,
}
