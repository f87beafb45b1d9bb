//! A connection inside the guest.

use std::net::SocketAddr;

use p1_guests::calls::{self, NONBLOCK, PEEK, READING, WAIT_ALL, WRITING};
use p1_guests::poll::{Happened, Want, poll};
use p1_guests::report::Report;
use p1_guests::sockets::{self, STREAM, V4, V6};

/// Both ends of a new connection, the one that connected first, and where it connected to.
pub(crate) fn pair(family: u32, local: &str) -> (u32, u32, SocketAddr) {
    let listener = sockets::socket(family, STREAM).expect("a socket");
    sockets::bind(listener, local).expect("an address");
    sockets::listen(listener, 8).expect("a listener");
    let address = sockets::local_address(listener).expect("an address");
    let near = sockets::socket(family, STREAM).expect("a socket");
    sockets::connect(near, address).expect("a connection");
    let far = sockets::accept(listener, 0).expect("a connection");
    calls::close(listener).expect("closed");
    (near, far, address)
}

pub(crate) fn check(report: &mut Report) {
    for (family, local) in [(V4, "127.0.0.1:0"), (V4, "127.0.0.2:0"), (V6, "[::1]:0")] {
        addresses(report, family, local);
    }
    data(report);
    waiting(report);
    ends(report);
    numbers(report);
    accepting(report);
    queueing(report);
    many_bytes(report);
}

fn addresses(report: &mut Report, family: u32, local: &str) {
    let (near, far, address) = pair(family, local);
    report.same(&format!("{local}: peer"), sockets::peer_address(near), Ok(address));
    report.same(&format!("{local}: local of the accepted"), sockets::local_address(far), Ok(address));
    report.same(&format!("{local}: they know each other"), sockets::peer_address(far), sockets::local_address(near));
    report.fails(&format!("{local}: connect again"), sockets::connect(near, address), "ISCONN");
    report.fails(&format!("{local}: listen"), sockets::listen(near, 1), "INVAL");
    report.fails(&format!("{local}: accept"), sockets::accept(near, 0), "INVAL");
    report.fails(&format!("{local}: bind"), sockets::bind(near, local), "INVAL");
    report.ok(&format!("{local}: close"), calls::close(near).and_then(|()| calls::close(far)));
}

fn data(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same("write", calls::write(near, b"hello"), Ok(5));
    report.same("read a part", calls::read(far, 2), Ok(b"he".to_vec()));
    report.same("peek", calls::receive(far, &[10], PEEK), Ok((b"llo".to_vec(), false)));
    report.same("peek into pieces", calls::receive(far, &[1, 0, 1], PEEK), Ok((b"ll".to_vec(), false)));
    report.same("read the rest", calls::receive(far, &[10], 0), Ok((b"llo".to_vec(), false)));
    report.same("send pieces", calls::send(near, &[b"ab", b"", b"cd"]), Ok(4));
    report.same("write pieces", calls::write_all(near, &[b"ef", b"g"]), Ok(3));
    report.same("receive pieces", calls::receive(far, &[3, 3, 1], WAIT_ALL), Ok((b"abcdefg".to_vec(), false)));
    report.same("nothing to write", calls::write(near, b""), Ok(0));
    report.same("nothing to read", calls::read(far, 0), Ok(Vec::new()));
    report.same("no pieces", calls::receive(far, &[], 0), Ok((Vec::new(), false)));
    report.same(
        "send to needs no address",
        sockets::send_to(near, b"x", "127.0.0.1:9".parse().expect("an address")),
        Ok(1),
    );
    let peer = sockets::peer_address(far).expect("an address");
    report.same("receive from tells the peer", sockets::receive_from(far, 4, 0), Ok((b"x".to_vec(), peer, false)));
    report.ok("close", calls::close(near).and_then(|()| calls::close(far)));
}

fn waiting(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.ok("non-blocking", calls::set_flags(far, NONBLOCK));
    report.fails("nothing to read yet", calls::read(far, 1), "AGAIN");
    report.fails("nothing to peek at yet", calls::receive(far, &[1], PEEK), "AGAIN");
    report.fails("nothing to wait for", calls::receive(far, &[1], WAIT_ALL), "AGAIN");
    report.same("some bytes", calls::write(near, b"abc"), Ok(3));
    report.same("not all of what is wanted", calls::receive(far, &[8], WAIT_ALL), Ok((b"abc".to_vec(), false)));
    let half_a_second = [0_i64.to_le_bytes(), 50_000_i64.to_le_bytes()].concat();
    report.ok("blocking, but not for long", calls::set_flags(far, 0));
    report.ok("receive time-out", sockets::set_option(far, 0, 11, &half_a_second));
    report.fails("time is up", calls::read(far, 1), "AGAIN");
    report.same("a part in time", calls::write(near, b"de"), Ok(2));
    report.same("and no more", calls::receive(far, &[8], WAIT_ALL), Ok((b"de".to_vec(), false)));
    report.ok("close", calls::close(near).and_then(|()| calls::close(far)));
}

fn ends(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.same("last words", calls::write(near, b"bye"), Ok(3));
    report.ok("end writing", calls::shutdown(near, WRITING));
    report.ok("end writing twice", calls::shutdown(near, WRITING));
    report.fails("write after the end", calls::write(near, b"x"), "PIPE");
    report.same("all of it, then the end", calls::receive(far, &[8], WAIT_ALL), Ok((b"bye".to_vec(), false)));
    report.same("the end", calls::read(far, 8), Ok(Vec::new()));
    report.same("the end, seen ahead", calls::receive(far, &[8], PEEK), Ok((Vec::new(), false)));
    report.same("the other way goes on", calls::write(far, b"still"), Ok(5));
    report.same("and arrives", calls::read(near, 8), Ok(b"still".to_vec()));
    report.ok("end reading", calls::shutdown(near, READING));
    report.same("nothing more to read", calls::read(near, 8), Ok(Vec::new()));
    report.ok("the other end goes", calls::close(far));
    report.ok("end both", calls::shutdown(near, READING | WRITING));
    report.ok("close", calls::close(near));
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    report.ok("closed at once", calls::close(far));
    report.same("that is an end", calls::read(near, 8), Ok(Vec::new()));
    report.fails("nobody to write to", calls::write(near, b"x"), "PIPE");
    report.ok("close", calls::close(near));
}

fn numbers(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    let (near2, far2, _) = pair(V4, "127.0.0.1:0");
    report.ok("in another's place", calls::renumber(near, near2));
    report.fails("its number is free", calls::write(near, b"x"), "BADF");
    report.same("the one that was replaced is closed", calls::read(far2, 1), Ok(Vec::new()));
    report.same("under its new number", calls::write(near2, b"moved"), Ok(5));
    report.same("it is the same", calls::read(far, 8), Ok(b"moved".to_vec()));
    report.ok("onto itself", calls::renumber(far, far));
    report.same("which changes nothing", calls::write(far, b"back"), Ok(4));
    report.same("nothing at all", calls::read(near2, 8), Ok(b"back".to_vec()));
    // The listeners of both pairs had the number before.
    report.same("the lowest number is next", sockets::socket(V4, STREAM), Ok(near - 1));
    report.same("then the one that became free", sockets::socket(V4, STREAM), Ok(near));
    report.ok("close", calls::close(near - 1));
    for fd in [near, far, near2, far2] {
        report.ok("close", calls::close(fd));
    }
}

fn accepting(report: &mut Report) {
    let listener = sockets::socket(V4, STREAM).expect("a socket");
    sockets::bind(listener, "127.0.0.1:0").expect("an address");
    sockets::listen(listener, 8).expect("a listener");
    let address = sockets::local_address(listener).expect("an address");
    let clients: Vec<u32> = (0..3)
        .map(|_| {
            let client = sockets::socket(V4, STREAM).expect("a socket");
            sockets::connect(client, address).expect("a connection");
            client
        })
        .collect();
    for client in &clients {
        let accepted = sockets::accept(listener, NONBLOCK).expect("a connection");
        report.same("accepted as asked", calls::status(accepted).expect("status").flags, NONBLOCK);
        report.same("in order", sockets::peer_address(accepted), sockets::local_address(*client));
        report.ok("close the accepted", calls::close(accepted));
    }
    report.ok("non-blocking", calls::set_flags(listener, NONBLOCK));
    report.fails("no more", sockets::accept(listener, 0), "AGAIN");
    report.ok("close", calls::close(listener));
    for client in clients {
        report.ok("close", calls::close(client));
    }
    let late = sockets::socket(V4, STREAM).expect("a socket");
    report.fails("nobody listens any more", sockets::connect(late, address), "ACCES");
    report.ok("close", calls::close(late));
}

/// A connection that waits for room in a listener's queue is under way for as long as the test wants.
fn queueing(report: &mut Report) {
    let listener = sockets::socket(V4, STREAM).expect("a socket");
    sockets::bind(listener, "127.0.0.1:0").and_then(|()| sockets::listen(listener, 1)).expect("a listener");
    let address = sockets::local_address(listener).expect("an address");
    let first = sockets::socket(V4, STREAM).expect("a socket");
    report.ok("the queue has room for one", sockets::connect(first, address));
    let second = sockets::socket(V4, STREAM).expect("a socket");
    calls::set_flags(second, NONBLOCK).expect("flags");
    report.fails("under way", sockets::connect(second, address), "INPROGRESS");
    report.fails("under way already", sockets::connect(second, address), "ALREADY");
    report.fails("no peer yet", sockets::peer_address(second), "NOTCONN");
    report.fails("nothing to read yet", calls::read(second, 1), "AGAIN");
    report.fails("nothing to peek at yet", calls::receive(second, &[1], PEEK), "AGAIN");
    report.fails("no writing yet", calls::write(second, b"x"), "AGAIN");
    report.fails("no end yet", calls::shutdown(second, WRITING), "NOTCONN");
    report.fails("no listening", sockets::listen(second, 1), "INVAL");
    report.same("no error yet", sockets::option(second, 0, 2), Ok(0));
    let third = sockets::socket(V4, STREAM).expect("a socket");
    let a_moment = [0_i64.to_le_bytes(), 20_000_i64.to_le_bytes()].concat();
    report.ok("send time-out", sockets::set_option(third, 0, 12, &a_moment));
    report.fails("it is for connecting, too", sockets::connect(third, address), "INPROGRESS");
    let waiting = [Want::Write(second), Want::Read(second), Want::After(1, 1_000_000)];
    report.same("not connected yet", poll(&waiting), Ok(vec![Happened::Time(2)]));
    let accepted = sockets::accept(listener, 0).expect("a connection");
    report.same("now it is", poll(&[Want::Write(second)]), Ok(vec![Happened::Ready(0, 1)]));
    report.fails("for good", sockets::connect(second, address), "ISCONN");
    report.same("with its peer", sockets::peer_address(second), Ok(address));
    for fd in [listener, first, second, third, accepted] {
        report.ok("close", calls::close(fd));
    }
}

/// More than any buffer takes at once.
fn many_bytes(report: &mut Report) {
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    let data: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    calls::set_flags(near, NONBLOCK).expect("flags");
    calls::set_flags(far, NONBLOCK).expect("flags");
    let (mut sent, mut received, mut full) = (0, Vec::new(), false);
    while received.len() < data.len() {
        let error = loop {
            match calls::write(near, &data[sent..]) {
                Ok(0) => break None,
                Ok(count) => sent += count,
                Err(error) => break Some(error),
            }
        };
        full |= format!("{error:?}") == "Some(AGAIN)";
        if let Ok(some) = calls::read(far, 100_000) {
            received.extend(some);
        }
    }
    report.same("there was no room at times", full, true);
    report.same("everything came", received == data, true);
    report.ok("close", calls::close(near).and_then(|()| calls::close(far)));
}
