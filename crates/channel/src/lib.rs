//! Messages with descriptors over an async seqpacket socket.
//!
//! A [`Channel`] receives messages of one type and sends messages of another. It holds each to its
//! [`descriptor_count`](protocol::Message::descriptor_count): what does not carry exactly that many is an error, and
//! what it carried is closed. One task receives; any number send.
//!
//! Never here: policy. No retries, no time limits, no queue: a peer that does not read makes [`Channel::send`] wait and
//! [`Channel::try_send`] fail, and the caller says what follows.
//!
//! ```
//! use capability::Labels;
//! use channel::Channel;
//! use protocol::message::{Request, RequestBody, RequestId, Response, ResponseBody};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = fdpass::pair()?;
//! let client = Channel::<Response, Request>::new(near)?;
//! let switchboard = Channel::<Request, Response>::new(far)?;
//!
//! let id = RequestId(7);
//! client.send(&Request { id, body: RequestBody::List(Labels::new()) }, None).await?;
//! let (request, _) = switchboard.receive().await?.ok_or("closed")?;
//! assert_eq!(request.id, id);
//! let body = ResponseBody::Listing { targets: Vec::new(), last: true };
//! switchboard.try_send(&Response { id, body }, None)?;
//! assert!(client.receive().await?.is_some());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod buffer;
mod calls;
mod error;
mod listener;
mod watch;

pub use calls::Calls;
pub use error::{ReceiveError, SendError};
pub use listener::Listener;
use watch::register;

use protocol::{DecodeError, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, Message, RefusedRequest};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{Interest, Ready};
use tokio::task::coop;

/// One end of a socket that carries messages: `Incoming` to here, `Outgoing` from here.
pub struct Channel<Incoming, Outgoing> {
    /// Registered for reading alone. Were it for writing too, each packet that the peer takes would wake the runtime
    /// for nothing; who must wait to write registers a duplicate for as long as that takes.
    socket: AsyncFd<OwnedFd>,
    messages: PhantomData<fn(Outgoing) -> Incoming>,
}

impl<Incoming: Message, Outgoing: Message> Channel<Incoming, Outgoing> {
    /// The channel over `socket`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no seqpacket socket; otherwise as the system says. The socket is closed
    /// then.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = fdpass::adopt(socket)?;
        Ok(Self { socket: register(socket, Interest::READABLE)?, messages: PhantomData })
    }

    /// The next message with what it carries, or `None` when the peer has closed its end and all it sent is read.
    ///
    /// Dropping the future loses no message. A message that is refused is gone, and what it carried is closed.
    ///
    /// # Errors
    /// See [`ReceiveError`]; it says whether the channel is still of use.
    pub async fn receive(&self) -> Received<Incoming> {
        // A peer that never stops sending does not keep other tasks from running.
        coop::consume_budget().await;
        loop {
            if let Some(outcome) = self.arrival().await?.take() {
                return outcome;
            }
        }
    }

    /// Waits until a message seems to be there, and does not look at it yet.
    ///
    /// # Errors
    /// [`ReceiveError::Io`] if the runtime is gone.
    pub async fn arrival(&self) -> Result<Arrival<'_, Incoming>, ReceiveError> {
        let readable = self.socket.readable().await.map_err(ReceiveError::Io)?;
        Ok(Arrival { readable, messages: PhantomData })
    }

    /// Sends a message, waiting as long as the peer reads nothing.
    ///
    /// Dropping the future sends the message whole or not at all.
    ///
    /// # Authority
    /// The peer can do with `descriptor` all that the caller could.
    ///
    /// # Errors
    /// See [`SendError`]; never [`SendError::Full`].
    pub async fn send(&self, message: &Outgoing, descriptor: Option<BorrowedFd<'_>>) -> Result<(), SendError> {
        let bytes = encode(message, descriptor)?;
        loop {
            match send_now(self.socket.get_ref().as_fd(), &bytes, descriptor) {
                Err(SendError::Full) => self.writable().await?,
                outcome => return outcome,
            }
        }
    }

    /// Sends a message if the peer has room for it now.
    ///
    /// # Authority
    /// The peer can do with `descriptor` all that the caller could.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn try_send(&self, message: &Outgoing, descriptor: Option<BorrowedFd<'_>>) -> Result<(), SendError> {
        let bytes = encode(message, descriptor)?;
        send_now(self.socket.get_ref().as_fd(), &bytes, descriptor)
    }

    /// Waits until the peer has read enough for a message to be sent.
    ///
    /// # Errors
    /// [`SendError::Io`] if the system has no descriptor to wait with.
    pub async fn writable(&self) -> Result<(), SendError> {
        let duplicate = self.as_fd().try_clone_to_owned().map_err(SendError::Io)?;
        let waiter = register(duplicate, Interest::WRITABLE).map_err(SendError::Io)?;
        waiter.writable().await.map_err(SendError::Io)?.retain_ready();
        Ok(())
    }
}

impl<Incoming, Outgoing> AsFd for Channel<Incoming, Outgoing> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl<Incoming: Message, Outgoing: Message> fmt::Debug for Channel<Incoming, Outgoing> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("incoming", &Incoming::NAME)
            .field("outgoing", &Outgoing::NAME)
            .field("socket", self.socket.get_ref())
            .finish()
    }
}

/// What [`Channel::receive`] comes to.
pub type Received<Incoming> = Result<Option<(Incoming, Option<OwnedFd>)>, ReceiveError>;

/// That something may be read from a channel: a message, its end, or nothing after all.
#[must_use = "what has arrived stays where it is until it is taken"]
pub struct Arrival<'channel, Incoming> {
    readable: AsyncFdReadyGuard<'channel, OwnedFd>,
    messages: PhantomData<fn() -> Incoming>,
}

impl<Incoming: Message> Arrival<'_, Incoming> {
    /// What has arrived, as [`Channel::receive`] gives it; `None` if it was nothing.
    pub fn take(mut self) -> Option<Received<Incoming>> {
        match receive_now(self.readable.get_inner().as_fd()) {
            Now::Packet(outcome) => Some(outcome),
            Now::Nothing => {
                self.readable.clear_ready_matching(Ready::READABLE);
                None
            }
        }
    }
}

impl<Incoming: Message> fmt::Debug for Arrival<'_, Incoming> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("incoming", &Incoming::NAME).finish_non_exhaustive()
    }
}

/// What one look at the socket found.
enum Now<Incoming> {
    Packet(Received<Incoming>),
    Nothing,
}

fn receive_now<Incoming: Message>(socket: BorrowedFd<'_>) -> Now<Incoming> {
    buffer::with_bytes(|buffer| match fdpass::receive(socket, buffer, MAX_DESCRIPTORS) {
        Ok(packet) if packet.length == 0 => Now::Packet(Ok(None)),
        Ok(packet) => Now::Packet(open(&buffer[..packet.length], packet.descriptors).map(Some)),
        Err(fdpass::ReceiveError::Empty) => Now::Nothing,
        Err(fdpass::ReceiveError::TooLong { .. }) => Now::Packet(Err(ReceiveError::TooLong)),
        Err(fdpass::ReceiveError::TooManyDescriptors { .. }) => Now::Packet(Err(ReceiveError::TooManyDescriptors)),
        Err(fdpass::ReceiveError::Io(cause)) => Now::Packet(Err(ReceiveError::Io(cause))),
    })
}

/// The message of a packet, with what it carries.
fn open<Incoming: Message>(
    bytes: &[u8],
    descriptors: Result<Vec<OwnedFd>, fdpass::OutOfDescriptors>,
) -> Result<(Incoming, Option<OwnedFd>), ReceiveError> {
    let message = Incoming::decode(bytes).map_err(|error| match error {
        DecodeError::Malformed(cause) => ReceiveError::Malformed(cause),
        DecodeError::Invalid(RefusedRequest { id, request, refusal }) => ReceiveError::Invalid { id, request, refusal },
    })?;
    let Ok(mut descriptors) = descriptors else {
        return Err(ReceiveError::OutOfDescriptors { id: message.id() });
    };
    if descriptors.len() == message.descriptor_count() {
        Ok((message, descriptors.pop()))
    } else {
        Err(ReceiveError::WrongDescriptors { expected: message.descriptor_count(), received: descriptors.len() })
    }
}

fn encode(message: &impl Message, descriptor: Option<BorrowedFd<'_>>) -> Result<Vec<u8>, SendError> {
    let given = usize::from(descriptor.is_some());
    if given == message.descriptor_count() {
        Ok(message.encode()?)
    } else {
        Err(SendError::WrongDescriptors { expected: message.descriptor_count(), given })
    }
}

fn send_now(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), SendError> {
    fdpass::send(socket, bytes, descriptor.as_slice()).map_err(|error| match error {
        fdpass::SendError::Full => SendError::Full,
        fdpass::SendError::Gone => SendError::Gone,
        fdpass::SendError::TooManyInFlight => SendError::OutOfDescriptors,
        error @ fdpass::SendError::Unsendable { .. } => {
            SendError::Io(io::Error::new(io::ErrorKind::InvalidInput, error))
        }
        fdpass::SendError::Io(cause) => SendError::Io(cause),
    })
}

const _: () = assert!(MAX_DESCRIPTORS <= fdpass::MAX_DESCRIPTORS && MAX_DESCRIPTORS <= 1);
const _: () = assert!(MAX_MESSAGE_BYTES <= 212_992 / 2, "a socket's default buffer holds two messages of that length");
