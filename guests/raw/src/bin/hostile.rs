//! Takes from its host whatever it can get, in one of many ways: the words of its arguments, or of the first line of its
//! input, say which. Those of any program are in `parts/src/hostile.rs`; those of WASI 0.2:
//!
//! | words | what is done |
//! |---|---|
//! | `pollables` | makes pollables for ever |
//! | `poll N` | waits for N times the same pollable |
//! | `churn N` | makes N resources of several kinds, and drops each |
//! | `listings FOLDER` | lists a folder again and again, and reads nothing |
//! | `argument BYTES` | writes so many bytes with one call |
//! | `random BYTES` | asks for so many random bytes |
//! | `fields` | makes sets of header fields for ever, 100,000 bytes each |
//! | `field` | adds to one set for ever |
//! | `methods` | makes requests for ever whose method is a megabyte |
//! | `bodies` | makes requests for ever and writes into their bodies |
//! | `requests AUTHORITY` | sends requests and looks at no answer |
//! | `datagrams` | makes sockets, and sends to them what it never reads |
//! | `unsent` | connects to itself, and writes what it never reads |

use guest_parts::hostile;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, DirectoryEntryStream, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingRequest};
use wasip2::io::poll::poll;
use wasip2::random::random::get_random_bytes;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn main() {
    let words = hostile::words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let told = match hostile::ordinary(&words) {
        Some(told) => told,
        None => beyond(&words),
    };
    println!("{told}");
}

fn beyond(words: &[&str]) -> String {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words {
        ["pollables"] => hoard(|| Some(subscribe_duration(0))),
        ["poll", times] => {
            let one = subscribe_duration(0);
            format!("{} ready", poll(&vec![&one; number(times) as usize]).len())
        }
        ["churn", times] => churn(number(times)),
        ["listings", folder] => listings(folder),
        ["argument", bytes] => {
            let stream = wasip2::cli::stderr::get_stderr();
            format!("{:?}", stream.write(&vec![b'x'; number(bytes) as usize]))
        }
        ["random", bytes] => format!("{} bytes", get_random_bytes(number(bytes)).len()),
        ["fields"] => hoard(|| Fields::from_list(&[("cookie".to_owned(), vec![b'x'; 100_000])]).ok()),
        ["field"] => {
            let fields = Fields::new();
            let name = |number: usize| format!("x-{number}");
            let added = (0..).take_while(|number| fields.append(&name(*number), &[b'x'; 1000]).is_ok());
            format!("{} fields", added.count())
        }
        ["methods"] => {
            let method = Method::Other("M".repeat(1 << 20));
            hoard(|| {
                let request = OutgoingRequest::new(Fields::new());
                request.set_method(&method).ok().map(|()| request)
            })
        }
        ["bodies"] => hoard(|| {
            let request = OutgoingRequest::new(Fields::new());
            let body = request.body().ok()?;
            let stream = body.write().ok()?;
            let permitted = stream.check_write().ok()?;
            stream.write(&vec![b'x'; permitted as usize]).ok()?;
            Some((stream, body, request))
        }),
        ["requests", authority] => requests(authority),
        ["datagrams"] => datagrams(),
        ["unsent"] => unsent(),
        _ => panic!("see the head of the source for the words"),
    }
}

/// Keeps what is made until nothing more is.
fn hoard<T>(make: impl FnMut() -> Option<T>) -> String {
    let all: Vec<T> = std::iter::from_fn(make).collect();
    format!("{} times", all.len())
}

fn churn(times: u64) -> String {
    for _ in 0..times {
        drop(subscribe_duration(0));
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body().expect("its body");
        drop(body.write().expect("its stream"));
        drop(body);
        drop(request);
        drop(create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket"));
    }
    "done".to_owned()
}

fn listings(folder: &str) -> String {
    let (root, _) = get_directories().into_iter().find(|(_, name)| name == folder).expect("the folder");
    let mut all: Vec<DirectoryEntryStream> = Vec::new();
    loop {
        // Opened each time, as a program would that walks through folders.
        let opened = root.open_at(PathFlags::empty(), ".", OpenFlags::DIRECTORY, DescriptorFlags::READ);
        match opened.and_then(|opened| opened.read_directory()) {
            Ok(listing) => all.push(listing),
            Err(code) => return format!("{} listings, then {}", all.len(), code.name()),
        }
    }
}

fn requests(authority: &str) -> String {
    let mut waiting = Vec::new();
    loop {
        let request = OutgoingRequest::new(Fields::new());
        request.set_authority(Some(authority)).expect("an authority");
        request.set_path_with_query(Some("/")).expect("a path");
        request.set_scheme(Some(&wasip2::http::types::Scheme::Http)).expect("a scheme");
        let answer = match handle(request, None) {
            Ok(answer) => answer,
            Err(code) => return format!("{} requests, then {code:?}", waiting.len()),
        };
        // What is refused is refused as soon as its host has had a turn.
        subscribe_duration(100_000).block();
        let pollable = answer.subscribe();
        if pollable.ready()
            && let Some(Ok(Err(code))) = answer.get()
        {
            return format!("{} requests, then {code:?}", waiting.len());
        }
        drop(pollable);
        waiting.push(answer);
    }
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn udp() -> Option<UdpSocket> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).ok()?;
    socket.start_bind(&instance_network(), loopback(0)).ok()?;
    socket.finish_bind().ok()?;
    Some(socket)
}

fn datagrams() -> String {
    let sender = udp().expect("a socket");
    let (_received, sent) = sender.stream(None).expect("its streams");
    let mut all = Vec::new();
    while let Some(socket) = udp() {
        let to = socket.local_address().expect("its address");
        let streams = socket.stream(None).expect("its streams");
        for _ in 0..8 {
            sent.check_send().expect("leave to send");
            let datagram = OutgoingDatagram { data: vec![b'x'; 60_000], remote_address: Some(to) };
            sent.send(&[datagram]).expect("sent");
        }
        all.push((streams, socket));
    }
    format!("{} times", all.len())
}

fn unsent() -> String {
    let network = instance_network();
    let listener = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    listener.start_bind(&network, loopback(0)).expect("a port");
    listener.finish_bind().expect("a port");
    listener.start_listen().expect("to listen");
    listener.finish_listen().expect("to listen");
    let to = listener.local_address().expect("its address");
    hoard(|| {
        let socket: TcpSocket = create_tcp_socket(IpAddressFamily::Ipv4).ok()?;
        socket.start_connect(&network, to).ok()?;
        socket.subscribe().block();
        let (input, output) = socket.finish_connect().ok()?;
        let accepted = listener.accept().ok()?;
        // As much as it may, until nothing is taken any more.
        while let Ok(permitted @ 1..) = output.check_write() {
            output.write(&vec![b'x'; permitted as usize]).ok()?;
        }
        Some((input, output, socket, accepted))
    })
}
