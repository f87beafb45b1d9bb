//! WASI 0.2 on top of the socket state machines: turns its calls into theirs, and their faults into its codes.
//!
//! The traits are wasmtime-wasi's, so that the interfaces have one definition; the resources behind them are ours. A
//! resource of wasmtime-wasi's type is only a number here ([`ours`]); none of its sockets ever exists.

mod lookup;
mod network;
mod tcp;
mod udp;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets;
use wasmtime_wasi::p2::{SocketError, SocketResult};

use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::network::Network;
use crate::state::ComponentState;
use sockets::network::{ErrorCode, IpAddressFamily};

/// What the interfaces work on.
pub(crate) struct SocketsView<'a> {
    pub(crate) network: &'a mut Network,
    pub(crate) table: &'a mut ResourceTable,
}

/// Tells the linker of [`SocketsView`].
pub(crate) struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = SocketsView<'a>;
}

/// Links `wasi:sockets` 0.2.
pub(crate) fn add_0_2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type State = ComponentState;
    let mut options = sockets::network::LinkOptions::default();
    options.network_error_code(true);
    sockets::network::add_to_linker::<State, HasSockets>(linker, &options, State::sockets)?;
    sockets::instance_network::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    sockets::tcp::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    sockets::udp_create_socket::add_to_linker::<State, HasSockets>(linker, State::sockets)?;
    sockets::udp::add_to_linker::<State, HasSockets>(linker, State::sockets)
}

/// The resource of ours that a resource of wasmtime-wasi's type stands for.
pub(super) fn ours<Theirs: 'static, Ours: 'static>(resource: &Resource<Theirs>) -> Resource<Ours> {
    if resource.owned() { Resource::new_own(resource.rep()) } else { Resource::new_borrow(resource.rep()) }
}

/// The other way: what a resource of ours is called in the interface.
pub(super) fn theirs<Ours: 'static, Theirs: 'static>(resource: &Resource<Ours>) -> Resource<Theirs> {
    ours(resource)
}

/// A result as the interface wants it.
fn answer<T>(result: Result<T, Fault>) -> SocketResult<T> {
    result.map_err(|fault| SocketError::from(ErrorCode::from(fault)))
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

impl From<Fault> for ErrorCode {
    fn from(fault: Fault) -> ErrorCode {
        match fault {
            Fault::Unknown => ErrorCode::Unknown,
            Fault::AccessDenied => ErrorCode::AccessDenied,
            Fault::NotSupported => ErrorCode::NotSupported,
            Fault::InvalidArgument => ErrorCode::InvalidArgument,
            Fault::OutOfMemory => ErrorCode::OutOfMemory,
            Fault::Timeout => ErrorCode::Timeout,
            Fault::ConcurrencyConflict => ErrorCode::ConcurrencyConflict,
            Fault::NotInProgress => ErrorCode::NotInProgress,
            Fault::WouldBlock => ErrorCode::WouldBlock,
            Fault::InvalidState => ErrorCode::InvalidState,
            Fault::NewSocketLimit => ErrorCode::NewSocketLimit,
            Fault::AddressNotBindable => ErrorCode::AddressNotBindable,
            Fault::AddressInUse => ErrorCode::AddressInUse,
            Fault::RemoteUnreachable => ErrorCode::RemoteUnreachable,
            Fault::ConnectionRefused => ErrorCode::ConnectionRefused,
            // 0.2 has no word for a broken connection apart from the closed stream.
            Fault::ConnectionReset | Fault::ConnectionBroken => ErrorCode::ConnectionReset,
            Fault::ConnectionAborted => ErrorCode::ConnectionAborted,
            Fault::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            Fault::NameUnresolvable => ErrorCode::NameUnresolvable,
            Fault::TemporaryResolverFailure => ErrorCode::TemporaryResolverFailure,
            Fault::PermanentResolverFailure => ErrorCode::PermanentResolverFailure,
        }
    }
}
