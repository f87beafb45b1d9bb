//! `sock_getaddrinfo`: a lookup whose answers go into a list that the guest has laid out.
//!
//! ```text
//! entry    0 flags (2)  2 family (1)  3 kind (1)  4 protocol (1)  8 length (4)  12 address (4)
//!         16 name (4)  20 room for the name (4)  24 next entry (4)
//! address  0 family (1)  4 length (4)  8 data (4)
//! data     port, highest byte first (2), then for IPv4: address (4), 8 bytes of nothing;
//!          for IPv6: flow (4), address (16), scope (4)
//! ```
//!
//! The guest makes as many entries as it can use and joins them; those that got an answer are filled in.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};

use wasmtime_wasi::p1::types::{Errno, Error};
use wiggle::{GuestMemory, GuestPtr};

use super::{DATAGRAM, INET4, INET6, Memory, Number, STREAM};
use crate::p1::Preview1;
use crate::p1::calls::returned;
use crate::sockets::{Family, Fault, Lookup, Network};

/// No name or service is longer.
const MAX_TEXT_BYTES: u32 = 1024;

/// WasmEdge's errors of a lookup, which follow preview 1's.
const TRY_AGAIN: u32 = 78;
const BAD_FLAGS: u32 = 79;
const FAILED: u32 = 80;
const BAD_FAMILY: u32 = 81;
const NO_ADDRESS: u32 = 83;
const NO_NAME: u32 = 84;
const NO_SERVICE: u32 = 85;
const BAD_KIND: u32 = 86;

/// What a guest may ask for besides.
const PASSIVE: u32 = 1;
const CANONICAL_NAME: u32 = 2;
const NUMERIC_HOST: u32 = 4;
const NUMERIC_SERVICE: u32 = 8;
const ALL_FLAGS: u32 = 0x7f;

/// WasmEdge's numbers of protocols.
const ANY_PROTOCOL: u32 = 0;
const TCP: u32 = 1;
const UDP: u32 = 2;

/// Services that programs ask for by name. There is no file of them in a sandbox.
const SERVICES: &[(&str, u16)] = &[
    ("domain", 53),
    ("ftp", 21),
    ("http", 80),
    ("https", 443),
    ("imap", 143),
    ("imaps", 993),
    ("ldap", 389),
    ("ldaps", 636),
    ("mysql", 3306),
    ("ntp", 123),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("redis", 6379),
    ("smtp", 25),
    ("ssh", 22),
    ("submission", 587),
    ("telnet", 23),
];

/// Why there is no answer.
#[derive(Debug)]
enum NoAnswer {
    /// A number of WasmEdge's.
    Code(u32),
    /// An error as any call has it.
    Error(Error),
}

impl<E: Into<Error>> From<E> for NoAnswer {
    fn from(error: E) -> NoAnswer {
        NoAnswer::Error(error.into())
    }
}

/// What the guest would like.
#[derive(Clone, Copy, Debug)]
struct Hint {
    flags: u32,
    family: Option<Family>,
    kind: Option<u32>,
}

/// One line of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    address: SocketAddr,
    kind: u32,
}

#[expect(clippy::too_many_arguments, reason = "the guest's own")]
pub(super) async fn get(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    node: u32,
    node_length: u32,
    service: u32,
    service_length: u32,
    hint: u32,
    list: u32,
    max: u32,
    count: u32,
) -> Number {
    let outcome = async {
        let hint = if hint == 0 { Hint { flags: 0, family: None, kind: None } } else { Hint::read(memory, hint)? };
        let (node, service) = (text(memory, node, node_length)?, text(memory, service, service_length)?);
        if node.is_empty() && service.is_empty() {
            return Err(NoAnswer::Code(NO_NAME));
        }
        let port = port(&service, hint)?;
        let addresses = addresses(&guest.network, &node, hint).await?;
        let answers = answers(&addresses, port, hint)?;
        let name = (hint.flags & CANONICAL_NAME != 0).then_some(node);
        let written = write(memory, list, max, &answers, hint.flags, name.as_deref())?;
        Ok(memory.write(GuestPtr::new(count), written)?)
    };
    match outcome.await {
        Ok(()) => returned(Ok(())),
        Err(NoAnswer::Code(code)) => Ok(code),
        Err(NoAnswer::Error(error)) => returned(Err(error)),
    }
}

/// A text of the guest's, with or without a NUL behind it. What is none cannot be found.
fn text(memory: &GuestMemory<'_>, start: u32, length: u32) -> Result<String, NoAnswer> {
    if length > MAX_TEXT_BYTES {
        return Err(NoAnswer::Code(NO_NAME));
    }
    let bytes = memory.as_cow(GuestPtr::new((start, length)))?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_no_text| NoAnswer::Code(NO_NAME))
}

impl Hint {
    fn read(memory: &GuestMemory<'_>, pointer: u32) -> Result<Hint, NoAnswer> {
        let bytes = memory.as_cow(GuestPtr::new((pointer, 5)))?;
        let [low, high, family, kind, protocol] = *bytes else { return Err(Errno::Fault.into()) };
        Hint::of(u16::from_le_bytes([low, high]).into(), family.into(), kind.into(), protocol.into())
    }

    fn of(flags: u32, family: u32, kind: u32, protocol: u32) -> Result<Hint, NoAnswer> {
        let family = match family {
            0 => None,
            INET4 => Some(Family::V4),
            INET6 => Some(Family::V6),
            _ => return Err(NoAnswer::Code(BAD_FAMILY)),
        };
        let kind = match (kind, protocol) {
            (0, ANY_PROTOCOL) => None,
            (0 | STREAM, TCP) | (STREAM, ANY_PROTOCOL) => Some(STREAM),
            (0 | DATAGRAM, UDP) | (DATAGRAM, ANY_PROTOCOL) => Some(DATAGRAM),
            _ => return Err(NoAnswer::Code(BAD_KIND)),
        };
        if flags & !ALL_FLAGS != 0 {
            return Err(NoAnswer::Code(BAD_FLAGS));
        }
        Ok(Hint { flags, family, kind })
    }
}

fn port(service: &str, hint: Hint) -> Result<u16, NoAnswer> {
    if service.is_empty() {
        return Ok(0);
    }
    if service.bytes().all(|byte| byte.is_ascii_digit()) {
        return service.parse().map_err(|_too_large| NoAnswer::Code(NO_SERVICE));
    }
    if hint.flags & NUMERIC_SERVICE != 0 {
        return Err(NoAnswer::Code(NO_NAME));
    }
    let known = SERVICES.iter().find(|(name, _)| *name == service);
    known.map(|(_, port)| *port).ok_or(NoAnswer::Code(NO_SERVICE))
}

async fn addresses(network: &Network, node: &str, hint: Hint) -> Result<Vec<IpAddr>, NoAnswer> {
    if node.is_empty() {
        // To be listened at, or to be found on this host.
        let of = |family: Family| if hint.flags & PASSIVE != 0 { family.unspecified() } else { family.loopback() };
        return Ok(vec![of(Family::V4), of(Family::V6)]);
    }
    if hint.flags & NUMERIC_HOST != 0 {
        return node.parse().map(|ip| vec![ip]).map_err(|_name| NoAnswer::Code(NO_NAME));
    }
    let found = match network.lookup(node) {
        Ok(Lookup::Known(addresses)) => Ok(addresses),
        Ok(Lookup::Asked(mut answer)) => {
            poll_fn(|cx| answer.poll_ready(cx)).await;
            answer.take().unwrap_or(Err(Fault::Unknown))
        }
        Err(fault) => Err(fault),
    };
    found.map_err(|fault| match fault {
        Fault::InvalidArgument | Fault::NameUnresolvable => NoAnswer::Code(NO_NAME),
        Fault::TemporaryResolverFailure | Fault::Timeout => NoAnswer::Code(TRY_AGAIN),
        Fault::AccessDenied => Errno::Acces.into(),
        _ => NoAnswer::Code(FAILED),
    })
}

/// The answers of the family and kind that are wanted: each address for each kind.
fn answers(addresses: &[IpAddr], port: u16, hint: Hint) -> Result<Vec<Answer>, NoAnswer> {
    let kinds = [STREAM, DATAGRAM];
    let kinds = kinds.iter().filter(|kind| hint.kind.is_none_or(|wanted| wanted == **kind));
    let wanted = addresses.iter().filter(|ip| hint.family.is_none_or(|family| family == Family::of(**ip)));
    let answers: Vec<Answer> = wanted
        .flat_map(|ip| kinds.clone().map(|kind| Answer { address: SocketAddr::new(*ip, port), kind: *kind }))
        .collect();
    if answers.is_empty() { Err(NoAnswer::Code(NO_ADDRESS)) } else { Ok(answers) }
}

/// Fills the guest's entries, and says how many.
fn write(
    memory: &mut GuestMemory<'_>,
    list: u32,
    max: u32,
    answers: &[Answer],
    flags: u32,
    name: Option<&str>,
) -> Result<u32, Error> {
    let mut entry: u32 = memory.read(GuestPtr::new(list))?;
    let mut written = 0;
    for answer in answers.iter().take(usize::try_from(max)?) {
        if entry == 0 {
            break;
        }
        let name = if written == 0 { name } else { None };
        entry = write_entry(memory, entry, *answer, flags, name)?;
        written += 1;
    }
    Ok(written)
}

/// Fills one entry and returns where the next one is.
fn write_entry(
    memory: &mut GuestMemory<'_>,
    entry: u32,
    answer: Answer,
    flags: u32,
    name: Option<&str>,
) -> Result<u32, Error> {
    let entry = GuestPtr::<u8>::new(entry);
    let (family, protocol) = numbers(answer);
    let [flags_low, flags_high, ..] = flags.to_le_bytes();
    let head = [flags_low, flags_high, family, small(answer.kind), protocol];
    memory.copy_from_slice(&head, entry.as_array(5))?;
    let data = data(answer.address);
    // As large as the system's structure: the data and the two bytes of the family.
    memory.write(entry.add(8)?.cast(), u32::try_from(data.len())? + 2)?;
    let address: u32 = memory.read(entry.add(12)?.cast())?;
    if address != 0 {
        let address = GuestPtr::<u8>::new(address);
        memory.write(address, family)?;
        memory.write(address.add(4)?.cast(), u32::try_from(data.len())?)?;
        let place: u32 = memory.read(address.add(8)?.cast())?;
        memory.copy_from_slice(&data, GuestPtr::new((place, u32::try_from(data.len())?)))?;
    }
    if let Some(name) = name {
        let place: u32 = memory.read(entry.add(16)?.cast())?;
        let room: u32 = memory.read(entry.add(20)?.cast())?;
        let bytes = &name.as_bytes()[..name.len().min(usize::try_from(room)?)];
        memory.copy_from_slice(bytes, GuestPtr::new((place, u32::try_from(bytes.len())?)))?;
        memory.write(entry.add(20)?.cast(), u32::try_from(bytes.len())?)?;
    }
    Ok(memory.read(entry.add(24)?.cast())?)
}

fn numbers(answer: Answer) -> (u8, u8) {
    let family = if answer.address.is_ipv4() { INET4 } else { INET6 };
    let protocol = if answer.kind == STREAM { TCP } else { UDP };
    (small(family), small(protocol))
}

/// One of the numbers above, all of which are small.
fn small(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

fn data(address: SocketAddr) -> Vec<u8> {
    let mut data = address.port().to_be_bytes().to_vec();
    match address.ip() {
        IpAddr::V4(ip) => {
            data.extend(ip.octets());
            data.extend([0; 8]);
        }
        IpAddr::V6(ip) => {
            data.extend([0; 4]);
            data.extend(ip.octets());
            data.extend([0; 4]);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::p1::calls::number;

    fn code<T: std::fmt::Debug>(result: Result<T, NoAnswer>) -> u32 {
        match result.unwrap_err() {
            NoAnswer::Code(code) => code,
            NoAnswer::Error(error) => number(error.downcast().unwrap()),
        }
    }

    #[test]
    fn hints_are_judged() {
        for (flags, family, kind, protocol, expected) in [
            (0, 3, 0, 0, BAD_FAMILY),
            (0, 0, 3, 0, BAD_KIND),
            (0, 0, STREAM, UDP, BAD_KIND),
            (0, 0, DATAGRAM, TCP, BAD_KIND),
            (0, 0, 0, 3, BAD_KIND),
            (0x80, 0, 0, 0, BAD_FLAGS),
        ] {
            assert_eq!(code(Hint::of(flags, family, kind, protocol)), expected);
        }
        assert_eq!(Hint::of(0, INET6, 0, UDP).unwrap().kind, Some(DATAGRAM));
        assert_eq!(Hint::of(0, INET6, 0, 0).unwrap().family, Some(Family::V6));
    }

    #[test]
    fn services_are_numbers_or_well_known() {
        let any = Hint::of(0, 0, 0, 0).unwrap();
        let numeric = Hint::of(NUMERIC_SERVICE, 0, 0, 0).unwrap();
        assert_eq!(port("http", any).unwrap(), 80);
        assert_eq!(port("8080", numeric).unwrap(), 8080);
        assert_eq!(port("", any).unwrap(), 0);
        assert_eq!(code(port("http", numeric)), NO_NAME);
        assert_eq!(code(port("65536", any)), NO_SERVICE);
        assert_eq!(code(port("no-such-service", any)), NO_SERVICE);
        assert!(SERVICES.is_sorted());
    }

    #[test]
    fn answers_are_of_the_kind_that_is_wanted() {
        let found: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let told = |family: u32, kind: u32| {
            let answers = answers(&found, 80, Hint::of(0, family, kind, 0).unwrap());
            answers.map(|answers| {
                answers.iter().map(|answer| format!("{} {}", answer.address, answer.kind)).collect::<Vec<_>>()
            })
        };
        assert_eq!(told(0, 0).unwrap(), ["10.0.0.1:80 2", "10.0.0.1:80 1", "[::1]:80 2", "[::1]:80 1"]);
        assert_eq!(told(INET6, STREAM).unwrap(), ["[::1]:80 2"]);
        assert_eq!(code(answers(&found[..1], 80, Hint::of(0, INET6, 0, 0).unwrap())), NO_ADDRESS);
    }

    /// A memory with a chain of entries, each with an address of its own, as the crate lays them out.
    fn memory(entries: u32) -> Vec<u8> {
        let mut memory = vec![0; 4096];
        let mut put = |at: u32, value: u32| {
            let at = at as usize;
            memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(0, 64);
        for number in 0..entries {
            let (entry, address, data, name) =
                (64 + number * 28, 1024 + number * 12, 2048 + number * 26, 3072 + number * 8);
            put(entry + 12, address);
            put(entry + 16, name);
            put(entry + 20, 8);
            put(entry + 24, if number + 1 < entries { entry + 28 } else { 0 });
            put(address + 8, data);
        }
        memory
    }

    fn word(memory: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(memory[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn entries_are_filled_as_far_as_they_go() {
        let answers = ["10.0.0.1:258", "[2001:db8::1]:80", "10.0.0.2:80"]
            .map(|address| Answer { address: address.parse().unwrap(), kind: STREAM });
        for (entries, max, expected) in [(3, 3, 3), (2, 3, 2), (3, 1, 1), (3, 0, 0)] {
            let mut bytes = memory(entries);
            let count = write(&mut GuestMemory::Unshared(&mut bytes), 0, max, &answers, 0, None).unwrap();
            assert_eq!(count, expected);
        }
        let mut bytes = memory(2);
        write(&mut GuestMemory::Unshared(&mut bytes), 0, 2, &answers, CANONICAL_NAME, Some("a.example.com")).unwrap();
        assert_eq!(bytes[64..69], [2, 0, 1, 2, 1]);
        assert_eq!((word(&bytes, 72), word(&bytes, 1028)), (16, 14));
        assert_eq!(bytes[1024], 1);
        assert_eq!(bytes[2048..2055], [1, 2, 10, 0, 0, 1, 0]);
        assert_eq!((word(&bytes, 84), &bytes[3072..3081]), (8, &b"a.exampl\0"[..]));
        assert_eq!(bytes[92 + 2..92 + 5], [2, 2, 1]);
        assert_eq!((word(&bytes, 100), word(&bytes, 1040)), (28, 26));
        assert_eq!(bytes[2074..2084], [0, 80, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(word(&bytes, 92 + 20), 8);
    }

    #[test]
    fn entries_outside_of_the_memory_end_the_guest() {
        let answers = [Answer { address: "10.0.0.1:1".parse().unwrap(), kind: STREAM }];
        for (at, wrong) in [(0, 4092), (0, u32::MAX), (76, 4090), (76, u32::MAX - 3), (1032, 4090), (1032, u32::MAX)] {
            let mut bytes = memory(1);
            bytes[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
            let written = write(&mut GuestMemory::Unshared(&mut bytes), 0, 1, &answers, 0, None);
            assert!(written.unwrap_err().downcast().is_err(), "{at} {wrong}");
        }
    }
}
