//! Every call on sockets that are in no state for it.

use p1_guests::calls::{self, NONBLOCK, NOT_FOR_SOCKETS, READING, WRITING};
use p1_guests::report::Report;
use p1_guests::sockets::{self, DATAGRAM, STREAM, V4, V6};

pub(crate) fn check(report: &mut Report) {
    opening(report);
    let tcp = sockets::socket(V4, STREAM).expect("a socket");
    let udp = sockets::socket(V4, DATAGRAM).expect("a socket");
    for (kind, fd) in [("tcp", tcp), ("udp", udp)] {
        for (name, call, errno) in NOT_FOR_SOCKETS {
            report.fails(&format!("{kind}: {name}"), call(fd), errno);
        }
    }
    no_descriptor(report);
    new_stream(report, tcp);
    new_datagram(report, udp);
    binding(report);
    listening(report);
    flags(report, tcp);
    report.ok("close", calls::close(tcp));
    report.fails("close again", calls::close(tcp), "BADF");
}

fn opening(report: &mut Report) {
    report.fails("open: no family", sockets::socket(0, STREAM), "AFNOSUPPORT");
    report.fails("open: another family", sockets::socket(3, STREAM), "AFNOSUPPORT");
    report.fails("open: no kind", sockets::socket(V4, 0), "INVAL");
    report.fails("open: another kind", sockets::socket(V4, 3), "INVAL");
    let first = sockets::socket(V4, STREAM).expect("a socket");
    let second = sockets::socket(V6, DATAGRAM).expect("a socket");
    report.same("numbers follow", second, first + 1);
    report.ok("close the first", calls::close(first));
    let third = sockets::socket(V6, STREAM).expect("a socket");
    report.same("the lowest number is next", third, first);
    report.same("kind of a stream socket", calls::status(third).expect("status").kind, 6);
    report.same("kind of a datagram socket", calls::status(second).expect("status").kind, 5);
    report.same("file kind of a stream socket", calls::file_status(third).expect("status").kind, 6);
    report.same("file kind of a datagram socket", calls::file_status(second).expect("status").kind, 5);
    report.ok("close the others", calls::close(second).and_then(|()| calls::close(third)));
}

fn no_descriptor(report: &mut Report) {
    for fd in [77, u32::MAX] {
        report.fails("no descriptor: read", calls::read(fd, 1), "BADF");
        report.fails("no descriptor: write", calls::write(fd, b"x"), "BADF");
        report.fails("no descriptor: status", calls::status(fd), "BADF");
        report.fails("no descriptor: file status", calls::file_status(fd), "BADF");
        report.fails("no descriptor: set flags", calls::set_flags(fd, 0), "BADF");
        report.fails("no descriptor: seek", calls::seek(fd, 0), "BADF");
        report.fails("no descriptor: renumber", calls::renumber(fd, 0), "BADF");
        report.fails("no descriptor: renumber to", calls::renumber(0, fd), "BADF");
        every_socket_call(report, fd, "BADF");
    }
    for fd in 0..3 {
        every_socket_call(report, fd, "NOTSOCK");
    }
}

/// What all calls on sockets say of a descriptor that is none.
pub(crate) fn every_socket_call(report: &mut Report, fd: u32, errno: &str) {
    let somewhere = "127.0.0.1:1".parse().expect("an address");
    report.fails(&format!("{fd}: accept"), sockets::accept(fd, 0), errno);
    report.fails(&format!("{fd}: receive"), calls::receive(fd, &[1], 0), errno);
    report.fails(&format!("{fd}: send"), calls::send(fd, &[b"x"]), errno);
    report.fails(&format!("{fd}: shutdown"), calls::shutdown(fd, WRITING), errno);
    report.fails(&format!("{fd}: bind"), sockets::bind(fd, "127.0.0.1:0"), errno);
    report.fails(&format!("{fd}: listen"), sockets::listen(fd, 1), errno);
    report.fails(&format!("{fd}: connect"), sockets::connect(fd, somewhere), errno);
    report.fails(&format!("{fd}: local address"), sockets::local_address(fd), errno);
    report.fails(&format!("{fd}: peer address"), sockets::peer_address(fd), errno);
    report.fails(&format!("{fd}: send to"), sockets::send_to(fd, b"x", somewhere), errno);
    report.fails(&format!("{fd}: receive from"), sockets::receive_from(fd, 1, 0), errno);
    report.fails(&format!("{fd}: option"), sockets::option(fd, 0, 0), errno);
    report.fails(&format!("{fd}: set option"), sockets::set_option(fd, 0, 0, &[0; 4]), errno);
}

fn new_stream(report: &mut Report, fd: u32) {
    report.fails("new stream: read", calls::read(fd, 1), "NOTCONN");
    report.fails("new stream: receive", calls::receive(fd, &[1], 0), "NOTCONN");
    report.fails("new stream: write", calls::write(fd, b"x"), "PIPE");
    report.fails("new stream: send", calls::send(fd, &[b"x"]), "PIPE");
    report.fails("new stream: accept", sockets::accept(fd, 0), "INVAL");
    report.fails("new stream: shutdown", calls::shutdown(fd, READING | WRITING), "NOTCONN");
    report.fails("new stream: shutdown of nothing", calls::shutdown(fd, 0), "INVAL");
    report.fails("new stream: peer address", sockets::peer_address(fd), "NOTCONN");
    report.same("new stream: local address", sockets::local_address(fd), Ok("0.0.0.0:0".parse().expect("an address")));
    report.fails("new stream: flags without a meaning", calls::receive(fd, &[1], 64), "INVAL");
    report.fails("new stream: disconnect", sockets::disconnect(fd), "AFNOSUPPORT");
    let (v6, port_0) = ("[::1]:1".parse().expect("an address"), "127.0.0.1:0".parse().expect("an address"));
    report.fails("new stream: connect to the other family", sockets::connect(fd, v6), "AFNOSUPPORT");
    report.fails("new stream: connect to port 0", sockets::connect(fd, port_0), "CONNREFUSED");
    let group = "224.0.0.1:1".parse().expect("an address");
    report.fails("new stream: connect to a group", sockets::connect(fd, group), "NETUNREACH");
}

fn new_datagram(report: &mut Report, fd: u32) {
    report.fails("new datagram: send", calls::send(fd, &[b"x"]), "DESTADDRREQ");
    report.fails("new datagram: write", calls::write(fd, b"x"), "DESTADDRREQ");
    report.fails("new datagram: listen", sockets::listen(fd, 1), "NOTSUP");
    report.fails("new datagram: accept", sockets::accept(fd, 0), "NOTSUP");
    report.fails("new datagram: shutdown", calls::shutdown(fd, WRITING), "NOTCONN");
    report.fails("new datagram: peer address", sockets::peer_address(fd), "NOTCONN");
    report.same(
        "new datagram: local address",
        sockets::local_address(fd),
        Ok("0.0.0.0:0".parse().expect("an address")),
    );
    report.ok("new datagram: disconnect", sockets::disconnect(fd));
    let (v6, port_0) = ("[::1]:1".parse().expect("an address"), "127.0.0.1:0".parse().expect("an address"));
    report.fails("new datagram: send to the other family", sockets::send_to(fd, b"x", v6), "AFNOSUPPORT");
    report.fails("new datagram: send to port 0", sockets::send_to(fd, b"x", port_0), "INVAL");
    report.ok("new datagram: non-blocking", calls::set_flags(fd, NONBLOCK));
    report.fails("new datagram: nothing to receive", calls::receive(fd, &[1], 0), "AGAIN");
}

fn binding(report: &mut Report) {
    let fd = sockets::socket(V4, STREAM).expect("a socket");
    let other = sockets::socket(V4, STREAM).expect("a socket");
    report.fails("bind: another host's", sockets::bind(fd, "192.0.2.1:0"), "ADDRNOTAVAIL");
    report.fails("bind: the other family's", sockets::bind(fd, "[::1]:0"), "AFNOSUPPORT");
    report.fails("bind: no address", sockets::bind_bytes(fd, &mut [0; 128], 0), "AFNOSUPPORT");
    report.fails("bind: half an address", sockets::bind_bytes(fd, &mut [0; 3], 0), "INVAL");
    report.fails("bind: no port", sockets::bind_bytes(fd, &mut [127, 0, 0, 1], 65_536), "INVAL");
    report.fails("bind: not granted", sockets::bind(fd, "0.0.0.0:8080"), "ACCES");
    report.ok("bind: four bytes", sockets::bind_bytes(fd, &mut [127, 0, 0, 1], 0));
    report.fails("bind: twice", sockets::bind(fd, "127.0.0.1:0"), "INVAL");
    let local = sockets::local_address(fd).expect("an address");
    report.same("bind: a port was found", local.port() > 0, true);
    report.fails("bind: taken", sockets::bind(other, &local.to_string()), "ADDRINUSE");
    report.ok("bind: closed", calls::close(fd));
    report.ok("bind: free again", sockets::bind(other, &local.to_string()));
    report.ok("bind: done", calls::close(other));
}

fn listening(report: &mut Report) {
    let fd = sockets::socket(V4, STREAM).expect("a socket");
    report.ok("listen: without an address", sockets::listen(fd, 0));
    let local = sockets::local_address(fd).expect("an address");
    report.same("listen: it has one now", local.ip().is_unspecified() && local.port() > 0, true);
    report.ok("listen: again", sockets::listen(fd, 5));
    report.fails("listen: connect", sockets::connect(fd, local), "ISCONN");
    report.fails("listen: read", calls::read(fd, 1), "NOTCONN");
    report.fails("listen: write", calls::write(fd, b"x"), "PIPE");
    report.fails("listen: bind", sockets::bind(fd, "127.0.0.1:0"), "INVAL");
    report.ok("listen: end writing, which is nothing", calls::shutdown(fd, WRITING));
    report.ok("listen: non-blocking", calls::set_flags(fd, NONBLOCK));
    report.fails("listen: nobody is there", sockets::accept(fd, 0), "AGAIN");
    report.fails("listen: flags for a disk", sockets::accept(fd, 2), "AGAIN");
    report.ok("listen: stop", calls::shutdown(fd, READING));
    report.fails("listen: stopped", sockets::accept(fd, 0), "INVAL");
    report.ok("listen: done", calls::close(fd));
}

fn flags(report: &mut Report, fd: u32) {
    report.same("flags: blocking", calls::status(fd).expect("status").flags, 0);
    report.ok("flags: non-blocking", calls::set_flags(fd, NONBLOCK));
    report.same("flags: told", calls::status(fd).expect("status").flags, NONBLOCK);
    report.fails("flags: of a disk", calls::set_flags(fd, NONBLOCK | 2), "INVAL");
    report.same("flags: as before", calls::status(fd).expect("status").flags, NONBLOCK);
    report.ok("flags: blocking again", calls::set_flags(fd, 0));
    report.same(
        "rights: read, write, poll, shut down, accept",
        calls::status(fd).expect("status").rights & 0x3800_0042,
        0x3800_0042,
    );
}
