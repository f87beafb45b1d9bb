//! `wasi:sockets/ip-name-lookup` 0.3.

use std::future::poll_fn;
use std::net::IpAddr;

use wasmtime::component::Accessor;
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use wasmtime_wasi::p3::bindings::sockets::types::IpAddress;

use crate::sockets::fault::Fault;
use crate::sockets::network::Lookup;
use crate::sockets::p2::{HasSockets, SocketsView};

impl<T: Send> HostWithStore<T> for HasSockets {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
        let lookup = store.with(|mut access| access.get().network.lookup(&name));
        Ok(addresses(lookup).await.map_err(ErrorCode::from))
    }
}

impl Host for SocketsView<'_> {}

/// All addresses of a name, at least one. An IPv4 address is told as one, however it was written.
async fn addresses(lookup: Result<Lookup, Fault>) -> Result<Vec<IpAddress>, Fault> {
    let found = match lookup? {
        Lookup::Known(addresses) => addresses,
        Lookup::Asked(mut pending) => {
            poll_fn(|cx| pending.poll_ready(cx)).await;
            pending.take().unwrap_or(Err(Fault::Unknown))?
        }
    };
    if found.is_empty() {
        return Err(Fault::NameUnresolvable);
    }
    Ok(found.iter().map(IpAddr::to_canonical).map(IpAddress::from).collect())
}

impl From<Fault> for ErrorCode {
    fn from(fault: Fault) -> ErrorCode {
        match fault {
            Fault::AccessDenied => ErrorCode::AccessDenied,
            Fault::InvalidArgument => ErrorCode::InvalidArgument,
            Fault::NameUnresolvable => ErrorCode::NameUnresolvable,
            // Later there may be room, or an answer.
            Fault::TemporaryResolverFailure | Fault::Timeout | Fault::NewSocketLimit => {
                ErrorCode::TemporaryResolverFailure
            }
            // Nobody is there to be asked.
            Fault::PermanentResolverFailure | Fault::RemoteUnreachable => ErrorCode::PermanentResolverFailure,
            _ => ErrorCode::Other(None),
        }
    }
}
