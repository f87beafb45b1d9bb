//! A child process that is given its socket as standard input. Alone in its program, because a child that starts holds
//! the descriptors of the other tests for a moment.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

const CHILD: &str = "a_child_takes_the_socket_that_is_its_standard_input";

/// The test is its own child: with a socket as standard input it answers there.
#[test]
fn a_child_takes_the_socket_that_is_its_standard_input() {
    if let Ok(socket) = fdpass::take_stdin() {
        fdpass::send(socket.as_fd(), b"from the child", &[]).unwrap();
        assert_eq!(std::io::read_to_string(std::io::stdin()).unwrap(), "");
        return;
    }
    let (here, there) = fdpass::pair().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD])
        .stdin(Stdio::from(there))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let mut buffer = [0; 32];
    let packet = fdpass::receive(here.as_fd(), &mut buffer, 0).unwrap();
    assert_eq!(&buffer[..packet.length], b"from the child");
}
