//! Which addresses the two kinds of socket can be bound to.

use p3_guests::{Report, family, plain, wire};
use std::net::SocketAddr;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, TcpSocket, UdpSocket};

/// Addresses that every guest may bind, because port 0 is its own affair.
const FREE: &[&str] = &["127.0.0.1:0", "127.0.0.2:0", "127.255.255.254:0", "0.0.0.0:0", "[::1]:0", "[::]:0"];

/// Addresses that no guest has.
const FOREIGN: &[&str] = &["192.0.2.1:0", "192.0.2.1:80", "10.0.0.1:0", "[2001:db8::1]:0", "[fe80::1]:80"];

/// A socket that can be bound, whichever kind it is.
trait Bind {
    const KIND: &'static str;
    fn new(family: IpAddressFamily) -> Self;
    fn bind(&self, address: SocketAddr) -> Result<(), ErrorCode>;
    fn local(&self) -> Result<SocketAddr, ErrorCode>;
}

impl Bind for TcpSocket {
    const KIND: &'static str = "tcp";
    fn new(family: IpAddressFamily) -> Self {
        TcpSocket::create(family).expect("a socket")
    }
    fn bind(&self, address: SocketAddr) -> Result<(), ErrorCode> {
        TcpSocket::bind(self, wire(address))
    }
    fn local(&self) -> Result<SocketAddr, ErrorCode> {
        self.get_local_address().map(plain)
    }
}

impl Bind for UdpSocket {
    const KIND: &'static str = "udp";
    fn new(family: IpAddressFamily) -> Self {
        UdpSocket::create(family).expect("a socket")
    }
    fn bind(&self, address: SocketAddr) -> Result<(), ErrorCode> {
        UdpSocket::bind(self, wire(address))
    }
    fn local(&self) -> Result<SocketAddr, ErrorCode> {
        self.get_local_address().map(plain)
    }
}

/// Every check of this file but [`check_denied`].
pub fn check(report: &mut Report) {
    kind::<TcpSocket>(report);
    kind::<UdpSocket>(report);
    for text in ["224.0.0.1:0", "255.255.255.255:0", "[ff02::1]:0"] {
        let socket = TcpSocket::new(family(at(text)));
        report.code(&format!("tcp-bind-{text}"), Bind::bind(&socket, at(text)), "invalid-argument");
    }
}

/// A port on every address is for whoever runs the guest to grant.
pub fn check_denied(report: &mut Report, address: SocketAddr) {
    denied::<TcpSocket>(report, address);
    denied::<UdpSocket>(report, address);
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

fn bound<S: Bind>(address: SocketAddr) -> Result<S, ErrorCode> {
    let socket = S::new(family(address));
    socket.bind(address).map(|()| socket)
}

fn kind<S: Bind>(report: &mut Report) {
    let kind = S::KIND;
    for text in FREE {
        let socket = S::new(family(at(text)));
        report.ok(&format!("{kind}-bind-{text}"), socket.bind(at(text)));
        let local = socket.local();
        report.value(&format!("{kind}-bind-{text}-address"), local.clone().map(|local| local.ip()), at(text).ip());
        report.value(&format!("{kind}-bind-{text}-port"), local.map(|local| local.port() > 0), true);
        report.code(&format!("{kind}-bind-{text}-again"), socket.bind(at(text)), "invalid-state");
    }
    for text in FOREIGN {
        let socket = S::new(family(at(text)));
        report.code(&format!("{kind}-bind-{text}"), socket.bind(at(text)), "address-not-bindable");
        report.code(&format!("{kind}-bind-{text}-unbound"), socket.local(), "invalid-state");
        // A bind that failed may be followed by another.
        let any = SocketAddr::new(if at(text).is_ipv4() { at(FREE[0]) } else { at(FREE[4]) }.ip(), 0);
        report.ok(&format!("{kind}-bind-{text}-then-{any}"), socket.bind(any));
    }
    wrong_family::<S>(report);
    in_use::<S>(report);
}

fn wrong_family<S: Bind>(report: &mut Report) {
    let kind = S::KIND;
    let (v4, v6) = (S::new(IpAddressFamily::Ipv4), S::new(IpAddressFamily::Ipv6));
    report.code(&format!("{kind}-bind-v6-on-v4"), v4.bind(at("[::1]:0")), "invalid-argument");
    report.code(&format!("{kind}-bind-v4-on-v6"), v6.bind(at("127.0.0.1:0")), "invalid-argument");
    report.code(&format!("{kind}-bind-ipv4-mapped"), v6.bind(at("[::ffff:127.0.0.1]:0")), "invalid-argument");
}

fn in_use<S: Bind>(report: &mut Report) {
    let kind = S::KIND;
    let first: S = bound(at("127.0.0.1:0")).expect("a free port");
    let port = first.local().expect("a bound socket").port();
    let same = SocketAddr::new(at("127.0.0.1:0").ip(), port);
    report.code(&format!("{kind}-bind-taken"), bound::<S>(same), "address-in-use");
    let other = SocketAddr::new(at("127.0.0.2:0").ip(), port);
    report.ok(&format!("{kind}-bind-taken-elsewhere"), bound::<S>(other));
    let other_family = SocketAddr::new(at("[::1]:0").ip(), port);
    report.ok(&format!("{kind}-bind-taken-in-the-other-family"), bound::<S>(other_family));
    drop(first);
    report.ok(&format!("{kind}-bind-free-again"), bound::<S>(same));
    let ports: Vec<S> = (0..3).map(|_| bound(at("0.0.0.0:0")).expect("a free port")).collect();
    let mut numbers: Vec<u16> = ports.iter().map(|socket| socket.local().expect("a bound socket").port()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    report.equal(&format!("{kind}-bind-0-never-twice"), numbers.len(), 3);
}

fn denied<S: Bind>(report: &mut Report, address: SocketAddr) {
    let kind = S::KIND;
    let socket = S::new(family(address));
    report.code(&format!("{kind}-bind-denied"), socket.bind(address), "access-denied");
    report.code(&format!("{kind}-bind-denied-again"), socket.bind(address), "access-denied");
    report.code(&format!("{kind}-bind-denied-unbound"), socket.local(), "invalid-state");
    // On loopback it is the guest's own.
    let own = if address.is_ipv4() { at("127.0.0.1:0") } else { at("[::1]:0") };
    let own = SocketAddr::new(own.ip(), address.port());
    report.ok(&format!("{kind}-bind-own-loopback"), socket.bind(own));
    report.value(&format!("{kind}-bind-own-loopback-address"), socket.local(), own);
}
