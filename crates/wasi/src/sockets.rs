//! `wasi:sockets` on a handle to the switchboard.
//!
//! The modules here know nothing of versions: [`tcp`] and [`udp`] are the one state machine of each kind of socket,
//! [`ports`] is the guest's own network namespace, [`network`] asks the handle for connections, servers and addresses,
//! [`names`] remembers which name an address came from. [`p2`] and [`p3`] put WASI 0.2 and 0.3
//! on top.
//!
//! Nothing here makes a socket of the network. What is connected arrives as a descriptor; what a guest says to itself goes
//! through a socket pair or a queue.

mod arrived;
mod asked;
mod connection;
mod denial;
mod fault;
mod listener;
mod loopback;
mod names;
mod network;
mod options;
mod p2;
mod p3;
mod pending;
mod ports;
mod published;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;
mod udp;

pub(crate) use arrived::{Arrived, Family, remote_of};
pub(crate) use asked::{AskError, Asked, Host, lacks_grant};
pub(crate) use connection::{Connection, Reader, Writer};
pub(crate) use fault::Fault;
pub(crate) use names::{HostName, LOCALHOST, Name};
pub(crate) use network::{Lookup, Network, Reporter};
pub(crate) use options::{KeepAlive, NoDelay, Options, ReceiveBuffer, SendBuffer, SocketOption};
pub(crate) use p2::{SocketsView, add_0_2};
pub(crate) use p3::add_0_3;
pub(crate) use pending::Tasks;
pub(crate) use tcp::{Halves, TcpSocket};
pub(crate) use udp::{Datagrams, UdpSocket};

pub use denial::{Action, Denial, DenialCause, DenialReport};
pub use ports::Transport;
