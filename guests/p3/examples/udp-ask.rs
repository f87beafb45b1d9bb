//! `udp-ask [--connect] HOST PORT TEXT...`: sends each TEXT as a datagram, and prints the answer to each.

use p3_guests::{Code, arguments, fail, family, parse, wire};
use std::net::SocketAddr;
use wasip3::exports::cli::run::Guest;
use wasip3::sockets::types::{ErrorCode, UdpSocket};

struct Ask;

impl Guest for Ask {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let asked = match words.as_slice() {
            ["--connect", host, port, texts @ ..] => ask(parse(host, port), true, texts).await,
            [host, port, texts @ ..] => ask(parse(host, port), false, texts).await,
            _ => return fail("usage: udp-ask [--connect] HOST PORT TEXT..."),
        };
        match asked {
            Ok(()) => Ok(()),
            Err(error) => fail(format!("udp-ask: {}", error.name())),
        }
    }
}

async fn ask(address: SocketAddr, connect: bool, texts: &[&str]) -> Result<(), ErrorCode> {
    let socket = UdpSocket::create(family(address))?;
    if connect {
        socket.connect(wire(address))?;
    }
    for text in texts {
        let to = (!connect).then(|| wire(address));
        socket.send(text.as_bytes().to_vec(), to).await?;
        let (data, _) = socket.receive().await?;
        println!("{}", String::from_utf8_lossy(&data));
    }
    Ok(())
}

wasip3::cli::command::export!(Ask);
