//! What others have a say in: connections out of the guest, names, and limits.

use std::net::SocketAddr;

use p1_guests::calls::{self, NONBLOCK, WRITING};
use p1_guests::poll::{Happened, Want, poll};
use p1_guests::report::Report;
use p1_guests::sockets::{self, DATAGRAM, STREAM, V4, V6, lookup};

fn family(remote: SocketAddr) -> u32 {
    if remote.is_ipv4() { V4 } else { V6 }
}

pub(crate) fn check_names(report: &mut Report) {
    let found = |addresses: &[&str]| {
        Ok(addresses.iter().map(|text| text.parse().expect("an address")).collect::<Vec<SocketAddr>>())
    };
    report.same("an address", lookup("10.0.0.1", "80", 0, 0, 2), found(&["10.0.0.1:80"]));
    report.same("one of IPv6", lookup("::1", "http", 0, 0, 2), found(&["[::1]:80"]));
    report.same("localhost", lookup("localhost\0", "https\0", 0, 0, 2), found(&["127.0.0.1:443", "[::1]:443"]));
    report.same("of one family", lookup("localhost", "", 0, 2, 2), found(&["[::1]:0"]));
    report.same("of both kinds", lookup("localhost", "1", 0, 1, 0), found(&["127.0.0.1:1", "127.0.0.1:1"]));
    report.same("to listen at", lookup("", "80", 1, 0, 2), found(&["0.0.0.0:80", "[::]:80"]));
    report.same("to reach this host", lookup("", "80", 0, 0, 2), found(&["127.0.0.1:80", "[::1]:80"]));
    report.same("a number for a number", lookup("127.0.0.1", "80", 12, 0, 2), found(&["127.0.0.1:80"]));
    report.fails("no number for a host", lookup("localhost", "80", 4, 0, 2), "AINONAME");
    report.fails("no number for a service", lookup("127.0.0.1", "http", 8, 0, 2), "AINONAME");
    report.fails("nothing", lookup("", "", 0, 0, 2), "AINONAME");
    report.fails("no name", lookup("a b", "80", 0, 0, 2), "AINONAME");
    report.fails("a long name", lookup(&"a".repeat(2000), "80", 0, 0, 2), "AINONAME");
    report.fails("no service", lookup("127.0.0.1", "no-such", 0, 0, 2), "AISERVICE");
    report.fails("no port", lookup("127.0.0.1", "65536", 0, 0, 2), "AISERVICE");
    report.fails("the other family", lookup("127.0.0.1", "80", 0, 2, 2), "AINODATA");
    report.fails("no family", lookup("127.0.0.1", "80", 0, 3, 2), "AIFAMILY");
    report.fails("no kind", lookup("127.0.0.1", "80", 0, 0, 3), "AISOCKTYPE");
    report.fails("no flags", lookup("127.0.0.1", "80", 128, 0, 2), "AIBADFLAG");
    report.fails("not granted", lookup("name.example.com", "80", 0, 0, 2), "ACCES");
}

pub(crate) fn check_connect(report: &mut Report, remote: SocketAddr) {
    let fd = sockets::socket(family(remote), STREAM).expect("a socket");
    report.ok("connect", sockets::connect(fd, remote));
    echo(report, fd, remote);
    let fd = sockets::socket(family(remote), STREAM).expect("a socket");
    report.ok("non-blocking", calls::set_flags(fd, NONBLOCK));
    report.fails("begin", sockets::connect(fd, remote), "INPROGRESS");
    // It may be there by now.
    let again = format!("{:?}", sockets::connect(fd, remote));
    report.same("begin again", again == "Err(ALREADY)" || again == "Err(ISCONN)", true);
    report.fails("nothing to read", calls::read(fd, 1), "AGAIN");
    report.same("done", poll(&[Want::Write(fd)]), Ok(vec![Happened::Ready(0, 1)]));
    report.same("no error", sockets::option(fd, 0, 2), Ok(0));
    report.fails("connected", sockets::connect(fd, remote), "ISCONN");
    report.ok("blocking", calls::set_flags(fd, 0));
    echo(report, fd, remote);
    let bound = sockets::socket(family(remote), STREAM).expect("a socket");
    report.ok("listening does not hinder others", sockets::listen(bound, 1));
    report.ok("close", calls::close(bound));
}

fn echo(report: &mut Report, fd: u32, remote: SocketAddr) {
    report.same("peer", sockets::peer_address(fd), Ok(remote));
    let local = sockets::local_address(fd).expect("an address");
    report.same("local", local.ip() == remote.ip() && local.port() > 0, true);
    report.same("write", calls::write(fd, b"hello"), Ok(5));
    report.same("read", calls::receive(fd, &[5], 2), Ok((b"hello".to_vec(), false)));
    report.ok("no delay", sockets::set_option(fd, 6, 15, &[1, 0, 0, 0]));
    report.same("told by the kernel", sockets::option(fd, 6, 15), Ok(1));
    report.ok("end", calls::shutdown(fd, WRITING));
    report.same("the other end", calls::read(fd, 1), Ok(Vec::new()));
    report.ok("close", calls::close(fd));
}

pub(crate) fn check_refused(report: &mut Report, remote: SocketAddr) {
    let fd = sockets::socket(family(remote), STREAM).expect("a socket");
    report.fails("refused", sockets::connect(fd, remote), "CONNREFUSED");
    report.fails("again", sockets::connect(fd, remote), "CONNREFUSED");
    report.fails("read", calls::read(fd, 1), "NOTCONN");
    report.fails("write", calls::write(fd, b"x"), "PIPE");
    report.same("no error left", sockets::option(fd, 0, 2), Ok(0));
    report.ok("non-blocking", calls::set_flags(fd, NONBLOCK));
    report.fails("begin", sockets::connect(fd, remote), "INPROGRESS");
    report.same("over", poll(&[Want::Write(fd)]), Ok(vec![Happened::HungUp(0)]));
    report.same("the error", sockets::option(fd, 0, 2), Ok(14));
    report.same("once", sockets::option(fd, 0, 2), Ok(0));
    report.fails("begin once more", sockets::connect(fd, remote), "INPROGRESS");
    report.same("over again", poll(&[Want::Read(fd)]), Ok(vec![Happened::HungUp(0)]));
    report.fails("told by the next call", calls::read(fd, 1), "CONNREFUSED");
    report.ok("bind after all", sockets::bind(fd, if remote.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }));
    report.ok("and listen", sockets::listen(fd, 1));
    report.ok("close", calls::close(fd));
}

pub(crate) fn check_denied(report: &mut Report, remote: SocketAddr) {
    let fd = sockets::socket(family(remote), STREAM).expect("a socket");
    report.fails("connect", sockets::connect(fd, remote), "ACCES");
    report.fails("connect again", sockets::connect(fd, remote), "ACCES");
    report.ok("close", calls::close(fd));
    let fd = sockets::socket(family(remote), DATAGRAM).expect("a socket");
    report.fails("send to", sockets::send_to(fd, b"x", remote), "ACCES");
    report.fails("connect datagrams", sockets::connect(fd, remote), "ACCES");
    report.ok("close", calls::close(fd));
    let fd = sockets::socket(V4, DATAGRAM).expect("a socket");
    report.fails("bind datagrams", sockets::bind(fd, "0.0.0.0:5353"), "ACCES");
    report.ok("close", calls::close(fd));
}

pub(crate) fn check_limit(report: &mut Report) {
    let mut open = Vec::new();
    let error = loop {
        match sockets::socket(V4, if open.len() % 2 == 0 { STREAM } else { DATAGRAM }) {
            Ok(fd) => open.push(fd),
            Err(error) => break error,
        }
    };
    report.same("so many", open.len(), 4096);
    report.same("then no more", format!("{error:?}"), "MFILE".to_owned());
    report.fails("still no more", sockets::socket(V6, DATAGRAM), "MFILE");
    let last = open.pop().expect("a socket");
    report.ok("close one", calls::close(last));
    report.same("and one is free", sockets::socket(V6, STREAM), Ok(last));
    for fd in open {
        if calls::close(fd).is_err() {
            report.same("close", fd, 0);
        }
    }
    report.ok("all closed", calls::close(last));
}
