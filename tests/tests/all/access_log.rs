//! What `cord serve` tells of each request: in its answer, and in the access log.

use cord_tests::http::{curl, raw, start_curl};
use cord_tests::published::connect;
use cord_tests::services::Service;
use cord_tests::wait;
use std::io::Write;

/// The lines of the access log, when there are so many.
fn lines(service: &Service, count: usize) -> Vec<String> {
    wait::for_some(format!("{count} lines in the access log"), || {
        let lines: Vec<String> = service.stdout().lines().map(str::to_owned).collect();
        assert!(lines.len() <= count, "{lines:#?}");
        (lines.len() == count).then_some(lines)
    })
}

#[test]
fn a_line_of_the_common_log_format_for_each_request() {
    let service = Service::http(&[], "http-site.wasm", &[]);
    let _ = curl(&[&service.url("/count?a=b%20c")]);
    let _ = curl(&["--http2-prior-knowledge", "--data", "abc", &service.url("/echo")]);
    let _ = curl(&["--head", &service.url("/nothing")]);
    let _ = curl(&[&service.url("/trap")]);
    let _ = raw(service.address(), "GET /\"\\\x7f\u{e9} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let lines = lines(&service, 5);
    let ends = [
        r#"] "GET /count?a=b%20c HTTP/1.1" 200 2"#,
        r#"] "POST /echo HTTP/2.0" 200 3"#,
        r#"] "HEAD /nothing HTTP/1.1" 404 -"#,
        r#"] "GET /trap HTTP/1.1" 500 "#,
        r#"" 400 "#,
    ];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.starts_with("127.0.0.1 - - [") && line.contains(end), "{line} should have {end}");
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
    }
    service.stop().expect_code(0);
}

#[test]
fn json_for_programs() {
    let service = Service::http(&["--access-log", "json"], "http-site.wasm", &[]);
    let fields = ["-A", "a \"browser\"\\", "-e", "http://from.example/", "-H", "x-request-id: my-own.id_1"];
    let answer = curl(&[&fields[..], &[&service.url("/count")]].concat());
    assert_eq!(answer.field("x-request-id"), Some("my-own.id_1"));
    let record: serde_json::Value = serde_json::from_str(&lines(&service, 1)[0]).unwrap();
    for (name, value) in [
        ("client", "127.0.0.1"),
        ("request_id", "my-own.id_1"),
        ("method", "GET"),
        ("target", "/count"),
        ("version", "HTTP/1.1"),
        ("user_agent", "a \"browser\"\\"),
        ("referer", "http://from.example/"),
        ("outcome", "complete"),
    ] {
        assert_eq!(record[name], value, "{record:#}");
    }
    assert_eq!((&record["status"], &record["sent_bytes"]), (&200.into(), &2.into()), "{record:#}");
    assert!(record["duration_microseconds"].as_u64().is_some_and(|duration| duration > 0), "{record:#}");
    assert!(record["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{record:#}");
}

#[test]
fn how_a_request_ended_is_told() {
    let service = Service::http(&["--access-log", "json"], "http-site.wasm", &[]);
    let gone = start_curl(&["--no-buffer", &service.url("/slow?ms=20&chunks=1000000")]);
    gone.wait_for_stdout("chunk 1\n");
    drop(gone);
    let outcome = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].clone();
    assert_eq!(outcome(&lines(&service, 1)[0]), "broken-off");
    let _ = cord_tests::http::try_curl(&[&service.url("/trap-mid")]);
    assert_eq!(outcome(&lines(&service, 2)[1]), "failed");
    // Before there is an answer as well.
    let mut stream = connect(service.address());
    write!(stream, "GET /sleep-forever HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    service.wait_for_log("about to sleep");
    drop(stream);
    let last = lines(&service, 3)[2].clone();
    assert_eq!(outcome(&last), "broken-off");
    assert!(last.contains("\"status\":499"), "{last}");
}

#[test]
fn every_request_has_an_id_of_its_own() {
    for guest in ["http-site.wasm", "http-site-p3.wasm"] {
        let service = Service::http(&[], guest, &[]);
        let mut ids: Vec<String> = Vec::new();
        for flag in ["--http1.1", "--http2-prior-knowledge"] {
            for _ in 0..3 {
                let answer = curl(&[flag, &service.url("/headers")]);
                let id = answer.field("x-request-id").unwrap().to_owned();
                assert!(answer.text().contains(&format!("x-request-id: {id}\n")), "the guest knows it too: {answer:?}");
                ids.push(id);
            }
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6, "{ids:?}");
        // What is no plain word is not kept.
        let forged = curl(&["-H", "x-request-id: a\" 200 1\\", &service.url("/count")]);
        assert!(forged.field("x-request-id").is_some_and(|id| id.len() == 32), "{}", forged.head);
        // What a guest says goes under the id of its request.
        let told = curl(&["-H", "x-request-id: printed-here", &service.url("/stdout")]);
        told.expect(200, "printed\n");
        service.wait_for_log("cord: [printed-here] a line on standard error\n");
        service.wait_for_log("cord: [printed-here] a line on standard output\n");
    }
}

#[test]
fn the_log_can_be_off() {
    let service = Service::http(&["--access-log", "off"], "http-site.wasm", &[]);
    curl(&[&service.url("/count")]).expect(200, "1\n");
    service.stop().expect_silent_success().expect_stdout("");
}
