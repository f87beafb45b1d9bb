//! Rule 2: what constrain refuses, to the letter, and what it makes.

use crate::{grant, label_refusal, labels};
use capability::{
    Capability, Constraint, Grant, Labels, LimitKind, MAX_GRANT_LAYERS, MAX_GRANTS_PER_LAYER, Refusal, Right, Rights,
};

fn rights(rights: &[Right]) -> Rights {
    rights.iter().copied().collect()
}

fn constraint(in_labels: &str, out_labels: &str) -> Constraint {
    Constraint { rights: Rights::ALL, in_labels: labels(in_labels), out_labels: labels(out_labels), grants: None }
}

fn layer(grants: Vec<Grant>) -> Constraint {
    Constraint { rights: Rights::ALL, grants: Some(grants), ..Constraint::default() }
}

fn grants_refusal() -> Refusal {
    Refusal::Limit { limit: LimitKind::Grants }
}

#[test]
fn rights_only_get_fewer_and_the_first_missing_is_named() {
    let held = rights(&[Right::ClientConnect, Right::List]);
    let keep = |rights| Constraint { rights, ..Constraint::default() };
    let handle = Capability::root().constrain(&keep(held)).unwrap();
    assert_eq!(handle.rights(), held);
    for right in Right::ALL {
        let one = handle.constrain(&keep(Rights::only(right))).map(|weaker| weaker.rights());
        let expected = match right {
            Right::ClientConnect | Right::List => Ok(Rights::only(right)),
            _ => Err(Refusal::Right { right }),
        };
        assert_eq!(one, expected);
    }
    let right = Right::ServerStart;
    assert_eq!(handle.constrain(&keep(Rights::ALL)), Err(Refusal::Right { right }));
    let refused = handle.constrain(&keep(Rights::ALL)).unwrap_err();
    assert_eq!(refused.to_string(), "the handle does not hold the right server-start");
    assert!(handle.constrain(&keep(Rights::NONE)).unwrap().rights().is_empty());
}

#[test]
fn labels_are_added_and_never_changed() {
    let handle = Capability::root().constrain(&constraint("a=1 b=1", "c=1 d=1")).unwrap();
    let more = handle.constrain(&constraint("e=1", "a=9 f=1")).unwrap();
    assert_eq!(*more.in_labels(), labels("a=1 b=1 e=1"));
    assert_eq!(*more.out_labels(), labels("a=9 c=1 d=1 f=1"));
    let check = |in_labels, out_labels, names: &[&str]| {
        assert_eq!(handle.constrain(&constraint(in_labels, out_labels)), Err(label_refusal(names)));
    };
    check("a=2", "", &["a"]);
    check("b=2 a=2 e=1", "", &["a", "b"]);
    check("", "c=2", &["c"]);
    check("a=2", "c=2", &["a"]);
    let refused = handle.constrain(&constraint("b=2 a=2", "")).unwrap_err();
    assert_eq!(refused.to_string(), "these labels may not be set or changed here: a, b");
}

#[test]
fn a_set_that_would_be_too_large_is_refused() {
    let names: Vec<String> = (0..32).map(|number| format!("k{number}")).collect();
    let full = Labels::try_from_pairs(names.iter().map(|name| (name.as_str(), "v"))).unwrap();
    let full = Constraint { rights: Rights::ALL, out_labels: full, ..Constraint::default() };
    let handle = Capability::root().constrain(&full).unwrap();
    let limit = LimitKind::Labels;
    assert_eq!(handle.constrain(&constraint("", "a=1")), Err(Refusal::Limit { limit }));
    assert!(handle.constrain(&constraint("a=1", "")).is_ok(), "the other side has room");
}

#[test]
fn a_handle_with_grants_says_nothing_new_of_who_it_is() {
    let sources = ["client_address=192.0.2.1", "client_port=1", "client_service=web", "client_instance=1"];
    let granted = Capability::root().constrain(&layer(vec![])).unwrap();
    for source in sources {
        let key = source.split_once('=').unwrap().0;
        assert!(Capability::root().constrain(&constraint("", source)).is_ok());
        assert_eq!(granted.constrain(&constraint("", source)), Err(label_refusal(&[key])));
        assert_eq!(granted.constrain(&constraint(source, "")), Err(label_refusal(&[key])));
    }
    // What it says already it may say again, as every constrain may be repeated.
    let whole = Constraint { grants: Some(vec![]), ..constraint("", "client_service=web") };
    let web = Capability::root().constrain(&whole).unwrap();
    assert_eq!(web.constrain(&whole).as_ref(), Ok(&web));
    assert_eq!(web.constrain(&constraint("", "client_service=db")), Err(label_refusal(&["client_service"])));
    assert_eq!(
        web.constrain(&constraint("client_service=web", "")),
        Err(label_refusal(&["client_service"])),
        "not on the other side"
    );
}

#[test]
fn sixteen_layers_and_not_seventeen() {
    let mut handle = Capability::root();
    let numbered = |number: usize| layer(vec![grant(Right::ClientConnect, &format!("a={number}x"))]);
    for number in 0..MAX_GRANT_LAYERS {
        handle = handle.constrain(&numbered(number)).unwrap();
    }
    assert_eq!(handle.layers().len(), 16);
    assert_eq!(handle.constrain(&numbered(16)), Err(grants_refusal()));
    // The same again is no further layer.
    assert_eq!(handle.constrain(&numbered(3)).as_ref(), Ok(&handle));
}

#[test]
fn a_layer_holds_256_grants_and_not_257() {
    let of = |count: usize| layer(vec![Grant::new(Right::List); count]);
    assert!(Capability::root().constrain(&of(MAX_GRANTS_PER_LAYER)).is_ok());
    assert_eq!(Capability::root().constrain(&of(257)), Err(grants_refusal()));
}

#[test]
fn a_refused_constrain_is_refused_whole() {
    let handle = Capability::root().constrain(&constraint("a=1", "")).unwrap();
    let before = handle.clone();
    let everything = Constraint { rights: Rights::NONE, grants: Some(vec![]), ..constraint("a=2 b=1", "c=1") };
    assert_eq!(handle.constrain(&everything), Err(label_refusal(&["a"])));
    assert_eq!(handle, before);
}
