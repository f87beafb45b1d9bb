//! `udp-echo HOST PORT`: a UDP server that sends each datagram back to where it came from.
//!
//! Prints `listening on HOST:PORT` when datagrams may come.

use p3_guests::{arguments, fail, family, parse, plain, wire};
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::UdpSocket;

struct Echo;

impl Guest for Echo {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let [host, port] = arguments.as_slice() else { return fail("usage: udp-echo HOST PORT") };
        let address = parse(host, port);
        let socket = UdpSocket::create(family(address)).expect("a socket");
        if let Err(error) = socket.bind(wire(address)) {
            return fail(format!("udp-echo: bind: {error:?}"));
        }
        println!("listening on {}", plain(socket.get_local_address().expect("a bound socket")));
        loop {
            // One peer's trouble is not another's.
            let answered = match socket.receive().await {
                Ok((data, from)) => socket.send(data, Some(from)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = answered {
                eprintln!("udp-echo: {error:?}");
            }
        }
    }
}

wasip3::cli::command::export!(Echo);
