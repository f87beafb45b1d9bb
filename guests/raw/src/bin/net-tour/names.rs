//! Lookups with the standard library.

use crate::tour::{Tour, kind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

/// Everything of this file.
pub fn walk(tour: &mut Tour) {
    tour.section("names");
    for name in ["127.0.0.1:80", "[::1]:80", "192.0.2.7:1"] {
        tour.say(name, look_up(name));
    }
    for name in ["localhost:80", "LOCALHOST:80"] {
        let loopback = |mut found: std::vec::IntoIter<SocketAddr>| found.all(|address| address.ip().is_loopback());
        tour.show(&format!("{name} is loopback"), name.to_socket_addrs().map(loopback));
    }
    for name in ["exa mple.com:80", "example..com:80", ":80", "localhost", "localhost:http", "localhost:99999"] {
        tour.say(&format!("bad {name:?}"), if name.to_socket_addrs().is_err() { "refused" } else { "taken" });
    }
    let listener = TcpListener::bind(("localhost", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tour.done("connect by name", &TcpStream::connect(("localhost", port)));
    let server = UdpSocket::bind(("localhost", 0)).expect("a free port");
    let at = SocketAddr::new(server.local_addr().expect("it is bound").ip(), 0);
    let port = server.local_addr().expect("it is bound").port();
    let client = UdpSocket::bind(at).expect("a free port");
    tour.show("send by name", client.send_to(b"x", ("localhost", port)));
}

/// The addresses, sorted: their order is the system's.
fn look_up(name: &str) -> String {
    match name.to_socket_addrs() {
        Ok(found) => {
            let mut texts: Vec<String> = found.map(|address| address.to_string()).collect();
            texts.sort();
            texts.dedup();
            texts.join(" ")
        }
        Err(error) => kind(&error),
    }
}
