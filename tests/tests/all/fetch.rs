//! Guests that ask HTTP servers themselves: only where they were granted, and only servers that prove who they are.

use cord_tests::cord::Cord;
use cord_tests::http::{Authority, curl};
use cord_tests::process::Outcome;
use cord_tests::servers::{ClosedPort, LOOPBACK, Listener};
use cord_tests::services::Service;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::scope;

const FETCH: [&str; 2] = ["fetch.wasm", "fetch-p3.wasm"];
const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];

fn fetch(flags: &[&str], guest: &str, arguments: &[&str]) -> Outcome {
    Cord::run_guest(flags, guest, arguments).run()
}

/// Expects the status first and the body last, and nothing on standard error.
#[track_caller]
fn expect(outcome: &Outcome, status: &str, body: &str) {
    outcome.expect_silent_success();
    let text = outcome.text();
    assert!(text.starts_with(&format!("{status}\n")) && text.ends_with(&format!("\n\n{body}")), "{outcome:#?}");
}

/// Expects exit code 1 and this error code of the interface.
#[track_caller]
fn expect_error(outcome: &Outcome, code: &str) {
    outcome.expect_code(1);
    let told: Vec<&str> = outcome.stderr.lines().filter(|line| !line.starts_with("cord: ")).collect();
    assert_eq!(told, [format!("error: {code}")], "{outcome:#?}");
}

#[test]
fn a_page_that_was_granted_is_fetched() {
    let site = Service::http(&[], "http-site.wasm", &[]);
    let at = site.address().to_string();
    for guest in FETCH {
        let get = |target: &str, more: &[&str]| fetch(&["-c", &at], guest, &[&[&*site.url(target)], more].concat());
        expect(&get("/count", &[]), "200", "1\n");
        expect(&get("/nothing", &[]), "404", "no such page\n");
        expect(&get("/echo", &["--method", "POST", "--body", "a body"]), "200", "a body");
        expect(&get("/method?a=b", &["--method", "PATCH"]), "200", &format!("PATCH http {at} /method?a=b\n"));
        expect(&get("/slow?ms=10&chunks=3", &[]), "200", "chunk 1\nchunk 2\nchunk 3\n");
        let headers = get("/headers", &["--header", "x-mine: yes", "--header", "user-agent: me"]);
        assert!(
            headers.text().contains("x-mine: yes\n") && headers.text().contains("user-agent: me\n"),
            "{headers:#?}"
        );
        let trailers = get("/trailers", &["--header", "te: trailers"]);
        trailers.expect_silent_success();
        assert!(trailers.text().ends_with("see the trailers\nx-length: 0\n"), "{trailers:#?}");
        let big = get("/big?bytes=3000000", &[]);
        assert!(big.expect_silent_success().stdout.len() > 3_000_000, "{big:#?}");
        expect(&get("/status?code=302", &[]), "302", "status 302\n");
    }
}

#[test]
fn without_a_grant_nothing_goes_out() {
    let listener = Listener::at(LOOPBACK);
    let url = format!("http://{}/", listener.address());
    for guest in FETCH {
        for flags in [&[][..], &["-c", "127.0.0.1:1", "-c", "localhost:80"]] {
            let outcome = fetch(flags, guest, &[&url]);
            expect_error(&outcome, "http-request-denied");
            let address = listener.address();
            let hint = format!("connect to {address} denied: no grant covers it (allow with --connect {address})");
            assert_eq!(outcome.complaints(), [hint], "{guest}: {outcome:#?}");
        }
    }
    listener.expect_nobody();
}

#[test]
fn a_name_is_granted_as_a_name() {
    let site = Service::http(&[], "http-hello.wasm", &[]);
    let port = site.address().port();
    for guest in FETCH {
        let by_name = fetch(&["-c", &format!("localhost:{port}")], guest, &[&site.url_by_name("localhost", "/")]);
        expect(&by_name, "200", "Hello, world!\n");
        // The grant of an address is not one of the name.
        let by_address = fetch(&["-c", &format!("127.0.0.1:{port}")], guest, &[&site.url_by_name("nowhere.test", "/")]);
        expect_error(&by_address, "http-request-denied");
        let hint = format!("(allow with --connect nowhere.test:{port})");
        assert!(by_address.complaints().iter().any(|line| line.ends_with(&hint)), "{by_address:#?}");
    }
}

#[test]
fn a_server_with_a_private_authority_needs_the_grant_and_the_authority() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost,IP:127.0.0.1");
    let site = Service::http(&["--tls-cert", &certificate, "--tls-key", &key], "http-site.wasm", &[]);
    let (target, ours) = (site.address().to_string(), authority.certificate());
    let strangers = Authority::new().certificate();
    for guest in FETCH {
        let url = site.url("/method");
        let get = |flags: &[&str]| fetch(flags, guest, &[&url]);
        expect_error(&get(&["--tls-ca", &ours]), "http-request-denied");
        expect_error(&get(&["-c", &target]), "tls-certificate-error");
        let other = Authority::new();
        expect_error(&get(&["-c", &target, "--tls-ca", &other.certificate()]), "tls-certificate-error");
        let right = get(&["-c", &target, "--tls-ca", &ours]);
        expect(&right, "200", &format!("GET https {target} /method\n"));
        let both = get(&["-c", &target, "--tls-ca", &other.certificate(), "--tls-ca", &ours]);
        expect(&both, "200", &format!("GET https {target} /method\n"));
    }
    // Its folder is gone, and with it the file.
    let missing = fetch(&["-c", &target, "--tls-ca", &strangers], FETCH[0], &[&site.url("/")]);
    missing.expect_code(125).expect_stdout("");
}

#[test]
fn a_certificate_for_another_name_is_none() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("other", "DNS:other.test");
    let site = Service::http(&["--tls-cert", &certificate, "--tls-key", &key], "http-hello.wasm", &[]);
    for guest in FETCH {
        let flags = ["-c", &site.address().to_string(), "--tls-ca", &authority.certificate()];
        expect_error(&fetch(&flags, guest, &[&site.url("/")]), "tls-certificate-error");
    }
}

#[test]
fn servers_that_are_not_there_or_do_not_speak_http() {
    let closed = ClosedPort::at(LOOPBACK);
    let at = format!("127.0.0.1:{}", closed.port());
    let listener = Listener::at(LOOPBACK);
    let strange = listener.address().to_string();
    for guest in FETCH {
        expect_error(&fetch(&["-c", &at], guest, &[&format!("http://{at}/")]), "connection-refused");
        for (answer, codes) in [
            ("", &["connection-terminated", "http-response-incomplete"][..]),
            ("SSH-2.0-no HTTP\r\n", &["http-protocol-error"]),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
                &["http-response-incomplete", "connection-terminated"],
            ),
        ] {
            scope(|scope| {
                scope.spawn(|| answer_once(listener.accept(), answer));
                let outcome = fetch(&["-c", &strange], guest, &[&format!("http://{strange}/")]);
                outcome.expect_code(1);
                let is_expected = |code: &&str| outcome.stderr == format!("error: {code}\n");
                assert!(codes.iter().any(is_expected), "{guest} {answer:?}: {outcome:#?}");
            });
        }
        // TLS where there is none.
        scope(|scope| {
            scope.spawn(|| answer_once(listener.accept(), "HTTP/1.1 400 Bad Request\r\n\r\n"));
            expect_error(&fetch(&["-c", &strange], guest, &[&format!("https://{strange}/")]), "tls-protocol-error");
        });
    }
}

/// Reads whatever is there first, answers and closes.
fn answer_once(mut stream: TcpStream, answer: &str) {
    let _ = stream.read(&mut [0; 4096]);
    // The client may have gone.
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

#[test]
fn each_time_limit_has_its_own_error() {
    let site = Service::http(&[], "http-site.wasm", &[]);
    let at = site.address().to_string();
    let silent = Listener::at(LOOPBACK);
    let silent_at = silent.address().to_string();
    for guest in FETCH {
        // It accepts, and never answers.
        let first = fetch(&["-c", &silent_at], guest, &[&format!("http://{silent_at}/"), "--first-byte-ms", "200"]);
        expect_error(&first, "connection-read-timeout");
        let url = site.url("/slow?ms=60000&chunks=1");
        let between = fetch(&["-c", &at], guest, &[&url, "--between-bytes-ms", "200"]);
        expect_error(&between, "connection-read-timeout");
        assert!(between.text().starts_with("200\n"), "the head has come: {between:#?}");
        // TLS is part of connecting.
        let connecting = fetch(&["-c", &silent_at], guest, &[&format!("https://{silent_at}/"), "--connect-ms", "200"]);
        expect_error(&connecting, "connection-timeout");
        // Limits that are kept change nothing.
        let limits = ["--connect-ms", "60000", "--first-byte-ms", "60000", "--between-bytes-ms", "60000"];
        expect(&fetch(&["-c", &at], guest, &[&[&*site.url("/count")], &limits[..]].concat()), "200", "1\n");
    }
}

#[test]
fn one_connection_is_used_again() {
    let site = Service::http(&["--access-log", "json"], "http-hello.wasm", &[]);
    for (index, guest) in FETCH.into_iter().enumerate() {
        let flags = ["-c", &site.address().to_string()];
        let outcome = fetch(&flags, guest, &[&site.url("/"), "--repeat", "20"]);
        assert_eq!(outcome.expect_silent_success().text().matches("Hello, world!\n").count(), 20);
        let awaited = 20 * (index + 1);
        cord_tests::wait::for_equal("lines of the access log", &awaited, || site.stdout().lines().count());
        let ports = site.stdout();
        let ports = ports
            .lines()
            .skip(20 * index)
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["client_port"].as_u64().unwrap());
        let mut ports: Vec<u64> = ports.collect();
        ports.dedup();
        assert_eq!(ports.len(), 1, "{guest}");
    }
}

#[test]
fn http_2_is_used_where_it_is_offered() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "IP:127.0.0.1");
    let site = Service::http(&["--tls-cert", &certificate, "--tls-key", &key], "http-hello.wasm", &[]);
    for guest in FETCH {
        let flags = ["-c", &site.address().to_string(), "--tls-ca", &authority.certificate()];
        expect(&fetch(&flags, guest, &[&site.url("/h2")]), "200", "Hello, world!\n");
    }
    let outcome = site.stop();
    assert_eq!(outcome.text().matches("\"GET /h2 HTTP/2.0\" 200 14").count(), 2, "{outcome:#?}");
}

#[test]
fn a_site_fetches_for_its_clients() {
    let origin = Service::http(&[], "http-site.wasm", &[]);
    let at = origin.address().to_string();
    for guest in SITES {
        let page = |target: &str| format!("/fetch?url={}", origin.url(target).replace('&', "%26"));
        let allowed = Service::http(&["-c", &at], guest, &[]);
        for flag in ["--http1.1", "--http2-prior-knowledge"] {
            curl(&[flag, &allowed.url(&page("/count"))]).expect(200, "1\n");
            curl(&[flag, &allowed.url(&page("/nothing"))]).expect(404, "no such page\n");
            let slow = curl(&[flag, &allowed.url(&page("/slow?ms=5&chunks=3"))]);
            slow.expect(200, "chunk 1\nchunk 2\nchunk 3\n");
        }
        let denied = Service::http(&[], guest, &[]);
        let answer = curl(&[&denied.url(&page("/count"))]);
        // `wstd` tells of the request's body first, which nobody took, whatever runs it.
        let told = ["http-request-denied\n", "no error code: connection reset\n"];
        assert!(answer.status == 502 && told.contains(&&*answer.text()), "{answer:?}");
        denied.wait_for_log(&format!("(allow with --connect {at})"));
    }
}
