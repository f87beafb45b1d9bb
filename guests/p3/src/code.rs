//! Error codes as they are spelled in the interface.

use wasip3::sockets::{ip_name_lookup, types};

/// An error code of one of the interfaces.
pub trait Code {
    /// Its spelling there.
    fn name(&self) -> &'static str;
}

impl Code for types::ErrorCode {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied => "access-denied",
            Self::NotSupported => "not-supported",
            Self::InvalidArgument => "invalid-argument",
            Self::OutOfMemory => "out-of-memory",
            Self::Timeout => "timeout",
            Self::InvalidState => "invalid-state",
            Self::AddressNotBindable => "address-not-bindable",
            Self::AddressInUse => "address-in-use",
            Self::RemoteUnreachable => "remote-unreachable",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionBroken => "connection-broken",
            Self::ConnectionReset => "connection-reset",
            Self::ConnectionAborted => "connection-aborted",
            Self::DatagramTooLarge => "datagram-too-large",
            Self::Other(_) => "other",
        }
    }
}

impl Code for ip_name_lookup::ErrorCode {
    fn name(&self) -> &'static str {
        match self {
            Self::AccessDenied => "access-denied",
            Self::InvalidArgument => "invalid-argument",
            Self::NameUnresolvable => "name-unresolvable",
            Self::TemporaryResolverFailure => "temporary-resolver-failure",
            Self::PermanentResolverFailure => "permanent-resolver-failure",
            Self::Other(_) => "other",
        }
    }
}
