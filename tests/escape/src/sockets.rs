//! Sockets: new ones of every kind, and pairs used for more than to talk to oneself.

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::{Fd, call, pair};
use crate::scene::Scene;
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM,
};
use std::net::{Ipv4Addr, SocketAddrV4};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("socket-inet-stream", |_| made(AF_INET, SOCK_STREAM, 0)),
    Attempt::new("socket-inet-datagram", |_| made(AF_INET, SOCK_DGRAM, 0)),
    Attempt::new("socket-inet-raw", |_| made(AF_INET, SOCK_RAW, libc::IPPROTO_ICMP)),
    Attempt::new("socket-inet6-stream", |_| made(AF_INET6, SOCK_STREAM, 0)),
    Attempt::new("socket-inet6-datagram", |_| made(AF_INET6, SOCK_DGRAM, 0)),
    Attempt::new("socket-netlink", |_| made(AF_NETLINK, SOCK_RAW, libc::NETLINK_ROUTE)),
    Attempt::new("socket-packet", |_| made(AF_PACKET, SOCK_RAW, 0)),
    Attempt::new("socket-unix", |_| made(AF_UNIX, SOCK_STREAM, 0)),
    Attempt::new("socket-vsock", |_| made(AF_VSOCK, SOCK_STREAM, 0)),
    Attempt::new("socket-of-the-kernels-ciphers", |_| made(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
    Attempt::new("connect-tcp", |scene| connect_tcp(scene, 0)),
    Attempt::new("connect-mptcp", |scene| connect_tcp(scene, IPPROTO_MPTCP)),
    Attempt::new("listen-tcp", |_| {
        let socket = new(AF_INET, SOCK_STREAM, 0)?;
        let address = inet(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        call!(SYS_bind, &socket, &raw const address, size_of_val(&address))?;
        call!(SYS_listen, &socket, 1).map(|_| "listening".to_string())
    }),
    Attempt::new("send-udp", |scene| {
        let socket = new(AF_INET, SOCK_DGRAM, 0)?;
        let address = inet(scene.tcp);
        call!(SYS_sendto, &socket, b"x".as_ptr(), 1, 0, &raw const address, size_of_val(&address)).map(|_| sent())
    }),
    Attempt::new("connect-path-socket", |scene| connect_unix(&new(AF_UNIX, SOCK_STREAM, 0)?, &Unix::path(&scene.unix))),
    Attempt::new("connect-abstract-socket", |scene| {
        connect_unix(&new(AF_UNIX, SOCK_STREAM, 0)?, &Unix::named(&scene.abstract_name))
    }),
    Attempt::new("bind-path-socket", |scene| bind(&new(AF_UNIX, SOCK_STREAM, 0)?, &own_path(scene, "bound"))),
    Attempt::new("bind-abstract-socket", |_| bind(&new(AF_UNIX, SOCK_STREAM, 0)?, &own_name("bound"))),
    Attempt::new("connect-pair-to-path", |scene| connect_unix(&pair(SOCK_DGRAM)?.0, &Unix::path(&scene.unix_datagram))),
    Attempt::new("connect-pair-to-abstract", |scene| {
        connect_unix(&pair(SOCK_DGRAM)?.0, &Unix::named(&scene.abstract_datagram))
    }),
    Attempt::new("send-from-pair-to-path", |scene| send(&pair(SOCK_DGRAM)?.0, &Unix::path(&scene.unix_datagram))),
    Attempt::new("send-from-pair-to-abstract", |scene| {
        send(&pair(SOCK_DGRAM)?.0, &Unix::named(&scene.abstract_datagram))
    }),
    Attempt::new("sendmsg-from-pair-to-path", |scene| sendmsg(&pair(SOCK_DGRAM)?.0, &Unix::path(&scene.unix_datagram))),
    Attempt::new("bind-pair-to-path", |scene| bind(&pair(SOCK_DGRAM)?.0, &own_path(scene, "pair"))),
    Attempt::new("bind-pair-to-abstract", |_| bind(&pair(SOCK_DGRAM)?.0, &own_name("pair"))),
    Attempt::new("packet-filter-at-a-pair", packet_filter),
];

const IPPROTO_MPTCP: i32 = 262;

fn new(family: i32, kind: i32, protocol: i32) -> Result<Fd, Refusal> {
    call!(SYS_socket, family, kind | SOCK_CLOEXEC, protocol).map(Fd::new)
}

fn made(family: i32, kind: i32, protocol: i32) -> Done {
    new(family, kind, protocol).map(|_| "made".to_string())
}

fn sent() -> String {
    "sent".to_string()
}

fn inet(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: family(AF_INET),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn family(number: i32) -> libc::sa_family_t {
    libc::sa_family_t::try_from(number).unwrap_or_default()
}

/// The address of a Unix socket, and how much of it counts.
struct Unix {
    address: libc::sockaddr_un,
    length: usize,
}

impl Unix {
    fn path(path: &str) -> Self {
        Self::of(path.as_bytes())
    }

    /// An abstract name: what follows a zero.
    fn named(name: &str) -> Self {
        Self::of(format!("\0{name}").as_bytes())
    }

    fn of(bytes: &[u8]) -> Self {
        let mut address = libc::sockaddr_un { sun_family: family(AF_UNIX), sun_path: [0; 108] };
        address.sun_path.iter_mut().zip(bytes).for_each(|(to, from)| *to = libc::c_char::from_ne_bytes([*from]));
        Self { address, length: size_of::<libc::sa_family_t>() + bytes.len() }
    }

    fn start(&self) -> *const libc::sockaddr_un {
        &raw const self.address
    }
}

fn own_path(scene: &Scene, name: &str) -> Unix {
    Unix::path(&scene.rw(name).to_string_lossy())
}

fn own_name(name: &str) -> Unix {
    Unix::named(&format!("cord-escape-{}-{name}", std::process::id()))
}

fn connect_tcp(scene: &Scene, protocol: i32) -> Done {
    let socket = new(AF_INET, SOCK_STREAM, protocol)?;
    let address = inet(scene.tcp);
    call!(SYS_connect, &socket, &raw const address, size_of_val(&address)).map(|_| "connected".to_string())
}

fn connect_unix(socket: &Fd, to: &Unix) -> Done {
    call!(SYS_connect, socket, to.start(), to.length).map(|_| "connected".to_string())
}

fn bind(socket: &Fd, to: &Unix) -> Done {
    call!(SYS_bind, socket, to.start(), to.length).map(|_| "bound".to_string())
}

fn send(socket: &Fd, to: &Unix) -> Done {
    call!(SYS_sendto, socket, b"x".as_ptr(), 1, libc::MSG_DONTWAIT, to.start(), to.length).map(|_| sent())
}

fn sendmsg(socket: &Fd, to: &Unix) -> Done {
    let mut byte = b'x';
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = libc::msghdr {
        msg_name: to.start().cast_mut().cast(),
        msg_namelen: libc::socklen_t::try_from(to.length).unwrap_or_default(),
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    };
    call!(SYS_sendmsg, socket, &raw const message, libc::MSG_DONTWAIT).map(|_| sent())
}

/// A program for the kernel to run, which compiles it: a way to put chosen numbers into its code.
fn packet_filter(_: &Scene) -> Done {
    const TAKE_ALL: libc::sock_filter = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0xffff };
    let mut filter = [TAKE_ALL];
    let program = libc::sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    let (one, _) = pair(SOCK_DGRAM)?;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    call!(SYS_setsockopt, &one, level, option, &raw const program, size_of_val(&program))?;
    Ok("attached".to_string())
}
