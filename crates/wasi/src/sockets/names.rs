//! Decides what a name is, and remembers which names an address came from (design rule 7).
//!
//! A guest looks a name up and then connects to an address. The switchboard must be asked by name, because the name is
//! what was granted and because whoever dials must resolve it himself. So answers are remembered for the guest that
//! got them: a bounded number of addresses, the longest unused forgotten first, and few names for each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use capability::{Labels, keys};

use crate::sockets::fault::Fault;

/// Addresses remembered for one guest. Whoever looks up more between lookup and connect connects by address.
const MAX_ADDRESSES: usize = 256;

/// Names remembered for one address: each may cost a question when connecting.
const MAX_NAMES: usize = 4;

/// Where the addresses of services begin: a network for benchmarks, which is routed nowhere (RFC 2544), and a unique local
/// one (RFC 4193).
const SERVICES_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const SERVICES_V6: Ipv6Addr = Ipv6Addr::new(0xfdc0, 0x7264, 0xb0a2, 0, 0, 0, 0, 0);

/// How many addresses that IPv4 network has.
const SERVICES: u32 = 1 << 17;

/// A host name in the one spelling that labels admit: lower case, no final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName {
    text: String,
    /// Where to ask for it.
    pub(crate) world: World,
}

/// Where a name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// To DNS: it has a dot, inside or at its end.
    Outside,
    /// To the guest's own application, as the name of a service: one word. It must never reach DNS.
    Application,
}

impl HostName {
    /// The name as labels hold it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The labels of whatever asks for it; one word is a service of `application`.
    pub(crate) fn labels(&self, application: Option<&str>) -> Result<Labels, Fault> {
        let network = match self.world {
            World::Outside => Some(keys::OUTSIDE),
            World::Application => application,
        };
        let labels = [Some((keys::SERVER_HOSTNAME, &*self.text)), network.map(|network| (keys::NETWORK, network))];
        Labels::try_from_pairs(labels.into_iter().flatten()).map_err(|_not_canonical| Fault::InvalidArgument)
    }
}

/// What the text of a lookup means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// An address already.
    Address(IpAddr),
    /// This host, by one of its names: loopback, by RFC 6761 without asking anybody.
    Localhost(HostName),
    /// A name that somebody must be asked for.
    Host(HostName),
    /// Nothing that could be a name.
    Invalid,
}

/// The addresses of `localhost`, in the order in which they are tried.
pub(crate) const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

impl Name {
    /// Understands the text of a lookup. Names in other scripts than ASCII are written as DNS has them (IDNA).
    pub(crate) fn parse(text: &str) -> Name {
        if !text.is_ascii() {
            // What comes out is ASCII, which ends the recursion.
            return idna::domain_to_ascii(text).map_or(Name::Invalid, |ascii| Name::parse(&ascii));
        }
        if let Ok(address) = text.parse() {
            return Name::Address(address);
        }
        let ends_with_dot = text.ends_with('.');
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if !is_host_name(&name) {
            return Name::Invalid;
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Name::Localhost(HostName { text: name, world: World::Outside });
        }
        let world = if name.contains('.') || ends_with_dot { World::Outside } else { World::Application };
        Name::Host(HostName { text: name, world })
    }
}

/// RFC 1123 with the underscore; the last part must not be a number, because `127.1` is an address to some resolvers.
fn is_host_name(name: &str) -> bool {
    let is_part = |part: &str| {
        (1..=63).contains(&part.len()) && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    let is_number = |part: &str| {
        let hex = part.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        hex || part.bytes().all(|b| b.is_ascii_digit())
    };
    name.len() <= 253 && name.split('.').all(is_part) && !name.rsplit('.').next().is_some_and(is_number)
}

/// Which names the addresses of one guest came from.
#[derive(Debug, Default)]
pub(crate) struct NameMemory {
    /// The most recently used last.
    entries: Vec<(IpAddr, Vec<HostName>)>,
    /// Services that got addresses, in the order of their addresses.
    services: Vec<HostName>,
}

impl NameMemory {
    /// Remembers that a lookup of `name` answered `address`.
    pub(crate) fn remember(&mut self, address: IpAddr, name: &HostName) {
        let mut names = self.take(address);
        names.retain(|known| known != name);
        names.insert(0, name.clone());
        names.truncate(MAX_NAMES);
        if self.entries.len() >= MAX_ADDRESSES {
            self.entries.remove(0);
        }
        self.entries.push((address, names));
    }

    /// The addresses of a service, always the same for one guest. They lead nowhere but back to the name.
    pub(crate) fn service_addresses(&mut self, name: &HostName) -> [IpAddr; 2] {
        let known = self.services.iter().position(|known| known == name);
        let index = known.unwrap_or(self.services.len());
        if known.is_none() {
            self.services.push(name.clone());
        }
        // As many services as addresses are more than any handle has grants.
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX) % SERVICES;
        let v4 = Ipv4Addr::from_bits(SERVICES_V4.to_bits() + number);
        let v6 = Ipv6Addr::from_bits(SERVICES_V6.to_bits() + u128::from(number));
        [v4.into(), v6.into()]
    }

    /// The names that `address` came from, the latest first.
    pub(crate) fn names_of(&mut self, address: IpAddr) -> Vec<HostName> {
        let names = self.take(address);
        if !names.is_empty() {
            self.entries.push((address, names.clone()));
        }
        names
    }

    fn take(&mut self, address: IpAddr) -> Vec<HostName> {
        match self.entries.iter().rposition(|(known, _)| *known == address) {
            Some(at) => self.entries.remove(at).1,
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName { text: text.to_owned(), world: World::Outside }
    }

    fn service(text: &str) -> HostName {
        HostName { text: text.to_owned(), world: World::Application }
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn text_means_one_thing() {
        let check = |text: &str, expected: Name| assert_eq!(Name::parse(text), expected, "{text:?}");
        check("127.0.0.1", Name::Address([127, 0, 0, 1].into()));
        check("::1", Name::Address(Ipv6Addr::LOCALHOST.into()));
        check("localhost", Name::Localhost(name("localhost")));
        check("LocalHost.", Name::Localhost(name("localhost")));
        check("a.localhost", Name::Localhost(name("a.localhost")));
        check("db", Name::Host(service("db")));
        check("db.", Name::Host(name("db")));
        check("Example.COM", Name::Host(name("example.com")));
        check("example.com.", Name::Host(name("example.com")));
        check("Bücher.example", Name::Host(name("xn--bcher-kva.example")));
        check("例え。テスト。", Name::Host(name("xn--r8jz45g.xn--zckzah")));
        check("ＬＯＣＡＬＨＯＳＴ", Name::Localhost(name("localhost")));
        check("１２７.0.0.1", Name::Address([127, 0, 0, 1].into()));
        check("notlocalhost", Name::Host(service("notlocalhost")));
        check("_sip.example.com", Name::Host(name("_sip.example.com")));
        for invalid in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "a:22",
            "[::1]",
            "fe80::1%eth0",
            "127.1",
            "1.2.3.4.5",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "a\u{200d}b.example",
            "\u{ff0f}",
            "a\0b",
            "a..",
        ] {
            check(invalid, Name::Invalid);
        }
        check(&"a".repeat(64), Name::Invalid);
        check(&"a.".repeat(128), Name::Invalid);
    }

    #[test]
    fn a_single_word_belongs_to_the_application_unless_a_dot_says_otherwise() {
        let check = |text: &str, application: Option<&str>, expected: &str| {
            let Name::Host(name) = Name::parse(text) else { panic!("{text}") };
            let labels = name.labels(application).unwrap();
            let texts: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(texts.join(" "), expected, "{text}");
        };
        check("db", Some("shop"), "network=shop server_hostname=db");
        check("db", None, "server_hostname=db");
        check("db.", Some("shop"), "network=outside server_hostname=db");
        check("a.example.com", Some("shop"), "network=outside server_hostname=a.example.com");
    }

    #[test]
    fn a_service_has_the_same_addresses_whenever_it_is_looked_up() {
        let mut memory = NameMemory::default();
        let first = memory.service_addresses(&service("db"));
        assert_eq!(first.map(|address| address.to_string()), ["198.18.0.1", "fdc0:7264:b0a2::1"]);
        assert_ne!(memory.service_addresses(&service("web")), first);
        assert_eq!(memory.service_addresses(&service("db")), first);
    }

    #[test]
    fn names_come_latest_first_and_few() {
        let mut memory = NameMemory::default();
        for text in ["a", "b", "c", "d", "e", "c"] {
            memory.remember(address(1), &name(text));
        }
        assert_eq!(memory.names_of(address(1)), ["c", "e", "d", "b"].map(name));
        assert_eq!(memory.names_of(address(2)), []);
    }

    #[test]
    fn the_longest_unused_address_is_forgotten() {
        let mut memory = NameMemory::default();
        for number in 0..MAX_ADDRESSES as u32 {
            memory.remember(address(number), &name("n"));
        }
        assert_eq!(memory.names_of(address(0)).len(), 1);
        memory.remember(address(1_000_000), &name("n"));
        assert_eq!(memory.names_of(address(0)).len(), 1);
        assert_eq!(memory.names_of(address(1)), []);
        assert_eq!(memory.entries.len(), MAX_ADDRESSES);
    }
}
