//! Address ranges: CIDR patterns, which addresses are public, and where a granted *name* may lead.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A range of addresses, `10.0.0.0/8` or `2001:db8::/32` (RFC 4632). An address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no [`Cidr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCidrError {
    /// The part before the slash is no address.
    #[error("not an IPv4 or IPv6 address")]
    Address,
    /// The part after the slash is no number from 0 to 32 (IPv4) or 128 (IPv6).
    #[error("the prefix length must be a number from 0 to {max}")]
    Prefix {
        /// The largest that fits the family.
        max: u8,
    },
    /// Bits are set behind the prefix: most likely not what was meant.
    #[error("the address has bits set behind the prefix; did you mean {meant}?")]
    HostBits {
        /// The same range with those bits cleared.
        meant: Cidr,
    },
    /// An IPv4 address in IPv6 clothes: it would be a second spelling.
    #[error("write an IPv4 address as IPv4, not inside IPv6")]
    Mapped,
}

impl Cidr {
    /// The range of this one address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix_bits = max_prefix(address);
        Self { network: address, prefix_bits }
    }

    /// Every IPv4 address, and every IPv6 address.
    #[must_use]
    pub fn everything() -> [Self; 2] {
        [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()].map(|network| Self { network, prefix_bits: 0 })
    }

    /// The range of `network` and `prefix_bits`.
    ///
    /// # Errors
    /// See [`ParseCidrError`].
    pub fn new(network: IpAddr, prefix_bits: u8) -> Result<Self, ParseCidrError> {
        let max = max_prefix(network);
        if prefix_bits > max {
            return Err(ParseCidrError::Prefix { max });
        }
        if prefix_bits >= 96 && network.to_canonical() != network {
            return Err(ParseCidrError::Mapped);
        }
        let meant = Self { network: masked(network, prefix_bits), prefix_bits };
        if meant.network == network { Ok(meant) } else { Err(ParseCidrError::HostBits { meant }) }
    }

    /// Whether `address` lies in the range. Families never match each other, and an IPv4 address inside IPv6
    /// (`::ffff:127.0.0.1`) is the IPv4 address: `::/0` does not hold it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.prefix_bits) == self.network
    }

    /// The first address of the range.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many leading bits are fixed.
    #[must_use]
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }
}

fn max_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let bits = u32::from(prefix_bits);
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into(),
    }
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(network) = address.parse::<IpAddr>() else {
            return Err(ParseCidrError::Address);
        };
        let max = max_prefix(network);
        let prefix_bits = match prefix {
            None => max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|bits| *bits <= max).ok_or(ParseCidrError::Prefix { max })?
            }
            Some(_) => return Err(ParseCidrError::Prefix { max }),
        };
        Self::new(network, prefix_bits)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.network)?;
        if self.prefix_bits == max_prefix(self.network) { Ok(()) } else { write!(f, "/{}", self.prefix_bits) }
    }
}

/// Whether an address belongs to the public Internet: not loopback, link-local, private, shared, multicast, reserved or
/// for documentation (the IANA special-purpose registries, RFC 6890 and its updates). An IPv6 address that carries an
/// IPv4 one (mapped, NAT64 of RFC 6052, 6to4 of RFC 3056) is as public as that.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0, ..] | [240..=255, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [192, 0, 0, _] | [192, 88, 99, _] => true,
        [198, second, ..] => second & 0xfe == 18 || address.is_documentation(),
        _ => false,
    };
    !(special
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // The only part in use is 2000::/3; of it Teredo and benchmarking (2001:0::/23) and documentation are special.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(join(high, low)),
        _ => address.to_ipv4_mapped(),
    }
}

/// Where a granted *name* may lead: any public address, and those others that the handle's grants cover.
///
/// Made by [`Capability::permit`](crate::Capability::permit) for a request by host name and enforced by whoever
/// resolved the name, so that an answer from a hostile name server opens nothing (DNS rebinding).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AddressScope {
    layers: Vec<Vec<Cidr>>,
}

impl AddressScope {
    /// The scope in which an address that is not public must lie in some range of *each* layer. Without a layer there
    /// is no limit.
    #[must_use]
    pub fn new(layers: Vec<Vec<Cidr>>) -> Self {
        Self { layers }
    }

    /// The layers, as given to [`AddressScope::new`].
    #[must_use]
    pub fn layers(&self) -> &[Vec<Cidr>] {
        &self.layers
    }

    /// Whether the name may lead to `address`.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.layers.iter().all(|layer| layer.iter().any(|range| range.contains(address)))
    }
}
