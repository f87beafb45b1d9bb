//! Name lookups that need no grant, and those that are refused.

use p3_guests::{Report, plain_ip};
use std::net::IpAddr;
use wasip3::sockets::ip_name_lookup::{ErrorCode, resolve_addresses};

const BAD_NAMES: &[(&str, &str)] = &[
    ("empty", ""),
    ("space", "exa mple.com"),
    ("nul", "example\0.com"),
    ("slash", "example.com/path"),
    ("port", "example.com:80"),
    ("empty-label", "example..com"),
    ("open-bracket", "[::1"),
];

/// Addresses as text, and as they must come back.
const LITERALS: &[(&str, &str)] = &[
    ("192.0.2.7", "192.0.2.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("::1", "::1"),
    // IPv4 inside IPv6 never comes back.
    ("::ffff:192.0.2.7", "192.0.2.7"),
];

/// Every check of this file.
pub async fn check(report: &mut Report) {
    for (text, address) in LITERALS {
        let address: IpAddr = address.parse().expect("an IP address");
        report.value(&format!("literal-{text}"), lookup(text).await, vec![address]);
    }
    for name in ["localhost", "LOCALHOST", "a.localhost"] {
        let loopback = |found: Vec<IpAddr>| !found.is_empty() && found.iter().all(IpAddr::is_loopback);
        report.value(name, lookup(name).await.map(loopback), true);
    }
    for (name, text) in BAD_NAMES {
        report.code(&format!("name-{name}"), lookup(text).await, "invalid-argument");
    }
    let long_label = format!("{}.com", "a".repeat(64));
    report.code("name-long-label", lookup(&long_label).await, "invalid-argument");
    let long_name = "a.".repeat(127) + "com";
    report.code("name-too-long", lookup(&long_name).await, "invalid-argument");
    report.code("name-without-grant", lookup("ungranted.example").await, "access-denied");
    // Several at once.
    let both = futures::join!(lookup("localhost"), lookup("192.0.2.7"));
    report.ok("at-once-localhost", both.0);
    report.ok("at-once-literal", both.1);
}

async fn lookup(name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    Ok(resolve_addresses(name.to_owned()).await?.into_iter().map(plain_ip).collect())
}
