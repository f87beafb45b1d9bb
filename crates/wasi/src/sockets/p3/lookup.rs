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

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(addresses: &[&str]) -> Result<Vec<IpAddr>, Fault> {
        let known = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let found = super::addresses(Ok(Lookup::Known(known))).await?;
        Ok(found.into_iter().map(IpAddr::from).collect())
    }

    #[tokio::test]
    async fn ipv4_inside_ipv6_is_told_as_ipv4() {
        let want: Vec<IpAddr> = ["192.0.2.7", "2001:db8::7"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(found(&["::ffff:192.0.2.7", "2001:db8::7"]).await, Ok(want));
    }

    #[tokio::test]
    async fn no_address_is_no_success() {
        assert_eq!(found(&[]).await, Err(Fault::NameUnresolvable));
    }

    #[test]
    fn every_fault_of_a_lookup_has_its_code() {
        let check = |fault: Fault, code: &str| {
            assert!(format!("{:?}", ErrorCode::from(fault)).contains(code), "{fault}");
        };
        check(Fault::AccessDenied, "AccessDenied");
        check(Fault::InvalidArgument, "InvalidArgument");
        check(Fault::NameUnresolvable, "NameUnresolvable");
        check(Fault::TemporaryResolverFailure, "TemporaryResolverFailure");
        check(Fault::Timeout, "TemporaryResolverFailure");
        check(Fault::NewSocketLimit, "TemporaryResolverFailure");
        check(Fault::PermanentResolverFailure, "PermanentResolverFailure");
        check(Fault::RemoteUnreachable, "PermanentResolverFailure");
        check(Fault::Unknown, "Other");
    }
}
