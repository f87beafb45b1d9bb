//! The bytes themselves: what other programs send by the schema, and what each fault in them means.
//!
//! Messages are written here field by field, not by our own encoder: a changed field number fails these tests.

#![expect(clippy::panic, clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

use capability::{Constraint, LabelKey, Labels, LimitKind, MAX_LABELS, Refusal, Right, UnreachableCause};
use protocol::message::{
    Call, Decision, Failure, Reply, ReplyBody, Request, RequestBody, RequestId, Response, ResponseBody,
};
use protocol::{
    DecodeError, EncodeError, MAX_DATAGRAM_BYTES, MAX_DATAGRAMS, MAX_MESSAGE_BYTES, Message, RefusedRequest,
};
use std::convert::Infallible;
use std::time::Duration;

/// A field that holds bytes: text or a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend(bytes);
    out
}

/// A field that holds a number below 128.
fn number(field: u8, value: u8) -> Vec<u8> {
    assert!(value < 0x80);
    vec![field << 3, value]
}

/// A field that holds a number from 128 to 16383.
fn long_number(field: u8, value: u32) -> Vec<u8> {
    let high = u8::try_from(value >> 7).unwrap();
    vec![field << 3, u8::try_from(value & 0x7f).unwrap() | 0x80, high]
}

fn label(key: &str, value: &str) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value.as_bytes())].concat()
}

/// A connect request of number 5 with these labels, as another program would send it.
fn connect(labels: &[(&str, &str)]) -> Vec<u8> {
    let labels: Vec<Vec<u8>> = labels.iter().map(|(key, value)| field(1, &label(key, value))).collect();
    [number(1, 5), field(3, &labels.concat())].concat()
}

/// A constrain request of number 5 with one grant for client-connect that holds these patterns.
fn constrain(patterns: &[Vec<u8>]) -> Vec<u8> {
    let patterns: Vec<Vec<u8>> = patterns.iter().map(|pattern| field(2, pattern)).collect();
    let grant = [number(1, 1), patterns.concat()].concat();
    [number(1, 5), field(2, &field(4, &field(1, &grant)))].concat()
}

fn pattern(key: &str, rest: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), rest.to_vec()].concat()
}

fn keys(names: &[&str]) -> Vec<LabelKey> {
    names.iter().map(|name| LabelKey::new(name).unwrap()).collect()
}

fn refused(bytes: &[u8]) -> RefusedRequest {
    match Request::decode(bytes) {
        Err(DecodeError::Invalid(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn is_refused(bytes: &[u8], refusal: Refusal) {
    let refused = refused(bytes);
    assert_eq!((refused.id, refused.refusal), (RequestId(5), refusal));
}

fn is_malformed<M: Message + std::fmt::Debug>(bytes: &[u8]) {
    let outcome = M::decode(bytes);
    assert!(matches!(outcome, Err(DecodeError::Malformed(_))), "{bytes:?}: {outcome:?}");
}

#[test]
fn a_connect_request_is_the_bytes_that_the_schema_says() {
    let labels = [("server_hostname", "db"), ("server_port", "5432")];
    let request =
        Request { id: RequestId(5), body: RequestBody::ClientConnect(Labels::try_from_pairs(labels).unwrap()) };
    assert_eq!(request.encode().unwrap(), connect(&labels));
    assert_eq!(Request::decode(&connect(&labels)), Ok(request));
}

#[test]
fn a_bad_label_is_refused_and_its_key_named() {
    let long = "v".repeat(256);
    let long_key = "k".repeat(64);
    let check = |labels: &[(&str, &str)], named: &[&str]| {
        is_refused(&connect(labels), Refusal::Label { keys: keys(named) });
    };
    check(&[("service", "d\0b")], &["service"]);
    check(&[("service", &long)], &["service"]);
    check(&[("good", "x"), ("service", "\0")], &["service"]);
    check(&[("server_port", "022")], &["server_port"]);
    check(&[("service", "a"), ("service", "b")], &["service"]);
    check(&[("Service", "db")], &[]);
    check(&[(&long_key, "x")], &[]);
    check(&[("", "")], &[]);
}

#[test]
fn what_is_refused_has_the_name_of_what_was_asked() {
    let own = Labels::try_from_pairs([("service", "db")]).unwrap();
    let constraint = Constraint { out_labels: own.clone(), ..Constraint::default() };
    for body in [
        RequestBody::Constrain(constraint),
        RequestBody::ClientConnect(own.clone()),
        RequestBody::ServerStart(own.clone()),
        RequestBody::IngressConnect { labels: own.clone(), datagrams: Vec::new() },
        RequestBody::EgressStart(own.clone()),
        RequestBody::ResolverStart(own.clone()),
        RequestBody::List(own.clone()),
        RequestBody::Watch(own.clone()),
        RequestBody::Resolve(own.clone()),
    ] {
        let name = body.name();
        let mut bytes = Request { id: RequestId(5), body }.encode().unwrap();
        // The last byte is the last of the label's value.
        *bytes.last_mut().unwrap() = 0;
        assert_eq!(refused(&bytes).request, name);
    }
}

#[test]
fn too_many_labels_are_a_limit() {
    let names: Vec<String> = (0..=MAX_LABELS).map(|index| format!("k{index}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert!(Request::decode(&connect(&labels[..MAX_LABELS])).is_ok());
    let limit = LimitKind::Labels;
    is_refused(&connect(&labels), Refusal::Limit { limit });
}

#[test]
fn a_bad_pattern_is_refused_and_its_key_named() {
    let ports = |first: u8, last: u8| field(6, &[number(1, first), number(2, last)].concat());
    let huge_port = field(6, &[number(1, 1), vec![2 << 3, 0xff, 0xff, 0xff, 0x7f]].concat());
    let cidr = |address: &[u8], prefix: u8| field(5, &[field(1, address), number(2, prefix)].concat());
    let cases = [
        ports(0, 9),
        ports(9, 8),
        huge_port,
        cidr(&[10, 0, 0, 1], 8),
        cidr(&[10, 0, 0, 0], 33),
        cidr(&[10, 0, 0], 8),
        field(4, b"example.com"),
        field(4, b"*.EXAMPLE.com"),
        field(3, b"a\0b"),
        number(2, 0),
        Vec::new(),
    ];
    for bad in cases {
        is_refused(&constrain(&[pattern("thing", &bad)]), Refusal::Label { keys: keys(&["thing"]) });
    }
    let good = pattern("thing", &ports(8, 9));
    assert!(Request::decode(&constrain(std::slice::from_ref(&good))).is_ok());
    is_refused(&constrain(&[good.clone(), good]), Refusal::Label { keys: keys(&["thing"]) });
    is_refused(&constrain(&[pattern("Thing", &ports(8, 9))]), Refusal::Label { keys: keys(&[]) });
}

#[test]
fn a_right_that_nobody_knows_is_one_that_nobody_granted() {
    let unknown_right = [number(1, 5), field(2, &field(1, &[99]))].concat();
    is_refused(&unknown_right, Refusal::Grant);
    let no_right = [number(1, 5), field(2, &field(1, &[0]))].concat();
    is_refused(&no_right, Refusal::Grant);
    let grant_of_unknown = [number(1, 5), field(2, &field(4, &field(1, &number(1, 99))))].concat();
    is_refused(&grant_of_unknown, Refusal::Grant);
}

#[test]
fn an_absent_layer_of_grants_is_not_an_empty_one() {
    let grants = |bytes: &[u8]| match Request::decode(bytes).unwrap().body {
        RequestBody::Constrain(constraint) => constraint.grants,
        other => panic!("{other:?}"),
    };
    assert_eq!(grants(&[number(1, 5), field(2, &[])].concat()), None);
    assert_eq!(grants(&[number(1, 5), field(2, &field(4, &[]))].concat()), Some(vec![]));
}

#[test]
fn bytes_that_are_no_message_are_malformed() {
    let not_utf8 = [number(1, 5), field(3, &field(1, &field(1, &[0xff])))].concat();
    for bytes in [&b""[..], b"hello", b"\xff\xff\xff\xff", &number(1, 5), &field(15, b""), &not_utf8] {
        is_malformed::<Request>(bytes);
        is_malformed::<Response>(bytes);
        is_malformed::<Call>(bytes);
        is_malformed::<Reply>(bytes);
        is_malformed::<Decision>(bytes);
        is_malformed::<Infallible>(bytes);
    }
}

#[test]
fn what_a_peer_of_ours_would_never_say_is_malformed() {
    let bad_label = field(1, &label("service", "\0"));
    is_malformed::<Response>(&field(3, &bad_label));
    is_malformed::<Call>(&field(2, &bad_label));
    is_malformed::<Reply>(&field(2, &bad_label));
    is_malformed::<Decision>(&[field(1, b"x"), field(2, &label("service", "\0"))].concat());
    // A target of no kind, an address of five bytes, a key that is none.
    is_malformed::<Response>(&field(6, &field(1, &[])));
    is_malformed::<Response>(&field(8, &field(1, &[1, 2, 3, 4, 5])));
    is_malformed::<Response>(&field(9, &[long_number(1, 200), field(2, b"Key")].concat()));
    is_malformed::<Reply>(&field(4, &[long_number(1, 301), field(4, &[1])].concat()));
}

#[test]
fn an_unknown_error_code_is_read_by_its_hundred_and_never_as_success() {
    let right = Right::List;
    let cause = UnreachableCause::Other;
    let cases: [(u32, Vec<u8>, Failure); 11] = [
        (199, number(3, 6), Refusal::Right { right }.into()),
        (199, number(3, 99), Failure::Fault),
        (299, field(2, b"k"), Refusal::Label { keys: keys(&["k"]) }.into()),
        (399, vec![], Refusal::Grant.into()),
        (499, vec![], Failure::Fault),
        (599, vec![], Refusal::NotFound.into()),
        (699, field(2, b"k"), Refusal::Ambiguous { keys: keys(&["k"]) }.into()),
        (799, vec![], Refusal::Unreachable { cause }.into()),
        (999, vec![], Failure::Fault),
        (1000, vec![], Failure::Fault),
        (128, vec![], Failure::Fault),
    ];
    for (code, rest, failure) in cases {
        let reply = [number(1, 7), field(4, &[long_number(1, code), rest].concat())].concat();
        assert_eq!(Reply::decode(&reply).unwrap().body, ReplyBody::Failed(failure), "{code}");
    }
    // No code at all.
    let reply = [number(1, 7), field(4, &[])].concat();
    assert_eq!(Reply::decode(&reply).unwrap().body, ReplyBody::Failed(Failure::Fault));
}

#[test]
fn a_field_that_is_newer_than_this_side_is_passed_over() {
    let newer = [connect(&[("service", "db")]), field(15, b"from the future")].concat();
    assert_eq!(Request::decode(&newer), Request::decode(&connect(&[("service", "db")])));
}

#[test]
fn a_message_too_long_is_an_error_on_both_sides() {
    let addresses = vec!["2001:db8::1".parse().unwrap(); 5000];
    let response = Response { id: RequestId(5), body: ResponseBody::Addresses(addresses) };
    let bytes = 2 + 4 + 5000 * 18;
    assert_eq!(response.encode(), Err(EncodeError::TooLong { bytes }));
    let padding = field(15, &vec![0; MAX_MESSAGE_BYTES]);
    is_malformed::<Request>(&[connect(&[]), padding].concat());
}

/// A push of number 5 with these datagrams, as another program would send it.
fn push(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let datagrams: Vec<Vec<u8>> = datagrams.iter().map(|datagram| field(2, datagram)).collect();
    let labels = field(1, &label("service", "dns"));
    [number(1, 5), field(5, &[labels, datagrams.concat()].concat())].concat()
}

/// A connection with these datagrams, as a switchboard sends it.
fn connection(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let datagrams: Vec<Vec<u8>> = datagrams.iter().map(|datagram| field(2, datagram)).collect();
    field(2, &[field(1, &label("service", "dns")), datagrams.concat()].concat())
}

#[test]
fn datagrams_travel_with_a_socket_and_an_empty_one_is_one() {
    let labels = Labels::try_from_pairs([("service", "dns")]).unwrap();
    let datagrams = vec![b"first".to_vec(), Vec::new(), b"third".to_vec()];
    let body = RequestBody::IngressConnect { labels: labels.clone(), datagrams: datagrams.clone() };
    let request = Request { id: RequestId(5), body };
    assert_eq!(request.encode().unwrap(), push(&datagrams));
    assert_eq!(Request::decode(&push(&datagrams)), Ok(request));
    let call = Call::Connection { labels, datagrams: datagrams.clone() };
    assert_eq!(call.encode().unwrap(), connection(&datagrams));
    assert_eq!(Call::decode(&connection(&datagrams)), Ok(call));
}

#[test]
fn more_datagrams_than_fit_are_refused_and_are_never_sent() {
    let largest = vec![vec![7; MAX_DATAGRAM_BYTES]];
    let most = vec![vec![7; MAX_DATAGRAM_BYTES / MAX_DATAGRAMS]; MAX_DATAGRAMS];
    for fitting in [largest, most] {
        assert!(Request::decode(&push(&fitting)).is_ok());
        assert!(Call::decode(&connection(&fitting)).is_ok());
    }
    let too_large = vec![vec![7; MAX_DATAGRAM_BYTES], vec![7]];
    let too_many = vec![Vec::new(); MAX_DATAGRAMS + 1];
    for datagrams in [too_large, too_many] {
        is_refused(&push(&datagrams), Refusal::Limit { limit: LimitKind::Datagrams });
        is_malformed::<Call>(&connection(&datagrams));
        let labels = Labels::new();
        let body = RequestBody::IngressConnect { labels: labels.clone(), datagrams: datagrams.clone() };
        assert_eq!(Request { id: RequestId(5), body }.encode(), Err(EncodeError::Datagrams));
        assert_eq!(Call::Connection { labels, datagrams }.encode(), Err(EncodeError::Datagrams));
    }
}

#[test]
fn the_largest_datagram_fits_beside_the_largest_label_set() {
    let value = "v".repeat(255);
    let names: Vec<String> = (0..MAX_LABELS).map(|index| format!("{:k<63}", format!("k{index}"))).collect();
    let labels = Labels::try_from_pairs(names.iter().map(|name| (name.as_str(), value.as_str()))).unwrap();
    let largest = vec![vec![7; MAX_DATAGRAM_BYTES]];
    let mut most = vec![vec![7; 1]; MAX_DATAGRAMS];
    most[0] = vec![7; MAX_DATAGRAM_BYTES - (MAX_DATAGRAMS - 1)];
    for datagrams in [largest, most] {
        let body = RequestBody::IngressConnect { labels: labels.clone(), datagrams: datagrams.clone() };
        assert!(Request { id: RequestId(u64::MAX), body }.encode().is_ok());
        assert!(Call::Connection { labels: labels.clone(), datagrams }.encode().is_ok());
    }
}

#[test]
fn the_largest_label_sets_fit_twice_into_a_decision() {
    let value = "v".repeat(255);
    let names: Vec<String> = (0..MAX_LABELS).map(|index| format!("{:k<63}", format!("k{index}"))).collect();
    let labels = Labels::try_from_pairs(names.iter().map(|name| (name.as_str(), value.as_str()))).unwrap();
    let decision = Decision {
        request: "client-connect".to_owned(),
        failure: Some(Refusal::Label { keys: labels.keys().cloned().collect() }.into()),
        from: labels.clone(),
        to: labels,
        took: Duration::MAX,
        lost: u64::MAX,
    };
    let decoded = Decision::decode(&decision.encode().unwrap()).unwrap();
    assert_eq!(decoded.from, decision.from);
    assert_eq!(decoded.took, Duration::from_micros(u64::MAX));
    let unnamed = Decision { request: String::new(), ..decision };
    assert_eq!(unnamed.encode(), Err(EncodeError::Unnamed));
}
