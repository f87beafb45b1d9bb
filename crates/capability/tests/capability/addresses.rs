//! Ranges of addresses, which are public, and where a granted name may lead.

use crate::{grant, labels};
use capability::{AddressScope, Capability, Cidr, Constraint, Grant, ParseCidrError, Right, Rights, is_public, right};
use core::net::IpAddr;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn ranges_are_read_and_written_in_one_spelling() {
    for text in ["127.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "2001:db8::/32", "::/0", "192.0.2.4/30"] {
        assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
    }
    assert_eq!("10.1.2.3/32".parse::<Cidr>().unwrap().to_string(), "10.1.2.3");
    let check = |text: &str, expected| assert_eq!(text.parse::<Cidr>(), Err(expected), "{text}");
    for text in ["", "/8", "10.0.0", "localhost", "10.0.0.0 /8", "fe80::1%eth0"] {
        check(text, ParseCidrError::Address);
    }
    for text in ["10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/256"] {
        check(text, ParseCidrError::Prefix { max: 32 });
    }
    check("::/129", ParseCidrError::Prefix { max: 128 });
    let meant = "10.0.0.0/8".parse().unwrap();
    check("10.1.0.0/8", ParseCidrError::HostBits { meant });
    check("::ffff:127.0.0.1", ParseCidrError::Mapped);
    check("::ffff:10.0.0.0/104", ParseCidrError::Mapped);
    let error = "10.1.0.0/8".parse::<Cidr>().unwrap_err();
    assert_eq!(error.to_string(), "the address has bits set behind the prefix; did you mean 10.0.0.0/8?");
}

#[test]
fn a_range_holds_its_addresses_and_no_others() {
    let check = |range: &str, good: &[&str], bad: &[&str]| {
        let range: Cidr = range.parse().unwrap();
        good.iter().for_each(|text| assert!(range.contains(address(text)), "{range} {text}"));
        bad.iter().for_each(|text| assert!(!range.contains(address(text)), "{range} {text}"));
    };
    check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "::1"]);
    check("::/0", &["::", "ffff::"], &["0.0.0.0", "::ffff:1.2.3.4"]);
    check("192.0.2.4/30", &["192.0.2.4", "192.0.2.7"], &["192.0.2.3", "192.0.2.8"]);
    check("128.0.0.0/1", &["128.0.0.0", "255.0.0.0"], &["127.255.255.255"]);
    check("2001:db8::/127", &["2001:db8::", "2001:db8::1"], &["2001:db8::2"]);
    assert_eq!(Cidr::of(address("::ffff:127.0.0.1")), "127.0.0.1".parse().unwrap());
}

/// The special ranges of the IANA registries at both of their ends, and their neighbours.
#[test]
fn what_is_public() {
    for text in [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.1",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.1",
        "198.51.101.0",
        "203.0.112.1",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2606:4700::1111",
        "2a00::",
        "3ffe:ffff::",
        "3fff:1000::",
        "64:ff9b::8.8.8.8",
        "2002:808:808::",
        "::ffff:8.8.8.8",
    ] {
        assert!(is_public(address(text)), "{text}");
    }
    for text in [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "1fff:ffff::",
        "2001::1",
        "2001:1ff::",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "3fff::1",
        "3fff:fff::",
        "4000::",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(address(text)), "{text}");
    }
}

fn scope_of(layers: &[Vec<Grant>], request: &str) -> AddressScope {
    let weaker = |capability: Capability, grants: &Vec<Grant>| {
        let constraint = Constraint { rights: Rights::ALL, grants: Some(grants.clone()), ..Constraint::default() };
        capability.constrain(&constraint).unwrap()
    };
    let capability = layers.iter().fold(Capability::root(), weaker);
    capability.permit::<right::ClientConnect>(&labels(request)).unwrap().scope().clone()
}

fn connect(text: &str) -> Grant {
    grant(Right::ClientConnect, text)
}

const NAME: &str = "server_hostname=a.example server_port=22";

fn check(layers: &[Vec<Grant>], good: &[&str], bad: &[&str]) {
    let scope = scope_of(layers, NAME);
    good.iter().for_each(|text| assert!(scope.permits(address(text)), "{layers:?} {text}"));
    bad.iter().for_each(|text| assert!(!scope.permits(address(text)), "{layers:?} {text}"));
}

#[test]
fn a_name_leads_to_public_addresses_and_to_granted_ones() {
    let name = || connect("server_hostname=a.example server_port=22");
    let ten = || connect("server_address=10.0.0.0/8 server_port=22");
    let all = ["8.8.8.8", "2606:4700::1111", "127.0.0.1", "10.1.2.3", "::1", "169.254.169.254"];
    check(&[], &all, &[]);
    check(&[vec![name()]], &all[..2], &all[2..]);
    check(&[vec![name(), ten()]], &["8.8.8.8", "10.1.2.3"], &["127.0.0.1", "192.168.0.1", "fd00::1"]);
    check(&[vec![name().marked_private()]], &all, &[]);
    // An address that is granted at another port is not granted.
    let other_port = connect("server_address=10.0.0.0/8 server_port=80");
    check(&[vec![name(), other_port]], &["8.8.8.8"], &["10.1.2.3"]);
    // Nor one that is granted for another right, or with a label that the request lacks.
    let other_right = grant(Right::IngressConnect, "server_address=10.0.0.0/8 server_port=22");
    let other_label = connect("server_address=10.0.0.0/8 server_port=22 colour=*");
    check(&[vec![name(), other_right, other_label]], &["8.8.8.8"], &["10.1.2.3"]);
    let any = connect("server_address=* server_port=*");
    check(&[vec![name(), any]], &all, &[]);
    let exact = connect("server_address=127.0.0.1 server_port=22");
    check(&[vec![name(), exact]], &["127.0.0.1"], &["127.0.0.2", "::1"]);
}

#[test]
fn every_layer_must_permit_where_a_name_leads() {
    let name = || connect("server_hostname=*.example server_port=*");
    let range = |text: &str| connect(&format!("server_address={text} server_port=*"));
    let wide = vec![name(), range("10.0.0.0/8")];
    let narrow = vec![name(), range("10.1.0.0/16"), range("192.168.0.0/16")];
    check(&[wide.clone(), narrow.clone()], &["10.1.0.1", "8.8.8.8"], &["10.2.0.1", "192.168.0.1"]);
    check(&[narrow, wide.clone()], &["10.1.0.1", "8.8.8.8"], &["10.2.0.1", "192.168.0.1"]);
    // A mark in one layer does not speak for another.
    check(&[wide, vec![name().marked_private()]], &["10.2.0.1"], &["127.0.0.1"]);
    // And a mark on a grant that does not cover the name says nothing.
    let elsewhere = connect("server_hostname=*.test server_port=*").marked_private();
    check(&[vec![name(), elsewhere]], &["8.8.8.8"], &["127.0.0.1"]);
}

#[test]
fn an_ipv4_address_inside_ipv6_is_that_ipv4_address() {
    let name = || connect("server_hostname=* server_port=*");
    let six = vec![name(), connect("server_address=::/0 server_port=*")];
    check(&[six], &["::1", "fe80::1"], &["::ffff:127.0.0.1", "127.0.0.1"]);
    let four = vec![name(), connect("server_address=127.0.0.0/8 server_port=*")];
    check(&[four], &["::ffff:127.0.0.1", "127.0.0.1"], &["::1"]);
}

#[test]
fn the_address_beside_a_name_opens_nothing() {
    // A request with both is covered by a grant with both; where the name leads is still judged.
    let both = connect("server_hostname=a.example server_address=10.0.0.0/8 server_port=*");
    let request = format!("{NAME} server_address=10.0.0.1");
    let scope = scope_of(&[vec![both]], &request);
    assert!(scope.permits(address("8.8.8.8")));
    assert!(!scope.permits(address("10.0.0.1")));
    // A request without a name has no such limit: its address was judged itself.
    let by_address = connect("server_address=10.0.0.0/8 server_port=*");
    assert_eq!(scope_of(&[vec![by_address]], "server_address=10.0.0.1 server_port=22"), AddressScope::default());
}
