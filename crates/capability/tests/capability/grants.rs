//! What a grant covers.

use crate::{grant, label_refusal, labels, pattern};
use capability::{
    Capability, Constraint, Grant, LabelError, ParsePortRangeError, ParseSuffixError, Pattern, PortRange, Refusal,
    Right, Rights, Suffix, right,
};

fn with_layers(layers: &[&[&str]]) -> Capability {
    layers.iter().fold(Capability::root(), |capability, layer| {
        let grants = layer.iter().map(|text| grant(Right::ClientConnect, text)).collect();
        let constraint = Constraint { rights: Rights::ALL, grants: Some(grants), ..Constraint::default() };
        capability.constrain(&constraint).unwrap()
    })
}

fn check(layers: &[&[&str]], request: &str, expected: Result<(), Refusal>) {
    let permit = with_layers(layers).permit::<right::ClientConnect>(&labels(request));
    assert_eq!(permit.map(drop), expected, "{layers:?} {request}");
}

const SSH: &str = "transport=tcp network=outside server_address=127.0.0.1 server_port=22";

fn check_ssh(granted: &str, covers: bool) {
    let expected = if covers { Ok(()) } else { Err(Refusal::Grant) };
    check(&[&[granted]], SSH, expected);
}

#[test]
fn patterns_match_values() {
    let check = |text: &str, good: &[&str], bad: &[&str]| {
        let pattern = pattern(text);
        assert_eq!(pattern.to_string(), text);
        good.iter().for_each(|value| assert!(pattern.matches(value), "{text} {value}"));
        bad.iter().for_each(|value| assert!(!pattern.matches(value), "{text} {value}"));
    };
    check("*", &["", "anything"], &[]);
    check("exact", &["exact"], &["", "Exact", "exact.", "exac"]);
    check(
        "*.example.com",
        &["a.example.com", "a.b.example.com"],
        &["example.com", ".example.com", "aexample.com", "a.example.com.", "a.example.org", ""],
    );
    check("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "::1", "localhost", ""]);
    check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "a"]);
    check("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db9::", "10.0.0.1"]);
    check("22", &["22"], &["2", "222", "", "x", "-22"]);
    check("5432-5433", &["5432", "5433"], &["5431", "5434", "65536"]);
    assert!(Pattern::Cidr("0.0.0.0/0".parse().unwrap()).matches("8.8.8.8"));
    assert!(!Pattern::Cidr("::/0".parse().unwrap()).matches("::ffff:127.0.0.1"));
}

#[test]
fn texts_that_are_no_pattern_are_refused() {
    for text in ["*", "*.", "example.com", "*example.com", "*.Example.com", "*.a..b", "*.a/b", "*.*.com"] {
        assert_eq!(text.parse::<Suffix>(), Err(ParseSuffixError), "{text}");
    }
    for text in ["", "0", "65536", "a", "+1", "-1", "1-", "-", "1-2-3", "0-5", "5-0", " 1", "1 "] {
        assert_eq!(text.parse::<PortRange>(), Err(ParsePortRangeError::Number), "{text}");
    }
    let backwards = ParsePortRangeError::Backwards { first: 9, last: 1 };
    assert_eq!("9-1".parse::<PortRange>(), Err(backwards));
    assert_eq!(backwards.to_string(), "the range ends before it begins; did you mean 1-9?");
    assert_eq!("1-65535".parse::<PortRange>(), Ok(PortRange::ALL));
}

#[test]
fn a_grant_covers_what_each_of_its_patterns_matches() {
    let all = "transport=tcp network=outside server_address=127.0.0.1 server_port=22";
    check_ssh(all, true);
    check_ssh("transport=* network=* server_address=* server_port=*", true);
    check_ssh("transport=tcp network=outside server_address=127.0.0.0/8 server_port=20-30", true);
    check_ssh("transport=udp network=outside server_address=127.0.0.0/8 server_port=22", false);
    check_ssh("transport=tcp network=shop server_address=127.0.0.0/8 server_port=22", false);
    check_ssh("transport=tcp network=outside server_address=128.0.0.0/8 server_port=22", false);
    check_ssh("transport=tcp network=outside server_address=::/0 server_port=22", false);
    check_ssh("transport=tcp network=outside server_address=127.0.0.0/8 server_port=23-99", false);
    // Every pattern needs its label.
    check_ssh(&format!("{all} server_hostname=*"), false);
    check_ssh(&format!("{all} colour=*"), false);
    let v6 = "transport=tcp network=outside server_address=::1 server_port=22";
    check(&[&["transport=* network=* server_address=::1 server_port=*"]], v6, Ok(()));
    let v4_only = "transport=* network=* server_address=0.0.0.0/0 server_port=*";
    check(&[&[v4_only]], v6, Err(Refusal::Grant));
}

#[test]
fn a_destination_that_the_grant_does_not_mention_is_not_covered() {
    for (missing, rest) in [
        ("transport", "network=* server_address=* server_port=*"),
        ("network", "transport=* server_address=* server_port=*"),
        ("server_address", "transport=* network=* server_port=*"),
        ("server_port", "transport=* network=* server_address=*"),
    ] {
        check_ssh(rest, false);
        let request = labels(SSH).without(missing);
        assert!(grant(Right::ClientConnect, rest).covers(Right::ClientConnect, &request), "{rest}");
    }
    // A granted address opens no name, and a granted name no address.
    let by_address = "transport=* network=* server_address=127.0.0.1 server_port=*";
    let by_name = "transport=* network=* server_hostname=a.example server_port=*";
    let both = format!("{SSH} server_hostname=a.example");
    check(&[&[by_address]], &both, Err(Refusal::Grant));
    check(&[&[by_name]], &both, Err(Refusal::Grant));
    check(&[&[by_address, by_name]], &both, Err(Refusal::Grant));
    check(&[&[by_address, by_name]], SSH, Ok(()));
    check(&[&[&format!("{by_address} server_hostname=a.example")]], &both, Ok(()));
    // Labels that lead nowhere need no mention.
    check(&[&[by_address]], &format!("{SSH} colour=red"), Ok(()));
}

#[test]
fn some_grant_of_every_layer_covers() {
    let one = "network=a";
    let other = "network=b";
    check(&[], "network=a", Ok(()));
    check(&[&[]], "network=a", Err(Refusal::Grant));
    check(&[&[]], "", Err(Refusal::Grant));
    check(&[&[one, other]], "network=a", Ok(()));
    check(&[&[one, other], &[other]], "network=a", Err(Refusal::Grant));
    check(&[&[one, other], &[other]], "network=b", Ok(()));
    check(&[&[one], &[other]], "network=b", Err(Refusal::Grant));
}

#[test]
fn a_grant_is_for_one_right() {
    let connect = with_layers(&[&["network=a"]]);
    let request = labels("network=a");
    assert!(connect.permit::<right::ClientConnect>(&request).is_ok());
    assert_eq!(connect.permit::<right::ServerStart>(&request).map(drop), Err(Refusal::Grant));
    assert_eq!(connect.permit::<right::IngressConnect>(&request).map(drop), Err(Refusal::Grant));
    assert_eq!(connect.permit::<right::List>(&request).map(drop), Err(Refusal::Grant));
}

#[test]
fn a_request_carries_the_labels_of_its_side() {
    let constraint =
        Constraint { rights: Rights::ALL, in_labels: labels("side=in"), out_labels: labels("side=out"), grants: None };
    let handle = Capability::root().constrain(&constraint).unwrap();
    let own = labels("a=1");
    let inward = handle.permit::<right::ServerStart>(&own).unwrap();
    assert_eq!(*inward.labels(), labels("a=1 side=in"));
    let outward = handle.permit::<right::ClientConnect>(&own).unwrap();
    assert_eq!(*outward.labels(), labels("a=1 side=out"));
    let refused = handle.permit::<right::ClientConnect>(&labels("side=in")).map(drop);
    assert_eq!(refused, Err(label_refusal(&["side"])));
}

#[test]
fn who_a_client_is_only_an_ingress_says() {
    let request = labels("client_address=192.0.2.1 client_port=9");
    let refused = Err(label_refusal(&["client_address", "client_port"]));
    let root = Capability::root();
    assert_eq!(root.permit::<right::ClientConnect>(&request).map(drop), refused);
    assert_eq!(root.permit::<right::ServerStart>(&request).map(drop), refused);
    assert_eq!(root.permit::<right::List>(&request).map(drop), refused);
    assert_eq!(root.permit::<right::IngressConnect>(&request).map(drop), Ok(()));
}

#[test]
fn a_missing_right_is_named_before_anything_else() {
    let none = Capability::root().constrain(&Constraint::default()).unwrap();
    let right = Right::ClientConnect;
    let request = labels("client_service=web");
    assert_eq!(none.permit::<right::ClientConnect>(&request).map(drop), Err(Refusal::Right { right }));
    assert_eq!(none.permit_lookup(&request).map(drop), Err(Refusal::Right { right }));
}

#[test]
fn a_name_is_looked_up_only_if_one_may_connect_by_it() {
    let check = |layers: &[&[&str]], request: &str, expected: Result<(), Refusal>| {
        let permit = with_layers(layers).permit_lookup(&labels(request));
        assert_eq!(permit.map(drop), expected, "{layers:?} {request}");
    };
    let name = "network=outside server_hostname=a.example";
    let granted = "transport=tcp network=outside server_hostname=*.example server_port=443";
    check(&[], name, Ok(()));
    check(&[], "network=outside", Err(label_refusal(&["server_hostname"])));
    check(&[&[granted]], name, Ok(()));
    check(&[&[granted]], "network=outside server_hostname=a.test", Err(Refusal::Grant));
    check(&[&[granted]], "network=shop server_hostname=a.example", Err(Refusal::Grant));
    check(&[&[granted]], "server_hostname=a.example", Err(Refusal::Grant));
    check(&[&[granted]], &format!("{name} server_port=443"), Ok(()));
    check(&[&[granted]], &format!("{name} server_port=80"), Err(Refusal::Grant));
    check(&[&[granted]], &format!("{name} transport=udp"), Err(Refusal::Grant));
    check(&[&["network=outside server_address=* server_port=*"]], name, Err(Refusal::Grant));
    check(&[&[granted], &["network=outside server_hostname=b.example"]], name, Err(Refusal::Grant));
    // No connection in a network that the grant does not mention is covered, so no lookup there is.
    check(&[&["server_hostname=a.example"]], name, Err(Refusal::Grant));
}

#[test]
fn a_grant_has_one_pattern_for_a_key() {
    let once = grant(Right::List, "a=*");
    let key = "a".to_owned();
    let refused = once.clone().with("a", Pattern::Any).unwrap_err();
    assert_eq!(refused.to_string(), format!("the label {key:?} is there already"));
    assert!(matches!(once.with("A", Pattern::Any), Err(LabelError::Key { .. })));
    let full =
        (0..32).fold(Grant::new(Right::List), |grant, number| grant.with(&format!("k{number}"), Pattern::Any).unwrap());
    assert_eq!(full.with("another", Pattern::Any), Err(LabelError::TooMany));
    let shown = grant(Right::ClientConnect, "server_port=22 network=outside").marked_private();
    assert_eq!(shown.to_string(), "client-connect network=outside server_port=22 private");
}
