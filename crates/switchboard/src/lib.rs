//! Drives the switchboard's core over sockets: accepts handles, decodes requests, applies effects, drains what waits.
//!
//! There is no policy here: what may be done is [`capability`]'s, what is done is [`switchboard_core`]'s. One task reads
//! each handle, target and watch channel and turns what comes into an event; the core answers with effects, which
//! `board.rs` carries out at once, without waiting. Only an answer for which a handle has no room waits, in a queue of
//! that handle (`peer.rs`), and until the queue is short again no more is read from it: who does not read is not read.
//! Clients are heard in turn (`turns.rs`): who asks without end has its share of the time and no more.
//!
//! Never here: a client's side of a handle, and guests.
//!
//! ```
//! use capability::Capability;
//! use switchboard::{Limits, Switchboard};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let switchboard = Switchboard::new(Limits::default());
//! let (ours, theirs) = fdpass::pair()?;
//! switchboard.open(Capability::root(), theirs)?;
//! drop(ours); // the only handle is closed...
//! switchboard.serve().await; // ...so the switchboard has nothing left to do
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod board;
mod effects;
mod here;
mod peer;
mod readers;
mod turns;

pub use here::LocalTarget;
pub use switchboard_core::{Allowance, Limits};

use board::Board;
use capability::{Capability, Labels, Refusal};
use channel::Listener;
use protocol::message::RequestBody;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How long accepting pauses when the process or the system is out of descriptors: those who connect wait in the
/// kernel's backlog meanwhile.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);

/// A running switchboard. Dropping it closes every handle and target channel; connections that it made live on.
#[derive(Debug)]
pub struct Switchboard {
    board: Arc<Board>,
}

/// Why a handle could not be opened, or a target could not be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The switchboard has as many as it may.
    #[error("the switchboard refuses another handle or target")]
    Refused(#[source] Refusal),
    /// The socket cannot be used.
    #[error("the socket cannot be used as a handle")]
    Socket(#[source] io::Error),
    /// A bug of the switchboard.
    #[error("the switchboard could not carry it out; its log says why")]
    Fault,
}

impl Switchboard {
    /// A switchboard without any handle.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { board: Board::new(limits) }
    }

    /// Makes `socket` (a [`fdpass`]-like seqpacket socket) the switchboard's end of a new handle. Must be called inside
    /// a tokio runtime.
    ///
    /// # Authority
    /// Whoever holds the other end can do what `capability` says.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, capability: Capability, socket: OwnedFd) -> Result<(), OpenError> {
        self.board.open(capability, socket)
    }

    /// As [`Switchboard::open`], for a handle that alone does not keep [`Switchboard::serve`] from returning: that of an
    /// edge which lives beside the switchboard, for as long as there is anybody to serve.
    ///
    /// # Authority
    /// As [`Switchboard::open`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_aside(&self, capability: Capability, socket: OwnedFd) -> Result<(), OpenError> {
        self.board.open_aside(capability, socket)
    }

    /// Registers an egress with these in-labels that answers in this process, for as long as the value lives.
    ///
    /// # Authority
    /// Whoever holds it hears where every connection leads for which it is picked, and hands over the socket.
    ///
    /// # Errors
    /// [`OpenError::Refused`] if there are as many targets or handles as there may be; else [`OpenError::Fault`].
    pub fn start_egress(&self, in_labels: Labels) -> Result<LocalTarget, OpenError> {
        LocalTarget::start(&self.board, RequestBody::EgressStart(in_labels))
    }

    /// Registers a resolver with these in-labels that answers in this process, for as long as the value lives.
    ///
    /// # Authority
    /// Whoever holds it hears every name for which it is picked, and says where the name leads.
    ///
    /// # Errors
    /// [`OpenError::Refused`] if there are as many targets or handles as there may be; else [`OpenError::Fault`].
    pub fn start_resolver(&self, in_labels: Labels) -> Result<LocalTarget, OpenError> {
        LocalTarget::start(&self.board, RequestBody::ResolverStart(in_labels))
    }

    /// Returns when the last handle is closed, but for those of [`Switchboard::open_aside`].
    pub async fn serve(&self) {
        self.board.until_idle().await;
    }

    /// Makes a handle with `capability` of each connection to `listener`, for ever.
    ///
    /// # Authority
    /// As [`Switchboard::open`], for whoever can connect.
    ///
    /// # Errors
    /// If the listener cannot be used any more.
    pub async fn accept(&self, listener: OwnedFd, capability: Capability) -> io::Result<()> {
        let listener = Listener::new(listener)?;
        loop {
            match listener.accept().await {
                Ok(socket) => {
                    if let Err(error) = self.open(capability.clone(), socket) {
                        tracing::warn!(%error, cause = ?std::error::Error::source(&error), "connection not taken");
                    }
                }
                Err(error) if board::is_out_of_descriptors(&error) => {
                    tracing::warn!("out of descriptors: connections wait");
                    tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.board.close_everything();
    }
}
