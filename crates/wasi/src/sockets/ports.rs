//! The guest's own ports: who holds which, and who takes what arrives there (design rule 7).
//!
//! Every guest has a network namespace of its own, as a container has, but it exists only here: a port is an entry in a
//! table, not a socket of the kernel. The addresses of the namespace are loopback (127.0.0.0/8 and `::1`) and the
//! wildcards. As in the kernel, a wildcard holds the port on every address of its family, and the families are apart:
//! WASI's IPv6 sockets are IPv6 only.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, mpsc};

use crate::sockets::arrived::Arrived;
use crate::sockets::fault::Fault;
use crate::sockets::udp;

/// The ports given to those who ask for any: the dynamic ones (RFC 6335, section 6).
const DYNAMIC: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// The two transport protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Transport {
    /// The value of the label `transport`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// The ports of one guest. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Told whenever a door opens.
    opened: Notify,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<(Transport, u16), Vec<Held>>,
    /// Numbers the leases.
    last_id: u64,
    /// Where the search for a free port begins, counted from the first dynamic port.
    next_dynamic: u16,
}

#[derive(Debug)]
struct Held {
    id: u64,
    ip: IpAddr,
    door: Door,
}

/// Who takes what arrives at a held port.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Nobody: the port is only held. To `Listener`.
    Closed,
    /// A listening TCP socket.
    Listener(mpsc::Sender<Arrived>),
    /// A UDP socket.
    Datagrams(Weak<udp::Shared>),
}

/// A held port. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    ports: Ports,
    transport: Transport,
    local: SocketAddr,
    id: u64,
}

impl Ports {
    /// Takes the port of `local`, or any free one if it is 0.
    ///
    /// # Errors
    ///
    /// [`Fault::AddressInUse`] if somebody holds it, or no port is free.
    pub(crate) fn lease(&self, transport: Transport, local: SocketAddr) -> Result<Lease, Fault> {
        let mut table = self.lock();
        let port = match local.port() {
            0 => table.free_port(transport).ok_or(Fault::AddressInUse)?,
            port if table.is_held(transport, port, local.ip()) => return Err(Fault::AddressInUse),
            port => port,
        };
        table.last_id += 1;
        let id = table.last_id;
        table.held.entry((transport, port)).or_default().push(Held { id, ip: local.ip(), door: Door::Closed });
        Ok(Lease { ports: self.clone(), transport, local: SocketAddr::new(local.ip(), port), id })
    }

    /// Who takes what a socket of this guest sends to the loopback address `to`; `None` if no socket of it has that
    /// port.
    pub(crate) fn door_at(&self, transport: Transport, to: SocketAddr) -> Option<Door> {
        if !to.ip().is_loopback() {
            return None;
        }
        let table = self.lock();
        let held = table.held.get(&(transport, to.port()))?;
        held.iter().find(|held| overlaps(held.ip, to.ip())).map(|held| held.door.clone())
    }

    /// Who takes what arrives at `port` from outside, with an address of the family of `near`: a socket of that family
    /// first, else one of the other.
    fn open_door(&self, transport: Transport, port: u16, near: IpAddr) -> Option<Door> {
        let table = self.lock();
        let held = table.held.get(&(transport, port))?;
        let is_open = |held: &&Held| !matches!(held.door, Door::Closed);
        let own_family = held.iter().filter(is_open).find(|held| held.ip.is_ipv4() == near.is_ipv4());
        own_family.or_else(|| held.iter().find(is_open)).map(|held| held.door.clone())
    }

    /// As soon as there is one, who takes what arrives from outside.
    pub(crate) async fn until_open(&self, transport: Transport, port: u16, near: IpAddr) -> Door {
        loop {
            let opened = self.shared.opened.notified();
            tokio::pin!(opened);
            // Enabled before the look, so that a door that opens after the look is not missed.
            opened.as_mut().enable();
            if let Some(door) = self.open_door(transport, port, near) {
                return door;
            }
            opened.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn is_held(&self, transport: Transport, port: u16, ip: IpAddr) -> bool {
        self.held.get(&(transport, port)).is_some_and(|held| held.iter().any(|held| overlaps(held.ip, ip)))
    }

    /// A port that nobody holds in either family.
    fn free_port(&mut self, transport: Transport) -> Option<u16> {
        let count = DYNAMIC.end() - DYNAMIC.start() + 1;
        let port = (0..count)
            .map(|step| DYNAMIC.start() + (self.next_dynamic.wrapping_add(step)) % count)
            .find(|port| !self.held.contains_key(&(transport, *port)))?;
        self.next_dynamic = (port - DYNAMIC.start() + 1) % count;
        Some(port)
    }
}

/// Whether two local addresses share their ports.
fn overlaps(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

impl Lease {
    /// The address and port held.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Says who takes what arrives.
    pub(crate) fn open(&self, door: Door) {
        if let Some(held) = self.ports.lock().held.get_mut(&(self.transport, self.local.port())) {
            held.iter_mut().filter(|held| held.id == self.id).for_each(|held| held.door = door.clone());
        }
        self.ports.shared.opened.notify_waiters();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.ports.lock();
        let key = (self.transport, self.local.port());
        if let Some(held) = table.held.get_mut(&key) {
            held.retain(|held| held.id != self.id);
            if held.is_empty() {
                table.held.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(ports: &Ports, local: &str) -> Result<Lease, Fault> {
        ports.lease(Transport::Tcp, local.parse().unwrap())
    }

    #[test]
    fn a_port_is_held_once_for_each_address_and_family() {
        let ports = Ports::default();
        let wildcard = lease(&ports, "0.0.0.0:80").unwrap();
        assert_eq!(lease(&ports, "0.0.0.0:80").err(), Some(Fault::AddressInUse));
        assert_eq!(lease(&ports, "127.0.0.1:80").err(), Some(Fault::AddressInUse));
        let _ipv6 = lease(&ports, "[::]:80").unwrap();
        let _udp = ports.lease(Transport::Udp, "0.0.0.0:80".parse().unwrap()).unwrap();
        drop(wildcard);
        let _one = lease(&ports, "127.0.0.1:80").unwrap();
        let _other = lease(&ports, "127.0.0.2:80").unwrap();
        assert_eq!(lease(&ports, "0.0.0.0:80").err(), Some(Fault::AddressInUse));
    }

    #[test]
    fn port_zero_is_any_free_port_until_there_is_none() {
        let ports = Ports::default();
        let count = usize::from(DYNAMIC.end() - DYNAMIC.start()) + 1;
        let mut leases: Vec<Lease> = (0..count).map(|_| lease(&ports, "127.0.0.1:0").unwrap()).collect();
        let numbers: std::collections::HashSet<u16> = leases.iter().map(|lease| lease.local().port()).collect();
        assert_eq!(numbers.len(), count);
        assert!(numbers.iter().all(|port| DYNAMIC.contains(port)));
        assert_eq!(lease(&ports, "0.0.0.0:0").err(), Some(Fault::AddressInUse));
        let freed = leases.remove(7).local().port();
        assert_eq!(lease(&ports, "0.0.0.0:0").unwrap().local().port(), freed);
    }

    #[test]
    fn only_loopback_leads_inside() {
        let ports = Ports::default();
        let _held = lease(&ports, "0.0.0.0:80").unwrap();
        let _narrow = lease(&ports, "127.0.0.2:81").unwrap();
        let is_own = |to: &str| ports.door_at(Transport::Tcp, to.parse().unwrap()).is_some();
        assert!(is_own("127.0.0.1:80") && is_own("127.9.9.9:80") && is_own("127.0.0.2:81"));
        assert!(!is_own("127.0.0.1:81") && !is_own("[::1]:80") && !is_own("10.0.0.1:80") && !is_own("127.0.0.1:82"));
    }

    #[tokio::test]
    async fn what_arrives_goes_to_its_own_family_first() {
        let ports = Ports::default();
        let (v4, mut at_v4) = mpsc::channel(1);
        let (v6, mut at_v6) = mpsc::channel(1);
        let (on_v4, on_v6) = (lease(&ports, "0.0.0.0:80").unwrap(), lease(&ports, "[::]:80").unwrap());
        on_v6.open(Door::Listener(v6));
        let arrive = async |near: &str| {
            let Door::Listener(door) = ports.until_open(Transport::Tcp, 80, near.parse().unwrap()).await else {
                panic!()
            };
            door.try_send(Arrived::test(near)).unwrap();
        };
        arrive("127.0.0.1").await;
        assert!(at_v6.try_recv().is_ok());
        on_v4.open(Door::Listener(v4));
        arrive("127.0.0.1").await;
        assert!(at_v4.try_recv().is_ok());
        arrive("::1").await;
        assert!(at_v6.try_recv().is_ok());
    }
}
