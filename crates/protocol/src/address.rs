//! Addresses, ranges and scopes to the wire and back.

use crate::codec::MalformedMessage;
use crate::wire;
use capability::{AddressScope, Cidr};
use std::net::IpAddr;

/// 4 or 16 bytes in network order.
pub(crate) fn to_wire(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The address of 4 or 16 bytes.
pub(crate) fn from_wire(bytes: &[u8]) -> Result<IpAddr, MalformedMessage> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ok(v4.into())
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ok(v6.into())
    } else {
        Err(MalformedMessage::Field { field: "address" })
    }
}

/// The addresses, in their order.
pub(crate) fn list_to_wire(addresses: &[IpAddr]) -> wire::Addresses {
    wire::Addresses { addresses: addresses.iter().copied().map(to_wire).collect() }
}

/// The addresses, in their order.
pub(crate) fn list_from_wire(addresses: &wire::Addresses) -> Result<Vec<IpAddr>, MalformedMessage> {
    addresses.addresses.iter().map(|bytes| from_wire(bytes)).collect()
}

/// The range as the wire has it.
pub(crate) fn range_to_wire(range: Cidr) -> wire::Cidr {
    wire::Cidr { address: to_wire(range.network()), prefix_bits: range.prefix_bits().into() }
}

/// The range, if it is one in its canonical form.
pub(crate) fn range_from_wire(range: &wire::Cidr) -> Result<Cidr, MalformedMessage> {
    let network = from_wire(&range.address)?;
    let prefix_bits = u8::try_from(range.prefix_bits).ok();
    let range = prefix_bits.and_then(|bits| Cidr::new(network, bits).ok());
    range.ok_or(MalformedMessage::Field { field: "prefix_bits" })
}

/// The layers of a scope.
pub(crate) fn scope_to_wire(scope: &AddressScope) -> Vec<wire::AddressLayer> {
    let layer = |ranges: &Vec<Cidr>| wire::AddressLayer { ranges: ranges.iter().copied().map(range_to_wire).collect() };
    scope.layers().iter().map(layer).collect()
}

/// The scope of these layers.
pub(crate) fn scope_from_wire(layers: &[wire::AddressLayer]) -> Result<AddressScope, MalformedMessage> {
    let ranges = |layer: &wire::AddressLayer| layer.ranges.iter().map(range_from_wire).collect();
    let layers: Result<_, MalformedMessage> = layers.iter().map(ranges).collect();
    Ok(AddressScope::new(layers?))
}
