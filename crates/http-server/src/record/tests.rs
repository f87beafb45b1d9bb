//! Lines are as their formats say, whatever a client sent.

use super::*;
use http::{HeaderValue, Method, Version};
use std::time::UNIX_EPOCH;

fn record(target: &str) -> AccessRecord {
    AccessRecord {
        when: UNIX_EPOCH + Duration::from_secs(1_795_414_659),
        client: "192.0.2.7:40000".parse().expect("an address"),
        id: RequestId::kept(&HeaderValue::from_static("abc")).expect("an id"),
        line: Some(RequestLine { method: Method::GET, target: target.to_owned(), version: Version::HTTP_11 }),
        status: 200,
        sent_bytes: 12,
        duration: Duration::from_micros(1_500),
        user_agent: Some("curl/8".to_owned()),
        referer: None,
        outcome: Outcome::Complete,
    }
}

#[test]
fn the_common_log_format_is_that_of_ncsa() {
    let line = record("/a?b=c").common_log();
    assert_eq!(line, r#"192.0.2.7 - - [23/Nov/2026:06:17:39 +0000] "GET /a?b=c HTTP/1.1" 200 12"#);
}

#[test]
fn what_is_not_there_is_a_dash() {
    let mut refused = record("/");
    (refused.line, refused.status, refused.sent_bytes) = (None, 431, 0);
    assert_eq!(refused.common_log(), r#"192.0.2.7 - - [23/Nov/2026:06:17:39 +0000] "-" 431 -"#);
}

#[test]
fn a_mapped_address_is_the_address_that_it_maps() {
    let mut mapped = record("/");
    mapped.client = "[::ffff:192.0.2.7]:1".parse().expect("an address");
    assert!(mapped.common_log().starts_with("192.0.2.7 - - "));
    mapped.client = "[2001:db8::1]:1".parse().expect("an address");
    assert!(mapped.common_log().starts_with("2001:db8::1 - - "));
}

#[test]
fn nobody_can_write_a_second_line_or_end_the_quotes() {
    let line = record("/\"\\\r\n\u{1b}[2J\u{7f}\u{9b}é").common_log();
    let request = line.split_once("\"GET ").expect("the request is there").1;
    assert_eq!(request, r#"/\"\\\x0d\x0a\x1b[2J\x7f\xc2\x9b\xc3\xa9 HTTP/1.1" 200 12"#);
}

#[test]
fn json_is_one_line_of_known_fields() {
    let expected = concat!(
        r#"{"time":"2026-11-23T06:17:39.000000Z","client":"192.0.2.7","client_port":40000,"request_id":"abc","#,
        r#""method":"GET","target":"/","version":"HTTP/1.1","status":200,"sent_bytes":12,"#,
        r#""duration_microseconds":1500,"user_agent":"curl/8","outcome":"complete"}"#
    );
    assert_eq!(record("/").json(), expected);
}

#[test]
fn json_is_plain_ascii_and_says_the_same() {
    let mut odd = record("/\"\\\r\n\u{1b}\u{7f}\u{9b}é\u{2028}😀");
    (odd.user_agent, odd.referer) = (None, Some("a\0b".to_owned()));
    odd.outcome = Outcome::BrokenOff;
    let json = odd.json();
    assert!(json.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(read["target"], "/\"\\\r\n\u{1b}\u{7f}\u{9b}é\u{2028}😀");
    assert_eq!(read["referer"], "a\0b");
    assert_eq!(read["outcome"], "broken-off");
    assert_eq!(read.get("user_agent"), None);
}
