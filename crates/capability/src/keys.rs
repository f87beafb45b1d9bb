//! The reserved label keys, and the one form in which each may be written.
//!
//! A reserved label is compared byte by byte like any other, so two spellings of one address or name would be two
//! addresses to a grant. [`check_value`] therefore admits only the canonical spelling, once, where a label is made.

use crate::labels::LabelError;
use core::fmt::{self, Write};
use core::net::IpAddr;

/// The transport protocol: `tcp` or `udp`.
pub const TRANSPORT: &str = "transport";
/// The world an end lives in: [`OUTSIDE`], or the name of an application.
pub const NETWORK: &str = "network";
/// The address a client comes from. Set by an ingress.
pub const CLIENT_ADDRESS: &str = "client_address";
/// The port a client comes from. Set by an ingress.
pub const CLIENT_PORT: &str = "client_port";
/// The address a server listens on or a client asks for, as [`core::net::IpAddr`] prints it.
pub const SERVER_ADDRESS: &str = "server_address";
/// The port a server listens on or a client asks for, 1 to 65535, in decimal.
pub const SERVER_PORT: &str = "server_port";
/// The host name a client asks for: lower case, without a final dot.
pub const SERVER_HOSTNAME: &str = "server_hostname";
/// The service a client belongs to. Set by the supervisor.
pub const CLIENT_SERVICE: &str = "client_service";
/// The instance of a service a client is. Set by the supervisor.
pub const CLIENT_INSTANCE: &str = "client_instance";

/// The value of [`NETWORK`] for everything that has an address or a dotted name.
pub const OUTSIDE: &str = "outside";

/// Keys that say where a request leads. A grant covers a request only if it has a pattern for each of them that the
/// request holds: otherwise a granted address could be joined by a host name nobody granted, and lead there.
pub const DESTINATION: [&str; 5] = [TRANSPORT, NETWORK, SERVER_ADDRESS, SERVER_PORT, SERVER_HOSTNAME];

/// Keys that say who a client is. Never taken from a client's own request: only from its handle or from an ingress.
pub const SOURCE: [&str; 4] = [CLIENT_ADDRESS, CLIENT_PORT, CLIENT_SERVICE, CLIENT_INSTANCE];

/// Whether `key` is one that only the edges and the supervisor set.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    DESTINATION.contains(&key) || SOURCE.contains(&key)
}

/// Checks that `value` is the canonical form for a reserved `key`. Any value is right for a key that is not reserved.
///
/// # Errors
/// [`LabelError::NotCanonical`] if it is not.
pub fn check_value(key: &str, value: &str) -> Result<(), LabelError> {
    let canonical = match key {
        TRANSPORT => matches!(value, "tcp" | "udp"),
        CLIENT_ADDRESS | SERVER_ADDRESS => is_canonical_address(value),
        CLIENT_PORT | SERVER_PORT => value.parse::<u16>().is_ok_and(|port| port != 0 && is_printed_as(&port, value)),
        SERVER_HOSTNAME => is_canonical_hostname(value),
        _ => true,
    };
    if canonical { Ok(()) } else { Err(LabelError::NotCanonical { key: key.into() }) }
}

/// An IPv4 address inside IPv6 (`::ffff:127.0.0.1`) is refused: it would be a second spelling of the IPv4 address.
fn is_canonical_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok_and(|address| address.to_canonical() == address && is_printed_as(&address, value))
}

/// Whether this is how `what` prints itself. Compared as it is printed: nothing is kept.
fn is_printed_as(what: &impl fmt::Display, text: &str) -> bool {
    let mut rest = Rest(text);
    write!(rest, "{what}").is_ok() && rest.0.is_empty()
}

/// What is still to be printed.
struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, printed: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(printed).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// RFC 1123 letters, digits and hyphens, and the underscore that service names use; at most 253 bytes, 63 a part. Names
/// in other scripts arrive as their `xn--` form (RFC 5890).
fn is_canonical_hostname(value: &str) -> bool {
    let is_part = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    value.len() <= 253 && value.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(check_value(key, value), Ok(()), "{key}={value}");
        }
        for value in bad {
            assert_eq!(check_value(key, value), Err(LabelError::NotCanonical { key: key.into() }), "{key}={value}");
        }
    }

    #[test]
    fn only_one_spelling_of_a_reserved_value_is_admitted() {
        check(TRANSPORT, &["tcp", "udp"], &["TCP", "sctp", ""]);
        check(SERVER_PORT, &["1", "22", "65535"], &["0", "022", "65536", "+22", "ssh", ""]);
        check(
            SERVER_ADDRESS,
            &["127.0.0.1", "::1", "2001:db8::1"],
            &["127.1", "0127.0.0.1", "::ffff:127.0.0.1", "0::1", "2001:DB8::1", "fe80::1%eth0", "localhost", ""],
        );
        check(
            SERVER_HOSTNAME,
            &["localhost", "db", "a.example.com", "_dmarc.example.com", "xn--bcher-kva.example"],
            &["", ".", "a.", ".a", "a..b", "A.example", "a b", "bücher.example", "a/b", "a:22"],
        );
        check("anything", &["", "Any Thing", "\u{1}"], &[]);
    }

    #[test]
    fn a_hostname_is_bounded() {
        let part = "a".repeat(63);
        check(SERVER_HOSTNAME, &[&part], &[&"a".repeat(64), &[part.as_str(); 5].join(".")]);
    }
}
