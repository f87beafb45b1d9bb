//! Moves one packet with its descriptors, and tells apart everything that can go wrong with it.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Most descriptors that one packet may carry. Ours, and far below the kernel's 253: what a peer sends beyond it never
/// enters this process's table.
pub const MAX_DESCRIPTORS: usize = 4;

/// Why a packet was not sent. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The peer has not read enough of what was sent before. Wait until the socket is writable.
    #[error("the peer does not read")]
    Full,
    /// The peer has closed its end.
    #[error("the peer is gone")]
    Gone,
    /// Too many descriptors of this user are on their way (`ETOOMANYREFS`). Possible again when some have arrived.
    #[error("too many descriptors are on their way")]
    TooManyInFlight,
    /// The packet is empty, which a reader could not tell from a closed socket, carries more than [`MAX_DESCRIPTORS`],
    /// or is longer than the socket's buffer.
    #[error("not a packet that can be sent: {bytes} bytes, {descriptors} descriptors")]
    Unsendable {
        /// Its length.
        bytes: usize,
        /// What it carries.
        descriptors: usize,
    },
    /// Anything else.
    #[error("cannot send")]
    Io(#[source] io::Error),
}

/// Why no packet was received. If there was one, it is gone, and every descriptor that came with it is closed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// There is none now. Wait until the socket is readable.
    #[error("no packet is waiting")]
    Empty,
    /// It is longer than the buffer.
    #[error("the packet is longer than {limit_bytes} bytes")]
    TooLong {
        /// The length of the buffer.
        limit_bytes: usize,
    },
    /// It carries more descriptors than asked for.
    #[error("the packet carries more than {limit} descriptors")]
    TooManyDescriptors {
        /// How many were asked for.
        limit: usize,
    },
    /// Anything else.
    #[error("cannot receive")]
    Io(#[source] io::Error),
}

/// A packet. Its bytes are in the caller's buffer.
#[derive(Debug)]
pub struct Received {
    /// How many bytes; 0 if the peer has closed its end.
    pub length: usize,
    /// What it carried, closed on exec.
    pub descriptors: Result<Vec<OwnedFd>, OutOfDescriptors>,
}

/// The packet carried descriptors, and this process had no room for all of them: its table is full (`EMFILE`), or the
/// system's is. The bytes are sound; the descriptors are closed and lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of descriptors: what the packet carried is lost")]
pub struct OutOfDescriptors;

/// Sends one packet. The descriptors are duplicated on their way: the caller keeps its own.
///
/// # Authority
/// The peer can do with `descriptors` all that the caller could.
///
/// # Errors
/// See [`SendError`]; nothing was sent then.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SendError> {
    let unsendable = SendError::Unsendable { bytes: bytes.len(), descriptors: descriptors.len() };
    if bytes.is_empty() || descriptors.len() > MAX_DESCRIPTORS {
        return Err(unsendable);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // Cannot fail: there is room for MAX_DESCRIPTORS.
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(unsendable);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        // A packet without descriptors goes by the call that cannot carry any: a jailed runner has no other.
        let sent = match descriptors {
            [] => rustix::net::send(socket, bytes, flags),
            _ => rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags),
        };
        return match sent {
            Ok(_) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Err(SendError::Full),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::CONNREFUSED | Errno::NOTCONN) => Err(SendError::Gone),
            Err(Errno::TOOMANYREFS) => Err(SendError::TooManyInFlight),
            Err(Errno::MSGSIZE) => Err(unsendable),
            Err(errno) => Err(SendError::Io(errno.into())),
        };
    }
}

/// Receives one packet into `buffer`, with at most `limit` descriptors.
///
/// The kernel says only that descriptors were cut off (`MSG_CTRUNC`), not why. It has room for more than `limit` here,
/// so if no more than `limit` came through, what was missing is room in this process's table: [`OutOfDescriptors`].
/// (A security module that forbids the transfer looks the same.)
///
/// # Authority
/// The caller can do with what it receives all that the sender could.
///
/// # Errors
/// See [`ReceiveError`].
///
/// # Panics
/// If `limit` is above [`MAX_DESCRIPTORS`].
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], limit: usize) -> Result<Received, ReceiveError> {
    assert!(limit <= MAX_DESCRIPTORS, "at most {MAX_DESCRIPTORS} descriptors a packet");
    let limit_bytes = buffer.len();
    // One more than anybody may ask for, see above.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let packet = receive_raw(socket, buffer, &mut control)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    if packet.flags.contains(ReturnFlags::TRUNC) {
        return Err(ReceiveError::TooLong { limit_bytes });
    }
    if descriptors.len() > limit {
        return Err(ReceiveError::TooManyDescriptors { limit });
    }
    Ok(Received {
        length: packet.bytes,
        descriptors: match packet.flags.contains(ReturnFlags::CTRUNC) {
            true => Err(OutOfDescriptors),
            false => Ok(descriptors),
        },
    })
}

fn receive_raw(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    control: &mut RecvAncillaryBuffer<'_>,
) -> Result<RecvMsg, ReceiveError> {
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut was_reset = false;
    loop {
        return match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], control, flags) {
            Ok(packet) => Ok(packet),
            Err(Errno::INTR) => continue,
            // The peer closed its end without having read everything. That is told once, before what it had sent.
            Err(Errno::CONNRESET) if !was_reset => {
                was_reset = true;
                continue;
            }
            Err(Errno::AGAIN) => Err(ReceiveError::Empty),
            Err(errno) => Err(ReceiveError::Io(errno.into())),
        };
    }
}
