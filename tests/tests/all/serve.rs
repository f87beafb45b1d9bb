//! `cord serve`: guests that answer HTTP requests, asked as clients ask.

use cord_tests::cord::Cord;
use cord_tests::http::{Authority, curl, raw, read_head, read_rest, start_curl};
use cord_tests::process::Running;
use cord_tests::programs;
use cord_tests::published::connect;
use cord_tests::services::Service;
use cord_tests::wait;
use std::io::{Read, Write};
use std::process::Command;

const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];
const VERSIONS: [(&str, &str); 2] = [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")];
/// FNV-1a of nothing, and of `abcd`.
const SUMS: [(&str, &str); 2] = [("", "0 cbf29ce484222325\n"), ("abcd", "4 fc179f83ee0724dd\n")];

#[test]
fn the_smallest_servers_greet() {
    for guest in ["http-hello.wasm", "http-hello-p3.wasm"] {
        let service = Service::http(&[], guest, &[]);
        for (flag, version) in VERSIONS {
            let answer = curl(&[flag, &service.url("/")]);
            assert_eq!(answer.expect(200, "Hello, world!\n").version, version);
            assert_eq!(answer.field("content-type"), Some("text/plain"));
            assert!(answer.field("date").is_some(), "{}", answer.head);
        }
        service.stop().expect_silent_success();
    }
}

#[test]
fn python_answers() {
    programs::warm("http-python.wasm");
    let service = Service::http(&[], "http-python.wasm", &[]);
    curl(&[&service.url("/a?b=c")]).expect(200, "/a?b=c\n");
    let body = "x".repeat(10_000);
    curl(&["--data", &body, &service.url("/post")]).expect(200, &format!("/post\n{body}"));
    service.stop().expect_silent_success();
}

#[test]
fn every_page_in_every_version() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let authority = service.address().to_string();
        for (flag, _) in VERSIONS {
            let get = |target: &str| curl(&[flag, &service.url(target)]);
            get("/nothing").expect(404, "no such page\n");
            get("/count").expect(200, "1\n");
            get("/status?code=418").expect(418, "status 418\n");
            get("/status?code=204").expect(204, "");
            get("/status?code=304").expect(304, "");
            get("/stdout").expect(200, "printed\n");
            get("/slow?ms=5&chunks=4").expect(200, "chunk 1\nchunk 2\nchunk 3\nchunk 4\n");
            get("/method?a=b").expect(200, &format!("GET http {authority} /method?a=b\n"));
            // Without a body: curl 7.88 at times gives an answer up that came before it had sent all (HTTP/2).
            let put = curl(&[flag, "-X", "PUT", &service.url("/method")]);
            put.expect(200, &format!("PUT http {authority} /method\n"));
            let own = curl(&[flag, "-X", "REPORT", &service.url("/method")]);
            own.expect(200, &format!("REPORT http {authority} /method\n"));
            for (body, sum) in SUMS {
                curl(&[flag, "--data", body, &service.url("/sum")]).expect(200, sum);
            }
            let echo = curl(&[flag, "-H", "content-type: text/odd", "--data", "a body", &service.url("/echo")]);
            assert_eq!(echo.expect(200, "a body").field("content-type"), Some("text/odd"));
            let fields = ["-H", "X-Two: b", "-H", "X-Two: a", "-H", "X-Empty;", "-H", "Cookie: a=1; b=2"];
            let headers = curl(&[&[flag], &fields[..], &["-A", "me", &service.url("/headers")]].concat()).text();
            for line in ["user-agent: me", "x-empty: ", "x-two: a", "x-two: b", "cookie: a=1; b=2"] {
                assert!(headers.lines().any(|found| found == line), "{line} is not in {headers}");
            }
            let big = get("/big?bytes=3000000&length=1");
            assert_eq!(big.field("content-length"), Some("3000000"));
            assert!(is_pattern(&big.body, 3_000_000));
            let streamed = get("/big?bytes=3000001");
            assert_eq!(streamed.field("content-length"), None);
            assert!(is_pattern(&streamed.body, 3_000_001));
        }
        let log = service.stop();
        log.expect_code(0);
        assert!(log.stderr.lines().any(|line| line.ends_with("] a line on standard error")), "{log:#?}");
        assert!(log.stderr.lines().any(|line| line.ends_with("] a line on standard output")), "{log:#?}");
    }
}

fn is_pattern(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().zip(0..).all(|(byte, at): (&u8, usize)| usize::from(*byte) == at % 251)
}

#[test]
fn a_guest_gets_files_variables_and_arguments() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page"), "from a file\n").unwrap();
    let volume = format!("{}:/data:ro", folder.path().display());
    for guest in SITES {
        let service = Service::http(&["-v", &volume, "-e", "LEVEL=debug"], guest, &["one"]);
        curl(&[&service.url("/file?path=/data/page")]).expect(200, "from a file\n");
        curl(&[&service.url("/file?path=/etc/passwd")]).expect(404, "NotFound\n");
        curl(&[&service.url("/env")]).expect(200, "arg 1 one\nLEVEL=debug\n");
    }
}

#[test]
fn tls_with_both_versions() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost,IP:127.0.0.1");
    let trusted = ["--cacert", &authority.certificate()];
    for guest in SITES {
        let service = Service::http(&["--tls-cert", &certificate, "--tls-key", &key], guest, &[]);
        assert!(service.url("/").starts_with("https://"), "{}", service.url("/"));
        for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let url = service.url("/method");
            let answer = curl(&[&trusted[..], &[flag, &url]].concat());
            assert_eq!(answer.expect(200, &format!("GET https {} /method\n", service.address())).version, version);
            let by_name = service.url_by_name("localhost", "/count");
            curl(&[&trusted[..], &["-4", flag, &by_name]].concat()).expect(200, "1\n");
        }
        // Who does not know the authority does not talk to it, and who does not speak TLS is not answered.
        let (stranger, _) = cord_tests::http::try_curl(&[&service.url("/")]);
        assert_eq!(stranger.status.code(), Some(60), "{stranger:#?}");
        let clear = raw(service.address(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(!clear.contains("200"), "{clear}");
        curl(&[&trusted[..], &[&service.url("/count")]].concat()).expect(200, "1\n");
    }
}

#[test]
fn head_has_the_fields_and_not_the_body() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        for (flag, _) in VERSIONS {
            let head = curl(&[flag, "--head", &service.url("/big?bytes=1000&length=1")]);
            assert_eq!(head.expect(200, "").field("content-length"), Some("1000"));
        }
        let target = "/big?bytes=1000&length=1";
        let both = format!(
            "HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\nGET /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answers = raw(service.address(), both);
        // Right behind the first head comes the second one.
        assert_eq!(answers.matches("\r\n\r\nHTTP/1.1 200 OK\r\n").count(), 1, "{answers}");
        assert!(answers.ends_with("\r\n1\n") || answers.contains("\r\n2\r\n1\n\r\n"), "{answers}");
    }
}

#[test]
fn one_connection_takes_many_requests() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let mut stream = connect(service.address());
        for round in 0..3 {
            write!(stream, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd").unwrap();
            let head = read_head(&mut stream);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{round}: {head}");
            let body = read_body(&mut stream, &head);
            assert_eq!(body, SUMS[1].1, "{round}");
        }
        // All at once is as good.
        let one = "GET /count HTTP/1.1\r\nHost: a\r\n\r\n";
        let last = "GET /status?code=418 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{one}{one}{last}").as_bytes()).unwrap();
        let rest = read_rest(&mut stream);
        let statuses: Vec<&str> = rest.match_indices("HTTP/1.1 ").map(|(at, _)| &rest[at + 9..at + 12]).collect();
        assert_eq!(statuses, ["200", "200", "418"], "{rest}");
    }
}

/// Reads the body behind a head: its length is told, or it comes in chunks.
fn read_body(stream: &mut std::net::TcpStream, head: &str) -> String {
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    if let Some(length) = length {
        let mut body = vec![0; length.trim().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        return String::from_utf8(body).unwrap();
    }
    let mut chunks = Vec::new();
    while !chunks.ends_with(b"0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        chunks.push(byte[0]);
    }
    let chunks = String::from_utf8(chunks).unwrap();
    // Sizes and contents take turns, and no content has a line end of two bytes.
    chunks.split("\r\n").skip(1).step_by(2).collect()
}

#[test]
fn old_clients_are_answered_in_their_version() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let answer = raw(service.address(), "GET /slow?ms=1&chunks=2 HTTP/1.0\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        // No chunks: the end of the connection is the end of the body.
        assert!(answer.ends_with("\r\n\r\nchunk 1\nchunk 2\n"), "{answer}");
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let mut stream = connect(service.address());
        write!(stream, "POST /sum HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").unwrap();
        assert_eq!(read_head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"abcd").unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(read_body(&mut stream, &head), SUMS[1].1);
        let waited = curl(&["--http1.1", "-H", "Expect: 100-continue", "--data", "abcd", &service.url("/sum")]);
        assert!(waited.expect(200, SUMS[1].1).head.starts_with("HTTP/1.1 100 Continue\n"), "{}", waited.head);
    }
}

#[test]
fn trailers_go_both_ways() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        let request = "POST /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\nTrailer: x-sent\r\n\
                       Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sent: yes\r\n\r\n";
        let answer = raw(service.address(), request);
        let (_, trailers) = answer.rsplit_once("\r\n0\r\n").unwrap_or_else(|| panic!("{guest}: {answer}"));
        let mut trailers: Vec<&str> = trailers.lines().filter(|line| !line.is_empty()).collect();
        trailers.sort_unstable();
        assert_eq!(trailers, ["x-length: 3", "x-sent: yes"], "{guest}: {answer}");
        // By HTTP/2, where they need no announcement.
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["-v", "--no-dep", "-d", "/dev/null", "--trailer", "x-sent: yes", &service.url("/trailers")]);
        let told =
            Running::start(nghttp.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped())).wait();
        for trailer in ["x-length: 0", "x-sent: yes"] {
            let received = told.text().lines().any(|line| line.contains("recv") && line.ends_with(trailer));
            assert!(received, "{guest}: {trailer}: {told:#?}");
        }
    }
}

#[test]
fn nothing_is_shared_unless_it_was_asked_for() {
    for guest in SITES {
        let fresh = Service::http(&["--max-instances", "1"], guest, &[]);
        for number in 0..5 {
            curl(&[&fresh.url("/count")]).expect(200, "1\n");
            let secret = format!("secret {number}");
            let found = format!("nothing found\nleft {} bytes\n", secret.len());
            curl(&["--data", &secret, &fresh.url("/secret")]).expect(200, &found);
        }
        // With one instance there is one worker, and with that one order.
        let reused = Service::http(&["--max-instances", "1", "--instances", "reuse=3"], guest, &[]);
        let counts: Vec<String> = (0..7).map(|_| curl(&[&reused.url("/count")]).text()).collect();
        assert_eq!(counts.concat(), "1\n2\n3\n1\n2\n3\n1\n", "{guest}");
        // What this search finds is there, if it is there.
        let _ = curl(&["--data", "secret", &reused.url("/secret")]);
        let found = curl(&["--data", "other", &reused.url("/secret")]).text();
        assert!(found.starts_with("found \"secret\", "), "{guest}: {found}");
        // One that has trapped is not used again.
        let _ = curl(&[&reused.url("/trap")]);
        curl(&[&reused.url("/count")]).expect(200, "1\n");
    }
}

#[test]
fn a_guest_may_work_on_after_its_answer() {
    for guest in SITES {
        for flags in [&[][..], &["--instances", "reuse=2"]] {
            let service = Service::http(flags, guest, &[]);
            for _ in 0..3 {
                curl(&[&service.url("/after?ms=20")]).expect(200, "answered before the work is done\n");
            }
            wait::for_equal("the work of all", &3, || service.log().matches("work after the response is done").count());
            service.stop().expect_code(0);
        }
    }
}

#[test]
fn a_signal_lets_answers_finish() {
    for (flag, _) in VERSIONS {
        for guest in SITES {
            let mut service = Service::http(&["--drain-time", "100s"], guest, &[]);
            let mut idle = connect(service.address());
            write!(idle, "GET /count HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let head = read_head(&mut idle);
            assert_eq!(read_body(&mut idle, &head), "1\n");
            let curl = start_curl(&[flag, "--no-buffer", &service.url("/slow?ms=150&chunks=6")]);
            curl.wait_for_stdout("chunk 1\n");
            service.process().signal(rustix::process::Signal::TERM);
            // A connection without a request is not kept.
            assert_eq!(read_rest(&mut idle), "");
            let outcome = curl.wait();
            let all: String = (1..=6).map(|number| format!("chunk {number}\n")).collect();
            outcome.expect_silent_success().expect_stdout(&all);
            service.wait().expect_silent_success();
        }
    }
}

#[test]
fn what_does_not_finish_in_time_is_broken_off() {
    for guest in SITES {
        for (page, sign) in [("/spin", "about to spin"), ("/sleep-forever", "about to sleep")] {
            let service = Service::http(&["--drain-time", "200ms", "--timeout", "1h"], guest, &[]);
            let curl = start_curl(&[&service.url(page)]);
            service.wait_for_log(sign);
            service.stop().expect_code(143);
            let outcome = curl.wait();
            assert!(!outcome.status.success(), "{page}: {outcome:#?}");
        }
        let service = Service::http(&["--drain-time", "200ms"], guest, &[]);
        let mut stream = connect(service.address());
        write!(stream, "GET /slow?ms=100000&chunks=1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 OK\r\n"));
        service.stop().expect_code(143);
        // Not even the end of an empty body, which would look complete.
        assert_eq!(read_rest(&mut stream), "");
    }
}

#[test]
fn several_addresses_are_served() {
    let service = Service::http_at(&["127.0.0.1:0", "[::1]:0"], &[], "http-hello.wasm", &[]);
    for address in service.addresses() {
        curl(&[&format!("http://{address}/")]).expect(200, "Hello, world!\n");
    }
    service.stop().expect_silent_success();
}

#[test]
fn flags_that_make_no_sense_are_told() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("site", "DNS:localhost");
    let (other, _) = authority.sign("other", "DNS:localhost");
    let guest = programs::guest("http-hello.wasm");
    for (flags, word) in [
        (&["--addr", "nowhere"][..], "nowhere"),
        (&["--addr", "127.0.0.1"], "127.0.0.1"),
        (&["--instances", "reuse=0"], "reuse=0"),
        (&["--instances", "stale"], "stale"),
        (&["--max-instances", "0"], "--max-instances"),
        (&["--access-log", "loud"], "loud"),
        (&["--tls-cert", &certificate], "--tls-key"),
        (&["--tls-key", &key], "--tls-cert"),
        (&["--tls-cert", "/nowhere.pem", "--tls-key", &key], "/nowhere.pem"),
        (&["--tls-cert", &key, "--tls-key", &key], &key),
        (&["--tls-cert", &other, "--tls-key", &key], &other),
        (&["--tls-ca", "/nowhere.pem"], "/nowhere.pem"),
    ] {
        let outcome = Cord::new(["serve", "--addr", "127.0.0.1:0"]).arguments(flags).arguments([&guest]).run();
        outcome.expect_code(125).expect_stdout("");
        assert!(outcome.stderr.contains(word) && !outcome.stderr.contains("panicked"), "{flags:?}: {outcome:#?}");
    }
    for (file, code) in [("hello.wasm", 126), ("hello-p1.wasm", 126), ("hello-p3.wasm", 126)] {
        let serve = Cord::new(["serve", "--addr", "127.0.0.1:0"]).arguments([programs::guest(file)]).run();
        serve.expect_complaint(code);
    }
    let missing = Cord::new(["serve", "--addr", "127.0.0.1:0", "/nowhere/at/all.wasm"]).run();
    assert!(missing.expect_complaint(127).contains("/nowhere/at/all.wasm"));
    let service = Service::http(&[], "http-hello.wasm", &[]);
    let taken = service.address().to_string();
    let second = Cord::new(["serve", "--addr", &taken]).arguments([&guest]).run();
    assert!(second.expect_complaint(125).contains(&taken), "{second:#?}");
}
