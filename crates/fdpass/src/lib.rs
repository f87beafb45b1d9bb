//! Bytes with owned descriptors over a Unix socket of type `SOCK_SEQPACKET`: one packet is one message.
//!
//! [`pair`] makes both ends, [`listen`], [`connect`] and [`accept`] do so by a path, [`take_stdin`] takes over the end
//! that a parent gave. [`send`] and [`receive`] move one packet and never wait: every socket here is non-blocking, and
//! who waits, and how long, is the caller's affair.
//!
//! A packet is taken whole or not at all. If it is longer than the caller's buffer, or carries more descriptors than
//! the caller wants, the caller gets an error and every descriptor that came with it is closed.
//!
//! To give a child process one end, make that its standard input: `Command::stdin(Stdio::from(end))` here and
//! [`take_stdin`] there. That way no integer ever stands for a descriptor.
//!
//! Never here: async, retries, and what the bytes mean.
//!
//! ```
//! use std::os::fd::AsFd;
//!
//! let (here, there) = fdpass::pair()?;
//! let (gift, _other_end) = fdpass::pair()?;
//! fdpass::send(here.as_fd(), b"take this", &[gift.as_fd()])?;
//!
//! let mut buffer = [0; 64];
//! let packet = fdpass::receive(there.as_fd(), &mut buffer, 1)?;
//! assert_eq!(&buffer[..packet.length], b"take this");
//! assert_eq!(packet.descriptors?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod packet;
mod socket;

pub use packet::{MAX_DESCRIPTORS, OutOfDescriptors, ReceiveError, Received, SendError, receive, send};
pub use socket::{accept, adopt, connect, listen, pair, take_stdin};
