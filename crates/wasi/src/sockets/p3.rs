//! WASI 0.3 on top of the socket state machines: turns its calls into theirs, and their faults into its codes.
//!
//! As in [`super::p2`], the traits are wasmtime-wasi's and the resources behind them are ours. What 0.2 says in steps
//! (start, wait, finish) is one asynchronous call here, so there are no codes for a step at the wrong time: a call that
//! cannot be made now is in the wrong state.

mod lookup;
mod streams;
mod tcp;
mod udp;

use wasmtime::component::Linker;
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup, types};
use wasmtime_wasi::p3::sockets::{SocketError, SocketResult};

use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::p2::{HasSockets, SocketsView};
use crate::state::ComponentState;
use types::{ErrorCode, IpAddressFamily};

/// Links `wasi:sockets` 0.3.
pub(crate) fn add_0_3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type State = ComponentState;
    types::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    ip_name_lookup::add_to_linker::<State, HasSockets>(linker, State::sockets)
}

impl types::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

/// A result as the interface wants it.
fn answer<T>(result: Result<T, Fault>) -> SocketResult<T> {
    result.map_err(|fault| SocketError::from(ErrorCode::from(fault)))
}

/// What only a broken host or guest can cause ends the guest.
fn trap(error: impl Into<wasmtime::Error>) -> SocketError {
    SocketError::trap(error)
}

impl From<Fault> for ErrorCode {
    fn from(fault: Fault) -> ErrorCode {
        match fault {
            Fault::Unknown => ErrorCode::Other(None),
            Fault::AccessDenied => ErrorCode::AccessDenied,
            Fault::NotSupported => ErrorCode::NotSupported,
            Fault::InvalidArgument => ErrorCode::InvalidArgument,
            Fault::OutOfMemory => ErrorCode::OutOfMemory,
            Fault::Timeout => ErrorCode::Timeout,
            Fault::InvalidState | Fault::ConcurrencyConflict | Fault::NotInProgress | Fault::WouldBlock => {
                ErrorCode::InvalidState
            }
            Fault::NewSocketLimit => ErrorCode::Other(Some("too many sockets".to_owned())),
            Fault::AddressNotBindable => ErrorCode::AddressNotBindable,
            Fault::AddressInUse => ErrorCode::AddressInUse,
            // Whoever dials resolves once more, and may find nothing where the lookup found something.
            Fault::RemoteUnreachable
            | Fault::NameUnresolvable
            | Fault::TemporaryResolverFailure
            | Fault::PermanentResolverFailure => ErrorCode::RemoteUnreachable,
            Fault::ConnectionRefused => ErrorCode::ConnectionRefused,
            Fault::ConnectionReset => ErrorCode::ConnectionReset,
            Fault::ConnectionBroken => ErrorCode::ConnectionBroken,
            Fault::ConnectionAborted => ErrorCode::ConnectionAborted,
            Fault::DatagramTooLarge => ErrorCode::DatagramTooLarge,
        }
    }
}

impl From<IpAddressFamily> for Family {
    fn from(family: IpAddressFamily) -> Family {
        match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        }
    }
}

impl From<Family> for IpAddressFamily {
    fn from(family: Family) -> IpAddressFamily {
        match family {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code as the interface spells it, but for hyphens.
    fn code(fault: Fault) -> String {
        format!("{:?}", ErrorCode::from(fault))
    }

    #[test]
    fn a_call_at_the_wrong_time_is_in_the_wrong_state() {
        for fault in [Fault::InvalidState, Fault::ConcurrencyConflict, Fault::NotInProgress, Fault::WouldBlock] {
            assert!(code(fault).contains("InvalidState"), "{fault}");
        }
    }

    #[test]
    fn a_name_that_is_gone_by_the_time_of_the_connect_is_unreachable() {
        for fault in [
            Fault::RemoteUnreachable,
            Fault::NameUnresolvable,
            Fault::TemporaryResolverFailure,
            Fault::PermanentResolverFailure,
        ] {
            assert!(code(fault).contains("RemoteUnreachable"), "{fault}");
        }
    }

    #[test]
    fn every_other_fault_keeps_its_name() {
        for fault in [
            Fault::AccessDenied,
            Fault::NotSupported,
            Fault::InvalidArgument,
            Fault::OutOfMemory,
            Fault::Timeout,
            Fault::AddressNotBindable,
            Fault::AddressInUse,
            Fault::ConnectionRefused,
            Fault::ConnectionReset,
            Fault::ConnectionBroken,
            Fault::ConnectionAborted,
            Fault::DatagramTooLarge,
        ] {
            assert!(code(fault).contains(&fault.to_string()), "{fault}: {}", code(fault));
        }
        assert!(matches!(ErrorCode::from(Fault::Unknown), ErrorCode::Other(None)));
        let says = |text: &str| text.contains("too many sockets");
        assert!(matches!(ErrorCode::from(Fault::NewSocketLimit), ErrorCode::Other(Some(text)) if says(&text)));
    }
}
