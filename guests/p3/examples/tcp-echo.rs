//! `tcp-echo HOST PORT`: a TCP server that sends everything back, to as many clients at once as come.
//!
//! Prints `listening on HOST:PORT` when clients may come, and `REMOTE is at LOCAL` for each that does. Each client is a
//! task of its own; an end of its stream is answered with an end of ours.

use p3_guests::{Connection, arguments, fail, family, parse, plain, wire};
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::TcpSocket;
use wasip3::spawn_local;
use wasip3::wit_bindgen::rt::async_support::StreamResult;

struct Echo;

impl Guest for Echo {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let [host, port] = arguments.as_slice() else { return fail("usage: tcp-echo HOST PORT") };
        let address = parse(host, port);
        let socket = TcpSocket::create(family(address)).expect("a socket");
        if let Err(error) = socket.bind(wire(address)) {
            return fail(format!("tcp-echo: bind: {error:?}"));
        }
        let mut clients = match socket.listen() {
            Ok(clients) => clients,
            Err(error) => return fail(format!("tcp-echo: listen: {error:?}")),
        };
        println!("listening on {}", plain(socket.get_local_address().expect("a bound socket")));
        while let Some(client) = clients.next().await {
            if let (Ok(remote), Ok(local)) = (client.get_remote_address(), client.get_local_address()) {
                println!("{} is at {}", plain(remote), plain(local));
            }
            drop(spawn_local(serve(client)));
        }
        fail("tcp-echo: the stream of clients ended")
    }
}

/// Sends back what one client sends. A client may break off at any time.
async fn serve(client: TcpSocket) {
    let Connection { mut input, mut output, .. } = Connection::of(client);
    loop {
        let (result, data) = input.read(Vec::with_capacity(64 * 1024)).await;
        let unsent = output.write_all(data).await;
        if result == StreamResult::Dropped || !unsent.is_empty() {
            break;
        }
    }
}

wasip3::cli::command::export!(Echo);
