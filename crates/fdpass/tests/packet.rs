//! Packets and descriptors over real socket pairs: what arrives, what is refused, and that nothing is left open.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

use fdpass::{MAX_DESCRIPTORS, ReceiveError, SendError, pair, receive, send};
use rustix::fs::OFlags;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Whether nobody but `reader` holds the pipe open any more.
fn is_closed(mut reader: std::io::PipeReader) -> bool {
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    matches!(reader.read(&mut [0]), Ok(0))
}

/// A pipe whose writing end is to be passed; the reading end tells whether it was closed.
fn passenger() -> (std::io::PipeReader, OwnedFd) {
    let (reader, writer) = pipe().unwrap();
    (reader, writer.into())
}

#[test]
fn bytes_and_descriptors_arrive_together_and_in_order() {
    let (here, there) = pair().unwrap();
    let (mut first_reader, first) = passenger();
    let (mut second_reader, second) = passenger();
    send(here.as_fd(), b"two", &[first.as_fd(), second.as_fd()]).unwrap();
    send(here.as_fd(), b"none", &[]).unwrap();
    drop((first, second));

    let mut buffer = [0; 16];
    let packet = receive(there.as_fd(), &mut buffer, 2).unwrap();
    assert_eq!(&buffer[..packet.length], b"two");
    let names = ["first", "second"];
    for (descriptor, name) in packet.descriptors.unwrap().into_iter().zip(names) {
        assert!(rustix::io::fcntl_getfd(&descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        std::io::PipeWriter::from(descriptor).write_all(name.as_bytes()).unwrap();
    }
    for (reader, name) in [&mut first_reader, &mut second_reader].into_iter().zip(names) {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, name);
    }

    let packet = receive(there.as_fd(), &mut buffer, 2).unwrap();
    assert_eq!(&buffer[..packet.length], b"none");
    assert!(packet.descriptors.unwrap().is_empty());
    assert!(matches!(receive(there.as_fd(), &mut buffer, 2), Err(ReceiveError::Empty)));
}

#[test]
fn a_packet_longer_than_the_buffer_is_refused_and_what_it_carried_is_closed() {
    let (here, there) = pair().unwrap();
    let (reader, descriptor) = passenger();
    send(here.as_fd(), &[1; 17], &[descriptor.as_fd()]).unwrap();
    drop(descriptor);
    let error = receive(there.as_fd(), &mut [0; 16], 1).unwrap_err();
    assert!(matches!(error, ReceiveError::TooLong { limit_bytes: 16 }), "{error:?}");
    assert!(is_closed(reader));
    // The packet is gone as a whole.
    assert!(matches!(receive(there.as_fd(), &mut [0; 16], 1), Err(ReceiveError::Empty)));
}

#[test]
fn more_descriptors_than_asked_for_are_refused_and_closed() {
    for (sent, limit) in [(1, 0), (2, 1), (MAX_DESCRIPTORS, 1), (MAX_DESCRIPTORS, MAX_DESCRIPTORS - 1)] {
        let (here, there) = pair().unwrap();
        let (reader, descriptor) = passenger();
        send(here.as_fd(), b"x", &vec![descriptor.as_fd(); sent]).unwrap();
        drop(descriptor);
        let error = receive(there.as_fd(), &mut [0; 16], limit).unwrap_err();
        assert!(
            matches!(error, ReceiveError::TooManyDescriptors { limit: said } if said == limit),
            "{sent} for {limit}: {error:?}"
        );
        assert!(is_closed(reader), "{sent} for {limit}");
    }
}

/// Another program may send as many as the kernel lets it, 253.
#[test]
fn as_many_descriptors_as_the_kernel_allows_are_refused_and_closed() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    use std::mem::MaybeUninit;

    let (here, there) = pair().unwrap();
    let (reader, descriptor) = passenger();
    let many: Vec<BorrowedFd<'_>> = vec![descriptor.as_fd(); 253];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
    let bytes = [std::io::IoSlice::new(b"x")];
    rustix::net::sendmsg(&here, &bytes, &mut control, SendFlags::empty()).unwrap();
    drop(many);
    drop(descriptor);
    let error = receive(there.as_fd(), &mut [0; 16], MAX_DESCRIPTORS).unwrap_err();
    assert!(matches!(error, ReceiveError::TooManyDescriptors { .. }), "{error:?}");
    assert!(is_closed(reader));
}

#[test]
fn what_cannot_be_a_packet_is_not_sent() {
    let (here, there) = pair().unwrap();
    let (_reader, descriptor) = passenger();
    let too_many = vec![descriptor.as_fd(); MAX_DESCRIPTORS + 1];
    let cases: [(&[u8], &[BorrowedFd<'_>]); 3] = [(b"", &[]), (b"x", &too_many), (&vec![0; 1 << 24], &[])];
    for (bytes, descriptors) in cases {
        let error = send(here.as_fd(), bytes, descriptors).unwrap_err();
        assert!(matches!(error, SendError::Unsendable { .. }), "{error:?}");
    }
    assert!(matches!(receive(there.as_fd(), &mut [0; 16], 1), Err(ReceiveError::Empty)));
}

#[test]
fn a_peer_that_never_reads_fills_its_own_socket_only() {
    let (here, there) = pair().unwrap();
    let mut sent = 0;
    let error = loop {
        match send(here.as_fd(), &[0; 1024], &[]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::Full), "{error:?}");
    let mut buffer = [0; 1024];
    for _ in 0..sent {
        assert_eq!(receive(there.as_fd(), &mut buffer, 0).unwrap().length, 1024);
    }
    send(here.as_fd(), b"room again", &[]).unwrap();
}

#[test]
fn a_closed_peer_is_gone_but_what_it_sent_is_read_first() {
    let (here, there) = pair().unwrap();
    let mut buffer = [0; 16];
    // The peer leaves something unread behind, which the kernel reports before what the peer had sent.
    send(here.as_fd(), b"never read", &[]).unwrap();
    send(there.as_fd(), b"last words", &[]).unwrap();
    drop(there);
    let packet = receive(here.as_fd(), &mut buffer, 1).unwrap();
    assert_eq!(&buffer[..packet.length], b"last words");
    assert_eq!(receive(here.as_fd(), &mut buffer, 1).unwrap().length, 0);
    let error = send(here.as_fd(), b"anybody?", &[]).unwrap_err();
    assert!(matches!(error, SendError::Gone), "{error:?}");
}

#[test]
fn a_descriptor_on_its_way_to_nobody_is_closed() {
    let (here, there) = pair().unwrap();
    let (reader, descriptor) = passenger();
    send(here.as_fd(), b"x", &[descriptor.as_fd()]).unwrap();
    drop((descriptor, here, there));
    assert!(is_closed(reader));
}
