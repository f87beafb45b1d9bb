//! Preview 1's `sock_accept` and WasmEdge's calls, with the types of its newer generation.
#![expect(unsafe_code, reason = "foreign calls")]

use std::net::{IpAddr, SocketAddr};

use crate::errno::{Outcome, check};

/// A buffer for an address: the family in two bytes, then the address.
#[repr(C)]
struct Address {
    start: *mut u8,
    length: usize,
}

#[repr(C)]
struct Piece {
    start: *mut u8,
    length: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn sock_accept(fd: u32, flags: u32, result: *mut u32) -> u32;
    fn sock_open(family: u32, kind: u32, result: *mut u32) -> u32;
    fn sock_bind(fd: u32, address: *const Address, port: u32) -> u32;
    fn sock_listen(fd: u32, backlog: u32) -> u32;
    fn sock_connect(fd: u32, address: *const Address, port: u32) -> u32;
    fn sock_getlocaladdr(fd: u32, address: *const Address, port: *mut u32) -> u32;
    fn sock_getpeeraddr(fd: u32, address: *const Address, port: *mut u32) -> u32;
    fn sock_send_to(
        fd: u32,
        list: *const Piece,
        length: usize,
        address: *const Address,
        port: u32,
        flags: u32,
        size: *mut u32,
    ) -> u32;
    fn sock_recv_from(
        fd: u32,
        list: *const Piece,
        length: usize,
        address: *const Address,
        flags: u32,
        port: *mut u32,
        size: *mut u32,
        out: *mut u32,
    ) -> u32;
    fn sock_getsockopt(fd: u32, level: u32, name: u32, value: *mut u8, size: *mut u32) -> u32;
    fn sock_setsockopt(fd: u32, level: u32, name: u32, value: *const u8, size: u32) -> u32;
    fn sock_getaddrinfo(
        node: *const u8,
        node_length: usize,
        service: *const u8,
        service_length: usize,
        hint: *const u8,
        list: *mut *mut u8,
        max: u32,
        count: *mut u32,
    ) -> u32;
}

/// IPv4.
pub const V4: u32 = 1;
/// IPv6.
pub const V6: u32 = 2;
/// A datagram socket.
pub const DATAGRAM: u32 = 1;
/// A stream socket.
pub const STREAM: u32 = 2;

fn laid_out(ip: IpAddr) -> [u8; 128] {
    let mut bytes = [0; 128];
    match ip {
        IpAddr::V4(ip) => {
            bytes[0] = 1;
            bytes[2..6].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes[0] = 2;
            bytes[2..18].copy_from_slice(&ip.octets());
        }
    }
    bytes
}

fn understood(bytes: &[u8; 128], port: u32) -> Option<SocketAddr> {
    let ip = match bytes[0] {
        1 => IpAddr::from(<[u8; 4]>::try_from(&bytes[2..6]).ok()?),
        2 => IpAddr::from(<[u8; 16]>::try_from(&bytes[2..18]).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::try_from(port).ok()?))
}

/// A new socket.
pub fn socket(family: u32, kind: u32) -> Outcome<u32> {
    let mut result = 0;
    check(unsafe { sock_open(family, kind, &mut result) })?;
    Ok(result)
}

/// Takes a local address.
pub fn bind(fd: u32, local: &str) -> Outcome<()> {
    let local: SocketAddr = local.parse().expect("an address");
    let mut bytes = laid_out(local.ip());
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_bind(fd, &address, local.port().into()) })
}

/// As [`bind`], with a buffer of any length, and any port.
pub fn bind_bytes(fd: u32, bytes: &mut [u8], port: u32) -> Outcome<()> {
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_bind(fd, &address, port) })
}

/// Listens.
pub fn listen(fd: u32, backlog: u32) -> Outcome<()> {
    check(unsafe { sock_listen(fd, backlog) })
}

/// Accepts.
pub fn accept(fd: u32, flags: u16) -> Outcome<u32> {
    let mut result = 0;
    check(unsafe { sock_accept(fd, flags.into(), &mut result) })?;
    Ok(result)
}

/// Connects.
pub fn connect(fd: u32, remote: SocketAddr) -> Outcome<()> {
    let mut bytes = laid_out(remote.ip());
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_connect(fd, &address, remote.port().into()) })
}

/// Connects to nobody.
pub fn disconnect(fd: u32) -> Outcome<()> {
    let mut bytes = [0; 128];
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_connect(fd, &address, 0) })
}

/// The near end.
pub fn local_address(fd: u32) -> Outcome<SocketAddr> {
    let (mut bytes, mut port) = ([0; 128], 0);
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_getlocaladdr(fd, &address, &mut port) })?;
    Ok(understood(&bytes, port).expect("an address"))
}

/// The far end.
pub fn peer_address(fd: u32) -> Outcome<SocketAddr> {
    let (mut bytes, mut port) = ([0; 128], 0);
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    check(unsafe { sock_getpeeraddr(fd, &address, &mut port) })?;
    Ok(understood(&bytes, port).expect("an address"))
}

/// Sends a datagram.
pub fn send_to(fd: u32, data: &[u8], to: SocketAddr) -> Outcome<usize> {
    let mut bytes = laid_out(to.ip());
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    let list = [Piece { start: data.as_ptr().cast_mut(), length: data.len() }];
    let mut size = 0;
    check(unsafe { sock_send_to(fd, list.as_ptr(), 1, &address, to.port().into(), 0, &mut size) })?;
    Ok(size as usize)
}

/// Receives a datagram: its bytes, who sent it, and whether it was cut.
pub fn receive_from(fd: u32, max: usize, flags: u16) -> Outcome<(Vec<u8>, SocketAddr, bool)> {
    let (mut buffer, mut bytes) = (vec![0; max], [0; 128]);
    let address = Address { start: bytes.as_mut_ptr(), length: bytes.len() };
    let list = [Piece { start: buffer.as_mut_ptr(), length: max }];
    let (mut port, mut size, mut out) = (0, 0, 0);
    check(unsafe { sock_recv_from(fd, list.as_ptr(), 1, &address, flags.into(), &mut port, &mut size, &mut out) })?;
    buffer.truncate(size as usize);
    Ok((buffer, understood(&bytes, port).expect("an address"), out != 0))
}

/// An option that is a number.
pub fn option(fd: u32, level: u32, name: u32) -> Outcome<i32> {
    let (mut value, mut size) = ([0; 4], 4);
    check(unsafe { sock_getsockopt(fd, level, name, value.as_mut_ptr(), &mut size) })?;
    Ok(i32::from_le_bytes(value))
}

/// The bytes of an option.
pub fn option_bytes(fd: u32, level: u32, name: u32, room: usize) -> Outcome<Vec<u8>> {
    let (mut value, mut size) = (vec![0; room], room as u32);
    check(unsafe { sock_getsockopt(fd, level, name, value.as_mut_ptr(), &mut size) })?;
    value.truncate(size as usize);
    Ok(value)
}

/// Sets an option.
pub fn set_option(fd: u32, level: u32, name: u32, value: &[u8]) -> Outcome<()> {
    check(unsafe { sock_setsockopt(fd, level, name, value.as_ptr(), value.len() as u32) })
}

/// Looks a name up, with a hint of family, kind and protocol; the addresses.
pub fn lookup(node: &str, service: &str, flags: u16, family: u8, kind: u8) -> Outcome<Vec<SocketAddr>> {
    const ENTRIES: usize = 8;
    let mut hint = [0_u8; 28];
    hint[0..2].copy_from_slice(&flags.to_le_bytes());
    (hint[2], hint[3]) = (family, kind);
    let mut entries = vec![[0_u32; 7]; ENTRIES];
    let mut addresses = vec![[0_u32; 3]; ENTRIES];
    let mut data = vec![[0_u8; 26]; ENTRIES];
    for number in 0..ENTRIES {
        addresses[number][2] = data[number].as_mut_ptr() as u32;
        entries[number][3] = addresses[number].as_mut_ptr() as u32;
        entries[number][6] = entries.get(number + 1).map_or(0, |next| next.as_ptr() as u32);
    }
    let (mut list, mut count) = (entries.as_mut_ptr().cast::<u8>(), 0);
    check(unsafe {
        sock_getaddrinfo(
            node.as_ptr(),
            node.len(),
            service.as_ptr(),
            service.len(),
            hint.as_ptr(),
            &mut list,
            ENTRIES as u32,
            &mut count,
        )
    })?;
    // The host has written to where the numbers above lead.
    let data = std::hint::black_box(data);
    let addresses = std::hint::black_box(addresses);
    Ok((0..count as usize).map(|number| found(addresses[number][0] as u8, &data[number])).collect())
}

fn found(family: u8, data: &[u8; 26]) -> SocketAddr {
    let port = u16::from_be_bytes([data[0], data[1]]);
    let ip = match family {
        1 => IpAddr::from(<[u8; 4]>::try_from(&data[2..6]).expect("four bytes")),
        _ => IpAddr::from(<[u8; 16]>::try_from(&data[6..22]).expect("sixteen bytes")),
    };
    SocketAddr::new(ip, port)
}
