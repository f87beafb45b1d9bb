//! Addresses as WasmEdge's guests lay them out: a buffer and its length, which says what is in it.
//!
//! ```text
//!   4 bytes: an IPv4 address         16 bytes: an IPv6 address (or, told to the guest, either)
//! 128 bytes: the family in two bytes, then the address
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wasmtime_wasi::p1::types::{Errno, Error};
use wiggle::{GuestMemory, GuestPtr};

use super::{INET4, INET6};

const BARE_V4: u32 = 4;
const BARE: u32 = 16;
const WITH_FAMILY: u32 = 128;

/// Linux's numbers of the families, which the first generation of `sock_recv_from` told.
const LINUX_INET4: u16 = 2;
const LINUX_INET6: u16 = 10;

/// The buffer that the guest names.
fn buffer(memory: &GuestMemory<'_>, pointer: u32) -> Result<GuestPtr<[u8]>, Error> {
    let start: u32 = memory.read(GuestPtr::new(pointer))?;
    let length: u32 = memory.read(GuestPtr::new(pointer).add(1)?)?;
    Ok(GuestPtr::new((start, length)))
}

/// The address that a guest names. `None`: none, which a datagram socket can be connected to.
pub(super) fn read(memory: &GuestMemory<'_>, pointer: u32, port: u32) -> Result<Option<SocketAddr>, Error> {
    let buffer = buffer(memory, pointer)?;
    let port = u16::try_from(port).map_err(|_too_large| Errno::Inval)?;
    if !matches!(buffer.len(), BARE_V4 | BARE | WITH_FAMILY) {
        return Err(Errno::Inval.into());
    }
    let ip = parse(&memory.as_cow(buffer)?)?;
    Ok(ip.map(|ip| SocketAddr::new(ip, port)))
}

fn parse(bytes: &[u8]) -> Result<Option<IpAddr>, Errno> {
    let v4 = |bytes: &[u8]| bytes.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)));
    let v6 = |bytes: &[u8]| bytes.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)));
    let found = match bytes.len() {
        4 => v4(bytes),
        16 => v6(bytes),
        _ => {
            let (family, address) = bytes.split_first_chunk::<2>().ok_or(Errno::Inval)?;
            match u32::from(u16::from_le_bytes(*family)) {
                0 => return Ok(None),
                INET4 => v4(address),
                INET6 => v6(address),
                _ => return Err(Errno::Afnosupport),
            }
        }
    };
    found.ok_or(Errno::Inval).map(Some)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn family_number(address: SocketAddr) -> u32 {
    if address.is_ipv4() { INET4 } else { INET6 }
}

/// Puts an address where the guest wants it.
pub(super) fn write(memory: &mut GuestMemory<'_>, pointer: u32, address: SocketAddr) -> Result<(), Error> {
    let buffer = buffer(memory, pointer)?;
    let mut bytes = octets(address.ip());
    match buffer.len() {
        WITH_FAMILY => {
            let [low, high, ..] = family_number(address).to_le_bytes();
            bytes.splice(0..0, [low, high]);
        }
        BARE => {}
        BARE_V4 if address.is_ipv4() => {}
        _ => return Err(Errno::Inval.into()),
    }
    put(memory, buffer, &bytes)
}

/// The same as the first generation had it: family, port, address. An IPv6 address that has no room is left out.
pub(super) fn write_with_port(memory: &mut GuestMemory<'_>, pointer: u32, address: SocketAddr) -> Result<(), Error> {
    let buffer = buffer(memory, pointer)?;
    let family = if address.is_ipv4() { LINUX_INET4 } else { LINUX_INET6 };
    let mut bytes = [family.to_le_bytes(), address.port().to_le_bytes()].concat();
    let octets = octets(address.ip());
    if bytes.len() + octets.len() <= buffer.len() as usize {
        bytes.extend(octets);
    }
    put(memory, buffer, &bytes)
}

/// Tells an address with its port, and its family apart if the guest wants that.
pub(super) fn tell(
    memory: &mut GuestMemory<'_>,
    found: SocketAddr,
    address: u32,
    family: Option<u32>,
    port: u32,
) -> Result<(), Error> {
    write(memory, address, found)?;
    if let Some(family) = family {
        // Not the family's number: every version of the crate understands these.
        memory.write(GuestPtr::new(family), if found.is_ipv4() { 4_u32 } else { 6 })?;
    }
    Ok(memory.write(GuestPtr::new(port), u32::from(found.port()))?)
}

fn put(memory: &mut GuestMemory<'_>, buffer: GuestPtr<[u8]>, bytes: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(bytes.len())?;
    let room = buffer.get_range(0..length).ok_or(Errno::Inval)?;
    Ok(memory.copy_from_slice(bytes, room)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory with an address record at its beginning, whose buffer is at 16.
    fn memory(length: u32, bytes: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 256];
        memory[0..4].copy_from_slice(&16_u32.to_le_bytes());
        memory[4..8].copy_from_slice(&length.to_le_bytes());
        memory[16..16 + bytes.len()].copy_from_slice(bytes);
        memory
    }

    fn errno<T>(result: Result<T, Error>) -> Option<Errno> {
        result.err().map(|error| error.downcast().unwrap())
    }

    #[test]
    fn the_length_says_what_an_address_is() {
        let check = |length: u32, bytes: &[u8], expected: Option<&str>| {
            let mut memory = memory(length, bytes);
            let found = read(&GuestMemory::Unshared(&mut memory), 0, 80).unwrap();
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{length}");
        };
        let v6: Vec<u8> = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        check(4, &[10, 0, 0, 1], Some("10.0.0.1:80"));
        check(16, &v6, Some("[2001:db8::1]:80"));
        check(128, &[1, 0, 10, 0, 0, 1], Some("10.0.0.1:80"));
        check(128, &[&[2, 0][..], &v6].concat(), Some("[2001:db8::1]:80"));
        check(128, &[0, 0], None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (length, bytes, port, expected) in [
            (5, &[][..], 80, Errno::Inval),
            (0, &[], 80, Errno::Inval),
            (4, &[], 65_536, Errno::Inval),
            (128, &[3, 0], 80, Errno::Afnosupport),
            (128, &[1, 1], 80, Errno::Afnosupport),
        ] {
            let mut memory = memory(length, bytes);
            assert_eq!(errno(read(&GuestMemory::Unshared(&mut memory), 0, port)), Some(expected), "{length}");
        }
        let mut memory = memory(4, &[]);
        memory[0..4].copy_from_slice(&254_u32.to_le_bytes());
        // Outside of the memory: the guest ends.
        assert!(read(&GuestMemory::Unshared(&mut memory), 0, 80).unwrap_err().downcast().is_err());
        assert!(read(&GuestMemory::Unshared(&mut memory), 252, 80).unwrap_err().downcast().is_err());
    }

    #[test]
    fn addresses_are_told_in_the_room_there_is() {
        let written = |length: u32, address: &str| {
            let mut bytes = memory(length, &[]);
            let mut guest = GuestMemory::Unshared(&mut bytes);
            write(&mut guest, 0, address.parse().unwrap()).map(|()| bytes[16..40].to_vec())
        };
        assert_eq!(written(4, "10.0.0.1:80").unwrap()[..5], [10, 0, 0, 1, 0]);
        assert_eq!(written(16, "10.0.0.1:80").unwrap()[..5], [10, 0, 0, 1, 0]);
        assert_eq!(written(128, "10.0.0.1:80").unwrap()[..7], [1, 0, 10, 0, 0, 1, 0]);
        assert_eq!(written(16, "[::1]:80").unwrap()[..17], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(written(128, "[::1]:80").unwrap()[16..19], [0, 1, 0]);
        assert_eq!(errno(written(4, "[::1]:80")), Some(Errno::Inval));
        assert_eq!(errno(written(64, "10.0.0.1:80")), Some(Errno::Inval));
    }

    #[test]
    fn the_first_generation_has_the_port_in_the_buffer() {
        let written = |length: u32, address: &str| {
            let mut bytes = memory(length, &[]);
            let mut guest = GuestMemory::Unshared(&mut bytes);
            write_with_port(&mut guest, 0, address.parse().unwrap()).map(|()| bytes[16..40].to_vec())
        };
        assert_eq!(written(16, "10.0.0.1:258").unwrap()[..9], [2, 0, 2, 1, 10, 0, 0, 1, 0]);
        assert_eq!(written(16, "[::1]:258").unwrap()[..6], [10, 0, 2, 1, 0, 0]);
        assert_eq!(written(128, "[::1]:258").unwrap()[19..21], [1, 0]);
        assert_eq!(errno(written(2, "10.0.0.1:258")), Some(Errno::Inval));
    }
}
