//! `--connect TARGET`: whatever is typed is a target or one clear error; a target survives printing; and what it grants
//! is never more than an independent reading of the text allows. `--publish`, likewise, survives printing.
#![no_main]

use capability::{Capability, Constraint, Labels, Right, Rights, keys, right};
use libfuzzer_sys::fuzz_target;
use manifest::{ConnectTarget, Publish};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fuzz_target!(|typed: &str| {
    match typed.parse::<Publish>() {
        Ok(publish) => assert_eq!(publish.to_string().parse(), Ok(publish)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let target: ConnectTarget = match typed.parse() {
        Ok(target) => target,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let again: ConnectTarget = target.to_string().parse().expect("what is printed can be typed");
    assert_eq!(again, target);

    let grants = target.grants().expect("a parsed target makes grants");
    let constraint =
        Constraint { rights: Rights::only(Right::ClientConnect), grants: Some(grants), ..Constraint::default() };
    let guest = Capability::root().constrain(&constraint).expect("the root can be constrained");
    let host = target.to_string();
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv4Addr::new(9, 9, 9, 9).into(), Ipv6Addr::LOCALHOST.into()] {
        for (transport, port) in [("tcp", "22"), ("udp", "53")] {
            let mut labels = Labels::new();
            for (key, value) in [
                (keys::TRANSPORT, transport),
                (keys::NETWORK, keys::OUTSIDE),
                (keys::SERVER_ADDRESS, &address.to_string()),
                (keys::SERVER_PORT, port),
            ] {
                labels.insert(key, value).expect("good labels");
            }
            let allowed = guest.permit::<right::ClientConnect>(&labels).is_ok();
            let by_udp = host.starts_with("udp://");
            assert!(!allowed || by_udp == (transport == "udp"), "{host} allows {labels}");
            // A name, other than localhost, grants no address.
            let names_addresses = host.contains('*')
                || host.contains('/')
                || host.contains("localhost")
                || host.contains(&address.to_string());
            assert!(!allowed || names_addresses, "{host} allows {labels}");
        }
    }
});
