//! A TCP echo server for many clients at once: one thread, and one call that waits for all of them.
//!
//! `serve PORT...` listens on each port of `0.0.0.0` and prints `listening on PORT`. It ends with the line `N served` when a
//! line comes on standard input.

use std::net::Ipv4Addr;
use wasip2::cli::stdin::get_stdin;
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

const CHUNK: u64 = 16 * 1024;

struct Listener {
    acceptable: Pollable,
    socket: TcpSocket,
}

/// Children come first, as they are dropped before their parents.
struct Client {
    readable: Pollable,
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
}

fn main() {
    let listeners: Vec<Listener> =
        std::env::args().skip(1).map(|port| listen(port.parse().expect("PORT is a number"))).collect();
    let stdin = get_stdin();
    let end = stdin.subscribe();
    let mut clients: Vec<Client> = Vec::new();
    let mut served = 0;
    loop {
        let mut all = vec![&end];
        all.extend(listeners.iter().map(|listener| &listener.acceptable));
        all.extend(clients.iter().map(|client| &client.readable));
        let mut ready: Vec<usize> = poll(&all).into_iter().map(|index| index as usize).collect();
        // From the back, so that removing a client leaves the numbers of those before it.
        ready.sort_unstable_by(|a, b| b.cmp(a));
        let first_client = 1 + listeners.len();
        let mut acceptable = Vec::new();
        for index in ready {
            match index {
                0 => {
                    println!("{served} served");
                    return;
                }
                index if index < first_client => acceptable.push(index - 1),
                index => {
                    if echo(&clients[index - first_client]).is_err() {
                        drop(clients.swap_remove(index - first_client));
                        served += 1;
                    }
                }
            }
        }
        for index in acceptable {
            accept_all(&listeners[index].socket, &mut clients);
        }
    }
}

fn listen(port: u16) -> Listener {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    let address = Ipv4SocketAddress { port, address: Ipv4Addr::UNSPECIFIED.octets().into() };
    let bound = socket.start_bind(&instance_network(), IpSocketAddress::Ipv4(address));
    bound.and_then(|()| wait(&socket, TcpSocket::finish_bind)).expect("the bind works");
    socket.start_listen().and_then(|()| wait(&socket, TcpSocket::finish_listen)).expect("the listen works");
    println!("listening on {port}");
    Listener { acceptable: socket.subscribe(), socket }
}

fn wait(socket: &TcpSocket, finish: impl Fn(&TcpSocket) -> Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    loop {
        match finish(socket) {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

fn accept_all(listener: &TcpSocket, clients: &mut Vec<Client>) {
    loop {
        match listener.accept() {
            Ok((socket, input, output)) => {
                clients.push(Client { readable: input.subscribe(), input, output, _socket: socket });
            }
            Err(ErrorCode::WouldBlock) => return,
            Err(code) => {
                println!("accept: {}", code.name());
                return;
            }
        }
    }
}

/// Sends back what is there. Fails when the client is done or gone.
fn echo(client: &Client) -> Result<(), StreamError> {
    let bytes = client.input.read(CHUNK)?;
    for chunk in bytes.chunks(4096) {
        client.output.blocking_write_and_flush(chunk)?;
    }
    Ok(())
}
