//! Datagrams inside the guest.

use std::net::SocketAddr;

use p1_guests::calls::{self, NONBLOCK, PEEK, READING, WRITING};
use p1_guests::report::Report;
use p1_guests::sockets::{self, DATAGRAM, V4, V6};

fn bound(family: u32, local: &str) -> (u32, SocketAddr) {
    let fd = sockets::socket(family, DATAGRAM).expect("a socket");
    sockets::bind(fd, local).expect("an address");
    (fd, sockets::local_address(fd).expect("an address"))
}

pub(crate) fn check(report: &mut Report) {
    for (family, local) in [(V4, "127.0.0.1:0"), (V6, "[::1]:0")] {
        unconnected(report, family, local);
    }
    connected(report);
    sizes(report);
}

fn unconnected(report: &mut Report, family: u32, local: &str) {
    let (here, here_address) = bound(family, local);
    let (there, there_address) = bound(family, local);
    report.same(&format!("{local}: send"), sockets::send_to(here, b"ping", there_address), Ok(4));
    report.same(
        &format!("{local}: look at it"),
        sockets::receive_from(there, 64, PEEK),
        Ok((b"ping".to_vec(), here_address, false)),
    );
    report.same(
        &format!("{local}: receive"),
        sockets::receive_from(there, 64, 0),
        Ok((b"ping".to_vec(), here_address, false)),
    );
    report.same(&format!("{local}: answer"), sockets::send_to(there, b"pong", here_address), Ok(4));
    report.same(&format!("{local}: read it"), calls::read(here, 64), Ok(b"pong".to_vec()));
    report.same(&format!("{local}: too long"), sockets::send_to(here, b"abcdef", there_address), Ok(6));
    report.same(&format!("{local}: is cut"), calls::receive(there, &[2, 1], 0), Ok((b"abc".to_vec(), true)));
    report.same(&format!("{local}: empty"), sockets::send_to(here, b"", there_address), Ok(0));
    report.same(
        &format!("{local}: is one as well"),
        sockets::receive_from(there, 64, 0),
        Ok((Vec::new(), here_address, false)),
    );
    report.ok(&format!("{local}: non-blocking"), calls::set_flags(there, NONBLOCK));
    report.fails(&format!("{local}: no more"), sockets::receive_from(there, 64, 0), "AGAIN");
    report.ok(&format!("{local}: close"), calls::close(here).and_then(|()| calls::close(there)));
}

fn connected(report: &mut Report) {
    let (server, server_address) = bound(V4, "127.0.0.1:0");
    let (stranger, stranger_address) = bound(V4, "127.0.0.1:0");
    let client = sockets::socket(V4, DATAGRAM).expect("a socket");
    report.ok("connect", sockets::connect(client, server_address));
    report.same("peer", sockets::peer_address(client), Ok(server_address));
    let client_address = sockets::local_address(client).expect("an address");
    report.same("it has an address", client_address.ip().is_loopback() && client_address.port() > 0, true);
    report.same("write", calls::write(client, b"a"), Ok(1));
    report.same("send pieces as one", calls::send(client, &[b"b", b"c"]), Ok(2));
    report.same("one", sockets::receive_from(server, 64, 0), Ok((b"a".to_vec(), client_address, false)));
    report.same("and one", sockets::receive_from(server, 64, 0), Ok((b"bc".to_vec(), client_address, false)));
    report.same("to its peer by name", sockets::send_to(client, b"d", server_address), Ok(1));
    report.fails("to another", sockets::send_to(client, b"d", stranger_address), "ISCONN");
    report.same("a stranger sends", sockets::send_to(stranger, b"no", client_address), Ok(2));
    report.same("the peer sends", sockets::send_to(server, b"yes", client_address), Ok(3));
    report.same("only the peer is heard", calls::receive(client, &[64], 0), Ok((b"yes".to_vec(), false)));
    report.ok("end writing", calls::shutdown(client, WRITING));
    report.fails("nothing goes out", calls::write(client, b"x"), "PIPE");
    report.ok("end reading", calls::shutdown(client, READING));
    report.same("nothing comes in", calls::receive(client, &[64], 0), Ok((Vec::new(), false)));
    let other = sockets::socket(V4, DATAGRAM).expect("a socket");
    report.ok("another connects", sockets::connect(other, server_address));
    report.ok("and lets go", sockets::disconnect(other));
    report.fails("so it has no peer", sockets::peer_address(other), "NOTCONN");
    report.fails("and nobody to write to", calls::write(other, b"x"), "DESTADDRREQ");
    for fd in [server, stranger, client, other] {
        report.ok("close", calls::close(fd));
    }
}

fn sizes(report: &mut Report) {
    let (here, _) = bound(V4, "127.0.0.1:0");
    let (there, there_address) = bound(V4, "127.0.0.1:0");
    for size in [1, 1472, 9000, 65_507] {
        let data: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        report.same("send", sockets::send_to(here, &data, there_address), Ok(size));
        let received = sockets::receive_from(there, 65_536, 0).map(|(received, _, cut)| (received == data, cut));
        report.same(&format!("{size} bytes"), received, Ok((true, false)));
    }
    report.fails("one more", sockets::send_to(here, &[0; 65_508], there_address), "MSGSIZE");
    report.fails("many more", sockets::send_to(here, &vec![0; 1 << 20], there_address), "MSGSIZE");
    report.ok("close", calls::close(here).and_then(|()| calls::close(there)));
}
