//! `tcp-cat HOST PORT`: joins standard input and output to a TCP connection, without touching a byte itself: the streams
//! of the one are given to the other.

use p3_guests::{Code, arguments, fail, family, parse, wire};
use wasip3::cli::{stdin, stdout};
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::TcpSocket;

struct Cat;

impl Guest for Cat {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let [host, port] = arguments.as_slice() else { return fail("usage: tcp-cat HOST PORT") };
        let address = parse(host, port);
        let socket = TcpSocket::create(family(address)).expect("a socket");
        if let Err(error) = socket.connect(wire(address)).await {
            return fail(format!("tcp-cat: {}", error.name()));
        }
        let (input, _) = stdin::read_via_stream();
        let (received, outcome) = socket.receive();
        let sent = socket.send(input);
        let printed = stdout::write_via_stream(received);
        let (sent, received, printed) =
            futures::join!(sent.into_future(), outcome.into_future(), printed.into_future());
        if sent.is_err() || received.is_err() || printed.is_err() {
            return fail(format!("tcp-cat: sent: {sent:?}, received: {received:?}, printed: {printed:?}"));
        }
        Ok(())
    }
}

wasip3::cli::command::export!(Cat);
