//! `tcp-dial HOST PORT TEXT`: looks HOST up, connects to the first of its addresses that answers, sends TEXT and the end
//! of the stream, and prints all that comes back.

use p3_guests::{Code, Connection, arguments, fail, plain_ip, read_to_end, send_all};
use std::io::Write;
use std::net::SocketAddr;
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::ip_name_lookup::resolve_addresses;

struct Dial;

impl Guest for Dial {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let [host, port, text] = arguments.as_slice() else { return fail("usage: tcp-dial HOST PORT TEXT") };
        let Ok(port) = port.parse() else { return fail("tcp-dial: PORT is a number up to 65535") };
        let addresses = match resolve_addresses(host.clone()).await {
            Ok(addresses) => addresses,
            Err(error) => return fail(format!("tcp-dial: {}", error.name())),
        };
        let mut last = Err(());
        for address in addresses {
            match Connection::to(SocketAddr::new(plain_ip(address), port)).await {
                Ok(connection) => return talk(connection, text).await,
                Err(error) => last = fail(format!("tcp-dial: {}", error.name())),
            }
        }
        last
    }
}

async fn talk(connection: Connection, text: &str) -> Result<(), ()> {
    let Connection { mut input, received, mut output, sent, .. } = connection;
    send_all(&mut output, text.as_bytes()).await;
    drop(output);
    let answer = read_to_end(&mut input).await;
    let mut stdout = std::io::stdout();
    stdout.write_all(&answer).and_then(|()| stdout.flush()).map_err(drop)?;
    match futures::join!(sent.into_future(), received.into_future()) {
        (Ok(()), Ok(())) => Ok(()),
        (sent, received) => fail(format!("tcp-dial: sent: {sent:?}, received: {received:?}")),
    }
}

wasip3::cli::command::export!(Dial);
