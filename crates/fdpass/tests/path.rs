//! Sockets at a path, and what is no socket of ours.

use std::io::{ErrorKind, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

#[test]
fn who_connects_to_a_path_reaches_who_listens_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let missing = fdpass::connect(&path).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    let listener = fdpass::listen(&path).unwrap();
    assert_eq!(fdpass::accept(listener.as_fd()).unwrap_err().kind(), ErrorKind::WouldBlock);
    let client = fdpass::connect(&path).unwrap();
    let server = fdpass::accept(listener.as_fd()).unwrap();
    fdpass::send(client.as_fd(), b"hello", &[]).unwrap();
    let mut buffer = [0; 16];
    let packet = fdpass::receive(server.as_fd(), &mut buffer, 0).unwrap();
    assert_eq!(&buffer[..packet.length], b"hello");

    assert_eq!(fdpass::listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(fdpass::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn only_this_user_may_connect() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = fdpass::listen(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_path_too_long_for_a_socket_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s".repeat(200));
    assert!(fdpass::listen(&path).is_err());
    assert!(fdpass::connect(&path).is_err());
}

#[test]
fn only_a_seqpacket_socket_is_adopted() {
    let (here, _there) = fdpass::pair().unwrap();
    assert!(fdpass::adopt(here).is_ok());
    let stream: OwnedFd = std::os::unix::net::UnixStream::pair().unwrap().0.into();
    let pipe: OwnedFd = pipe().unwrap().0.into();
    for other in [stream, pipe] {
        assert_eq!(fdpass::adopt(other).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
