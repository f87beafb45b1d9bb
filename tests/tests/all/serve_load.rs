//! Load by programs that are made for it: no wrong answer, and no descriptor left.
//!
//! A second or two of each in the ordinary tests; with `CORD_LONG_TESTS` set, a minute of wrk.

use cord_tests::http::{Authority, curl};
use cord_tests::process::{Outcome, Running};
use cord_tests::programs;
use cord_tests::services::Service;
use std::fs;
use std::process::{Command, Stdio};

/// Counts in each thread of wrk what was not answered as it should be.
const CHECK: &str = r#"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0; right = 0 end
function response(status, headers, body)
    if status == 200 and body == "Hello, world!\n" then right = right + 1 else wrong = wrong + 1 end
end
function done(summary, latency, requests)
    local right, wrong = 0, 0
    for _, thread in ipairs(threads) do
        right, wrong = right + thread:get("right"), wrong + thread:get("wrong")
    end
    local errors = summary.errors
    print(string.format("right=%d wrong=%d connect=%d read=%d write=%d timeout=%d", right, wrong, errors.connect,
        errors.read, errors.write, errors.timeout))
end
"#;

fn duration() -> &'static str {
    if programs::long_tests() { "60s" } else { "2s" }
}

fn run(program: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program);
    let outcome = Running::start(command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped())).wait();
    outcome.expect_code(0);
    outcome
}

/// Loads with wrk, and expects that every answer was right.
fn wrk(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("check.lua");
    fs::write(&script, CHECK).unwrap();
    let arguments = ["-t", "2", "-c", "64", "-d", duration(), "--timeout", "30s", "-s", script.to_str().unwrap(), url];
    let told = run("wrk", &arguments).text();
    let line = told.lines().find(|line| line.starts_with("right=")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.ends_with(" wrong=0 connect=0 read=0 write=0 timeout=0"), "{told}");
    assert!(!line.starts_with("right=0 "), "{told}");
}

/// Loads with h2load, with one connection after the other, and expects that every answer was right.
fn h2load(url: &str) {
    let requests = if programs::long_tests() { "50000" } else { "4000" };
    let outcome = run("h2load", &["-n", requests, "-c", "16", "-m", "20", "-t", "2", url]);
    let told = outcome.text();
    let all = format!(
        "requests: {requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 errored, 0 timeout"
    );
    assert!(told.contains(&all), "{outcome:#?}");
    assert!(told.contains(&format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{outcome:#?}");
}

/// Loads in both ways twice: what the first time left is all that is ever left.
fn loads(flags: &[&str], guest: &str) {
    let service = Service::http(&[flags, &["--access-log", "off"]].concat(), guest, &[]);
    let url = service.url("/");
    wrk(&url);
    h2load(&url);
    let idle = service.wait_for_descriptors([64, 64]);
    wrk(&url);
    h2load(&url);
    let _ = service.wait_for_descriptors(idle);
    curl(&["--http1.1", &url]).expect(200, "Hello, world!\n");
    service.stop().expect_silent_success();
}

#[test]
fn wasi_0_2_under_load() {
    loads(&[], "http-hello.wasm");
}

#[test]
fn wasi_0_3_under_load() {
    loads(&[], "http-hello-p3.wasm");
}

#[test]
fn instances_that_are_used_again_under_load() {
    loads(&["--instances", "reuse=100"], "http-hello.wasm");
}

#[test]
fn fewer_instances_than_clients_under_load() {
    loads(&["--max-instances", "4"], "http-hello.wasm");
}

#[test]
fn tls_under_load() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost,IP:127.0.0.1");
    let flags = ["--tls-cert", &certificate, "--tls-key", &key, "--access-log", "off"];
    let service = Service::http(&flags, "http-hello.wasm", &[]);
    // Neither program looks at certificates.
    wrk(&service.url("/"));
    h2load(&service.url("/"));
    let idle = service.wait_for_descriptors([64, 64]);
    h2load(&service.url("/"));
    let _ = service.wait_for_descriptors(idle);
    service.stop().expect_silent_success();
}

#[test]
fn every_request_is_in_the_access_log() {
    let service = Service::http(&[], "http-hello.wasm", &[]);
    let outcome = run("h2load", &["-n", "1000", "-c", "10", "-m", "10", &service.url("/counted")]);
    assert!(outcome.text().contains("1000 succeeded"), "{outcome:#?}");
    let outcome = service.stop();
    outcome.expect_silent_success();
    assert_eq!(outcome.text().lines().filter(|line| line.contains("\"GET /counted HTTP/2.0\" 200 14")).count(), 1000);
}
