//! Waiting for several things at once.

use p1_guests::calls::{self, NONBLOCK, WRITING};
use p1_guests::errno::Errno;
use p1_guests::poll::{Happened, Want, now, poll};
use p1_guests::report::Report;
use p1_guests::sockets::{self, DATAGRAM, STREAM, V4};

use crate::stream::pair;

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;
const BADF: Errno = Errno(8);
const INVAL: Errno = Errno(28);

pub(crate) fn check(report: &mut Report) {
    report.fails("nothing to wait for", poll(&[]), "INVAL");
    clocks(report);
    streams(report);
    listeners(report);
    datagrams(report);
    mixes(report);
}

fn clocks(report: &mut Report) {
    report.same("at once", poll(&[Want::After(1, 0)]), Ok(vec![Happened::Time(0)]));
    report.same("by the time of day", poll(&[Want::After(0, MILLISECOND)]), Ok(vec![Happened::Time(0)]));
    let before = now(1);
    report.same(
        "the shorter",
        poll(&[Want::After(1, HOUR), Want::After(1, 5 * MILLISECOND)]),
        Ok(vec![Happened::Time(1)]),
    );
    report.same("not before its time", now(1) >= before + 5 * MILLISECOND, true);
    report.same("a time of a clock", poll(&[Want::At(1, now(1) + 5 * MILLISECOND)]), Ok(vec![Happened::Time(0)]));
    report.same("a time of the day", poll(&[Want::At(0, now(0) + 5 * MILLISECOND)]), Ok(vec![Happened::Time(0)]));
    report.same(
        "times that are over",
        poll(&[Want::At(1, 1), Want::After(1, HOUR), Want::At(0, 0), Want::After(1, 0)]),
        Ok(vec![Happened::Time(0), Happened::Time(2), Happened::Time(3)]),
    );
    report.same("no such clock", poll(&[Want::After(2, HOUR)]), Ok(vec![Happened::Error(0, INVAL)]));
}

fn streams(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same("room to write", poll(&[Want::Write(near)]), Ok(vec![Happened::Ready(0, 1)]));
    report.same("nothing to read", poll(&[Want::Read(far), Want::After(1, MILLISECOND)]), Ok(vec![Happened::Time(1)]));
    report.same("nothing to read now", poll(&[Want::Read(far), Want::After(1, 0)]), Ok(vec![Happened::Time(1)]));
    calls::write(near, b"hello").expect("written");
    report.same("five bytes", poll(&[Want::Read(far), Want::After(1, HOUR)]), Ok(vec![Happened::Ready(0, 5)]));
    report.same(
        "the same twice, and the other way",
        poll(&[Want::Read(far), Want::Write(far), Want::Read(near), Want::Read(far)]),
        Ok(vec![Happened::Ready(0, 5), Happened::Ready(1, 1), Happened::Ready(3, 5)]),
    );
    calls::shutdown(near, WRITING).expect("ended");
    report.same("bytes before the end", poll(&[Want::Read(far)]), Ok(vec![Happened::Ready(0, 5)]));
    calls::read(far, 8).expect("read");
    report.same("the end", poll(&[Want::Read(far)]), Ok(vec![Happened::HungUp(0)]));
    calls::set_flags(far, NONBLOCK).expect("flags");
    while calls::write(far, &[0; 65_536]).is_ok() {}
    report.same("no room", poll(&[Want::Write(far), Want::After(1, MILLISECOND)]), Ok(vec![Happened::Time(1)]));
    while calls::receive(near, &[1 << 20], 0).is_ok_and(|(data, _)| data.len() == 1 << 20) {}
    report.same("room again", poll(&[Want::Write(far), Want::After(1, HOUR)]), Ok(vec![Happened::Ready(0, 1)]));
    calls::close(near).and_then(|()| calls::close(far)).expect("closed");
    let new = sockets::socket(V4, STREAM).expect("a socket");
    report.same(
        "never connected",
        poll(&[Want::Read(new), Want::Write(new)]),
        Ok(vec![Happened::HungUp(0), Happened::HungUp(1)]),
    );
    calls::close(new).expect("closed");
}

fn listeners(report: &mut Report) {
    let listener = sockets::socket(V4, STREAM).expect("a socket");
    sockets::bind(listener, "127.0.0.1:0").and_then(|()| sockets::listen(listener, 8)).expect("a listener");
    let address = sockets::local_address(listener).expect("an address");
    let both = [Want::Read(listener), Want::Write(listener), Want::After(1, MILLISECOND)];
    report.same("nobody yet", poll(&both), Ok(vec![Happened::Time(2)]));
    let client = sockets::socket(V4, STREAM).expect("a socket");
    calls::set_flags(client, NONBLOCK).expect("flags");
    match sockets::connect(client, address) {
        Ok(()) => report.same("connected at once", true, true),
        outcome => report.fails("connecting", outcome, "INPROGRESS"),
    }
    report.same("connected", poll(&[Want::Write(client), Want::After(1, HOUR)]), Ok(vec![Happened::Ready(0, 1)]));
    report.same("no error", sockets::option(client, 0, 2), Ok(0));
    report.same("somebody", poll(&[Want::Read(listener), Want::After(1, HOUR)]), Ok(vec![Happened::Ready(0, 1)]));
    let accepted = sockets::accept(listener, 0).expect("a connection");
    for fd in [listener, client, accepted] {
        calls::close(fd).expect("closed");
    }
}

fn datagrams(report: &mut Report) {
    let socket = || {
        let fd = sockets::socket(V4, DATAGRAM).expect("a socket");
        sockets::bind(fd, "127.0.0.1:0").expect("an address");
        (fd, sockets::local_address(fd).expect("an address"))
    };
    let ((here, here_address), (there, there_address)) = (socket(), socket());
    report.same("room for a datagram", poll(&[Want::Write(here)]), Ok(vec![Happened::Ready(0, 1)]));
    report.same("no datagram", poll(&[Want::Read(there), Want::After(1, 0)]), Ok(vec![Happened::Time(1)]));
    sockets::send_to(here, b"abc", there_address).expect("sent");
    report.same("a datagram", poll(&[Want::Read(there), Want::After(1, HOUR)]), Ok(vec![Happened::Ready(0, 3)]));
    report.same("it is still there", sockets::receive_from(there, 8, 0), Ok((b"abc".to_vec(), here_address, false)));
    let new = sockets::socket(V4, DATAGRAM).expect("a socket");
    report.same(
        "one that has no port",
        poll(&[Want::Read(new), Want::After(1, MILLISECOND)]),
        Ok(vec![Happened::Time(1)]),
    );
    for fd in [here, there, new] {
        calls::close(fd).expect("closed");
    }
}

fn mixes(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same(
        "one that is none, at once",
        poll(&[Want::After(1, HOUR), Want::Read(77), Want::Read(far), Want::Write(far)]),
        Ok(vec![Happened::Error(1, BADF), Happened::Ready(3, 1)]),
    );
    report.same(
        "output has room",
        poll(&[Want::Write(1), Want::Write(2)]),
        Ok(vec![Happened::Ready(0, 1), Happened::Ready(1, 1)]),
    );
    report.same("output cannot be read", poll(&[Want::Read(1)]), Ok(vec![Happened::Error(0, BADF)]));
    report.same("input cannot be written", poll(&[Want::Write(0)]), Ok(vec![Happened::Error(0, BADF)]));
    calls::write(near, b"x").expect("written");
    let many: Vec<Want> = (0..1000).map(|_| Want::Read(far)).collect();
    report.same("a thousand times", poll(&many).map(|events| events.len()), Ok(1000));
    calls::close(near).and_then(|()| calls::close(far)).expect("closed");
}

/// Standard input comes when the first line says so.
pub(crate) fn check_input(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same(
        "no input, nothing to read",
        poll(&[Want::Read(0), Want::Read(far), Want::After(1, 20 * MILLISECOND)]),
        Ok(vec![Happened::Time(2)]),
    );
    println!("ready for input");
    report.same(
        "input",
        poll(&[Want::Read(far), Want::Read(0), Want::After(1, HOUR)]),
        Ok(vec![Happened::Ready(1, 1)]),
    );
    report.same("it is all there", calls::read(0, 64), Ok(b"typed\n".to_vec()));
    calls::write(near, b"sent").expect("written");
    report.same("a socket instead", poll(&[Want::Read(0), Want::Read(far)]), Ok(vec![Happened::Ready(1, 4)]));
    println!("ready for the end");
    calls::read(far, 8).expect("read");
    report.same("the end of input", poll(&[Want::Read(far), Want::Read(0)]), Ok(vec![Happened::Ready(1, 1)]));
    report.same("is the end", calls::read(0, 64), Ok(Vec::new()));
    report.same("input again", poll(&[Want::Read(0)]), Ok(vec![Happened::Ready(0, 1)]));
}
