//! A process whose descriptor table is full: the bytes arrive, the descriptors are lost, and that is said. Alone in its
//! program, because the limit holds for all of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, OwnedFd};

#[test]
fn a_full_table_is_told_apart_from_too_many_descriptors() {
    let (here, there) = fdpass::pair().unwrap();
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fill = Vec::<OwnedFd>::new();
    while let Ok(another) = here.as_fd().try_clone_to_owned() {
        fill.push(another);
    }

    let gifts = [here.as_fd(), there.as_fd()];
    let check = |room: usize, expected: Result<usize, fdpass::OutOfDescriptors>| {
        fdpass::send(here.as_fd(), b"gift", &gifts).unwrap();
        let mut buffer = [0; 16];
        let packet = fdpass::receive(there.as_fd(), &mut buffer, 2).unwrap();
        assert_eq!(&buffer[..packet.length], b"gift", "room for {room}");
        let received = packet.descriptors.map(|descriptors| descriptors.len());
        assert_eq!(received, expected, "room for {room}");
    };
    check(0, Err(fdpass::OutOfDescriptors));
    fill.pop();
    check(1, Err(fdpass::OutOfDescriptors));
    // What came through before is closed again: there is as much room as before.
    check(1, Err(fdpass::OutOfDescriptors));
    fill.pop();
    check(2, Ok(2));
}
