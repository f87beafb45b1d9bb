//! The connections under the requests of guests: which are shared, which are made again, and what is told of a server.

use cord_tests::cord::Cord;
use cord_tests::http::{Authority, curl, read_head};
use cord_tests::process::Outcome;
use cord_tests::servers::{LOOPBACK, Listener};
use cord_tests::services::Service;
use cord_tests::wait;
use std::collections::HashSet;
use std::io::Write;
use std::net::TcpStream;
use std::thread::scope;

const FETCH: [&str; 2] = ["fetch.wasm", "fetch-p3.wasm"];
const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";

fn fetch(flags: &[&str], guest: &str, arguments: &[&str]) -> Outcome {
    Cord::run_guest(flags, guest, arguments).run()
}

/// The ports from which `count` requests came to a site that logs JSON.
fn client_ports(site: &Service, count: usize) -> HashSet<u64> {
    wait::for_equal("lines of the access log", &count, || site.stdout().lines().count());
    let port = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["client_port"].as_u64().unwrap();
    site.stdout().lines().map(port).collect()
}

#[test]
fn fresh_instances_share_the_connections_of_their_thread() {
    let origin = Service::http(&["--access-log", "json"], "http-hello.wasm", &[]);
    let at = origin.address().to_string();
    let front = Service::http(&["-c", &at], "http-site.wasm", &[]);
    const REQUESTS: usize = 40;
    for _ in 0..REQUESTS {
        curl(&[&front.url(&format!("/fetch?url=http://{at}/"))]).expect(200, "Hello, world!\n");
    }
    let threads = std::thread::available_parallelism().unwrap().get();
    let ports = client_ports(&origin, REQUESTS);
    assert!(ports.len() <= threads, "{} connections of {threads} threads", ports.len());
}

#[test]
fn many_requests_over_http_2_are_one_connection() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost");
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--access-log", "json"];
    let site = Service::http(&tls, "http-hello.wasm", &[]);
    let target = format!("localhost:{}", site.address().port());
    let flags = ["-c", &target, "--tls-ca", &authority.certificate()];
    let outcome = fetch(&flags, FETCH[0], &[&site.url_by_name("localhost", "/"), "--repeat", "10"]);
    assert_eq!(outcome.expect_silent_success().text().matches("Hello, world!\n").count(), 10);
    assert_eq!(client_ports(&site, 10).len(), 1);
    assert_eq!(site.stdout().matches("HTTP/2").count(), 10, "{}", site.stdout());
}

#[test]
fn ipv6_loopback_is_reached_by_address_and_as_localhost() {
    let site = Service::http_at(&["[::1]:0"], &[], "http-hello.wasm", &[]);
    let (address, by_name) = (site.address().to_string(), format!("localhost:{}", site.address().port()));
    for guest in FETCH {
        for target in [&address, &by_name] {
            let outcome = fetch(&["-c", target], guest, &[&format!("http://{target}/")]);
            assert!(outcome.expect_silent_success().text().ends_with("Hello, world!\n"), "{outcome:#?}");
        }
    }
}

#[test]
fn a_connection_that_the_server_closed_is_made_again() {
    let listener = Listener::at(LOOPBACK);
    let at = listener.address().to_string();
    for guest in FETCH {
        scope(|scope| {
            scope.spawn(|| {
                for last in [false, false, true] {
                    let mut stream = listener.accept();
                    let head = read_head(&mut stream);
                    assert!(head.contains(&format!("\r\nhost: {at}\r\n")), "{head}");
                    stream.write_all(HELLO.as_bytes()).unwrap();
                    if !last {
                        // Takes another request, and goes without a word.
                        drop(read_head(&mut stream));
                    }
                }
            });
            let outcome = fetch(&["-c", &at], guest, &[&format!("http://{at}/"), "--repeat", "3"]);
            assert_eq!(outcome.expect_silent_success().text().matches("hello\n").count(), 3, "{guest} {outcome:#?}");
        });
    }
}

/// Reads a request with an empty body of unknown length.
fn read_post(stream: &mut TcpStream) {
    assert!(read_head(stream).contains("\r\ntransfer-encoding: chunked\r\n"));
    assert_eq!(read_head(stream), "0\r\n\r\n");
}

#[test]
fn a_request_that_may_have_been_done_is_not_sent_again() {
    let listener = Listener::at(LOOPBACK);
    let at = listener.address().to_string();
    for guest in FETCH {
        scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept();
                read_post(&mut stream);
                stream.write_all(HELLO.as_bytes()).unwrap();
                read_post(&mut stream);
            });
            let arguments = [&*format!("http://{at}/"), "--method", "POST", "--repeat", "2"];
            let outcome = fetch(&["-c", &at], guest, &arguments);
            outcome.expect_code(1);
            assert_eq!(outcome.stderr, "error: connection-terminated\n", "{guest}");
        });
    }
    listener.expect_nobody();
}

#[test]
fn a_head_without_end_is_refused() {
    let listener = Listener::at(LOOPBACK);
    let at = listener.address().to_string();
    for guest in FETCH {
        scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept();
                drop(read_head(&mut stream));
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").unwrap();
                // It is the client that ends this.
                while stream.write_all(&[b'y'; 4096]).is_ok() {}
            });
            let outcome = fetch(&["-c", &at], guest, &[&format!("http://{at}/")]);
            outcome.expect_code(1);
            assert_eq!(outcome.stderr, "error: http-response-header-section-size\n", "{guest}");
        });
    }
}

#[test]
fn who_runs_a_guest_is_told_why_a_server_is_not_believed() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost");
    let site = Service::http(&["--tls-cert", &certificate, "--tls-key", &key], "http-hello.wasm", &[]);
    let target = format!("localhost:{}", site.address().port());
    for guest in FETCH {
        let outcome = fetch(&["-c", &target], guest, &[&site.url_by_name("localhost", "/")]);
        outcome.expect_code(1);
        let [complaint] = &outcome.complaints()[..] else { panic!("{outcome:#?}") };
        let told = format!("connect to {target} failed: the server's certificate is not to be trusted: ");
        assert!(complaint.starts_with(&told), "{complaint}");
    }
}

#[test]
fn a_word_is_a_service_and_nowhere_else() {
    for guest in FETCH {
        let outcome = fetch(&["-c", "127.0.0.1:80"], guest, &["http://db/"]);
        outcome.expect_code(1);
        assert_eq!(outcome.complaints(), ["connect to db:80 denied: no grant covers it (allow with --connect db:80)"]);
        assert!(outcome.stderr.ends_with("error: http-request-denied\n"), "{outcome:#?}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_nobodys() {
    let site = Service::http(&[], "http-hello.wasm", &[]);
    let proxy = Listener::at(LOOPBACK);
    let url = format!("http://{}", proxy.address());
    for guest in FETCH {
        let cord = Cord::run_guest(&["-c", &site.address().to_string()], guest, &[&site.url("/")]);
        let cord = ["http_proxy", "HTTP_PROXY", "all_proxy"].iter().fold(cord, |cord, name| cord.env(name, &url));
        assert!(cord.run().expect_silent_success().text().ends_with("Hello, world!\n"));
    }
    proxy.expect_nobody();
}
