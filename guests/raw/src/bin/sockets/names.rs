//! Name lookups that need no grant, and those that are refused.

use crate::report::Report;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::{ResolveAddressStream, resolve_addresses};
use wasip2::sockets::network::{ErrorCode, IpAddress};

const BAD_NAMES: &[(&str, &str)] = &[
    ("empty", ""),
    ("space", "exa mple.com"),
    ("nul", "example\0.com"),
    ("slash", "example.com/path"),
    ("port", "example.com:80"),
    ("empty-label", "example..com"),
    ("open-bracket", "[::1"),
];

/// Every check of this file.
pub fn check(report: &mut Report) {
    literals(report);
    report.equal("localhost", lookup("localhost").map(|found| all_loopback(&found)), Ok(true));
    for (name, text) in BAD_NAMES {
        report.error(&format!("name-{name}"), lookup(text), "invalid-argument");
    }
    let long_label = format!("{}.com", "a".repeat(64));
    report.error("name-long-label", lookup(&long_label), "invalid-argument");
    let long_name = "a.".repeat(127) + "com";
    report.error("name-too-long", lookup(&long_name), "invalid-argument");
    report.error("name-without-grant", lookup("ungranted.example"), "access-denied");
}

fn literals(report: &mut Report) {
    report.equal("literal-v4", lookup("192.0.2.7").map(|found| show(&found)), Ok("192.0.2.7".to_string()));
    let v6 = Ok("8193:3512:0:0:0:0:0:7".to_string());
    report.equal("literal-v6", lookup("2001:db8::7").map(|found| show(&found)), v6);
}

/// Prints what each name leads to.
pub fn show_all(names: &[&str]) {
    for name in names {
        match lookup(name) {
            Ok(found) => println!("{name}: {}", show(&found)),
            Err(code) => println!("{name}: {}", code.name()),
        }
    }
}

/// All addresses of a name, whichever call gives the answer.
fn lookup(name: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let stream = resolve_addresses(&instance_network(), name)?;
    let mut found = Vec::new();
    while let Some(address) = next(&stream)? {
        found.push(address);
    }
    // The end stays the end.
    assert!(matches!(next(&stream), Ok(None)));
    Ok(found)
}

fn next(stream: &ResolveAddressStream) -> Result<Option<IpAddress>, ErrorCode> {
    loop {
        match stream.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            answer => return answer,
        }
    }
}

fn all_loopback(found: &[IpAddress]) -> bool {
    let loopback = |address: &IpAddress| match address {
        IpAddress::Ipv4(v4) => v4.0 == 127,
        IpAddress::Ipv6(v6) => *v6 == (0, 0, 0, 0, 0, 0, 0, 1),
    };
    !found.is_empty() && found.iter().all(loopback)
}

/// Numbers joined as the interface has them: decimal in both families.
fn show(found: &[IpAddress]) -> String {
    let texts: Vec<String> = found
        .iter()
        .map(|address| match address {
            IpAddress::Ipv4((a, b, c, d)) => format!("{a}.{b}.{c}.{d}"),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => format!("{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}"),
        })
        .collect();
    texts.join(" ")
}
