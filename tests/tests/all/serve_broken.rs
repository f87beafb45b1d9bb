//! `cord serve` with guests that fail and clients that do not do as they should: the right status, nothing told of the
//! inside, and everybody else undisturbed.

use cord_tests::http::{curl, raw, read_head, start_curl, try_curl};
use cord_tests::published::connect;
use cord_tests::services::Service;
use rustix::process::Signal;
use std::io::{Read, Write};

const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];
const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

#[test]
fn a_trap_is_500_and_its_backtrace_is_in_the_log_alone() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        for flag in VERSIONS {
            let answer = curl(&[flag, &service.url("/trap")]);
            answer.expect_nothing_of_the_inside(500);
            let id = answer.field("x-request-id").unwrap().to_owned();
            service.wait_for_log(&format!("cord: [{id}] about to trap\n"));
            // The name of the function that trapped.
            let begin = format!("cord: [{id}]     at ");
            cord_tests::wait::until("the backtrace", || {
                service.log().lines().any(|line| line.starts_with(&begin) && line.ends_with("::stops::trap"))
            });
            curl(&[flag, &service.url("/count")]).expect(200, "1\n");
        }
        service.stop().expect_code(0);
    }
}

#[test]
fn a_trap_in_the_middle_of_a_body_cannot_look_like_its_end() {
    for guest in SITES {
        let service = Service::http(&[], guest, &[]);
        for flag in VERSIONS {
            let (outcome, answer) = try_curl(&[flag, &service.url("/trap-mid")]);
            // 18: less came than should have; 92: the stream was reset; 56: the connection was.
            let code = outcome.status.code();
            assert!(matches!(code, Some(18 | 56 | 92)), "{guest} {flag}: {outcome:#?}");
            assert_eq!((answer.status, &*answer.text()), (200, "chunk 0\nchunk 1\nchunk 2\n"), "{guest} {flag}");
        }
        curl(&[&service.url("/count")]).expect(200, "1\n");
        service.stop().expect_code(0);
    }
}

#[test]
fn a_guest_that_exits_or_does_not_answer_is_500() {
    for (guest, page) in [
        ("http-site.wasm", "/exit"),
        ("http-site-p3.wasm", "/exit"),
        ("http-site-p3.wasm", "/error"),
        ("http-odd.wasm", "/never"),
        ("http-odd.wasm", "/error/internal"),
    ] {
        let service = Service::http(&[], guest, &[]);
        for flag in VERSIONS {
            curl(&[flag, &service.url(page)]).expect_nothing_of_the_inside(500);
        }
        service.stop().expect_code(0);
    }
}

#[test]
fn every_error_code_is_a_server_error() {
    let service = Service::http(&[], "http-odd.wasm", &[]);
    for page in ["/error/timeout", "/error/denied", "/error/dns"] {
        let answer = curl(&[&service.url(page)]);
        assert!((500..600).contains(&answer.status), "{page}: {answer:?}");
        answer.expect_nothing_of_the_inside(answer.status);
    }
}

#[test]
fn a_guest_that_takes_too_long_is_504() {
    for guest in SITES {
        for page in ["/sleep-forever", "/spin"] {
            let service = Service::http(&["--timeout", "300ms"], guest, &[]);
            for flag in VERSIONS {
                curl(&[flag, &service.url(page)]).expect_nothing_of_the_inside(504);
                curl(&[flag, &service.url("/count")]).expect(200, "1\n");
            }
            let outcome = service.stop();
            outcome.expect_code(0);
            assert_eq!(outcome.stderr.matches("--timeout 300ms").count(), 2, "{outcome:#?}");
        }
        // An answer that goes on is not cut off, however long it takes in all; one that stops is.
        let service = Service::http(&["--timeout", "2s"], guest, &[]);
        let all = curl(&[&service.url("/slow?ms=500&chunks=6")]);
        assert_eq!(all.text().lines().count(), 6);
        let (outcome, answer) = try_curl(&[&service.url("/slow?ms=100000&chunks=1")]);
        assert!(!outcome.status.success(), "{outcome:#?}");
        assert_eq!((answer.status, &*answer.text()), (200, ""));
    }
}

#[test]
fn requests_that_find_no_room_are_503_after_a_while() {
    for guest in SITES {
        let service = Service::http(&["--max-instances", "1", "--timeout", "1h"], guest, &[]);
        let taken = start_curl(&[&service.url("/sleep-forever")]);
        service.wait_for_log("about to sleep");
        let answer = curl(&[&service.url("/count")]);
        answer.expect_nothing_of_the_inside(503);
        assert!(answer.field("retry-after").is_some(), "{}", answer.head);
        // The client goes, and with it the guest: there is room again.
        taken.signal(Signal::KILL);
        curl(&[&service.url("/count")]).expect(200, "1\n");
    }
}

#[test]
fn memory_is_bounded_for_each_instance() {
    let service = Service::http(&["-m", "16m"], "http-site.wasm", &[]);
    let grow = |bytes: u64| curl(&[&service.url(&format!("/grow?bytes={bytes}"))]);
    for _ in 0..3 {
        grow(8 << 20).expect(200, &format!("used {} bytes\n", 8 << 20));
        grow(32 << 20).expect(507, "not so much memory\n");
    }
}

#[test]
fn clients_that_go_half_way_leave_nothing_behind() {
    for guest in SITES {
        let service = Service::http(&["--max-instances", "2", "--timeout", "1h"], guest, &[]);
        curl(&[&service.url("/count")]).expect(200, "1\n");
        service.must_leave_nothing_behind(|| {
            for page in ["/big?bytes=100000000000", "/slow?ms=10&chunks=1000000", "/sleep-forever"] {
                for _ in 0..5 {
                    let mut stream = connect(service.address());
                    write!(stream, "GET {page} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                    if page != "/sleep-forever" {
                        let _ = read_head(&mut stream);
                        let _ = stream.read(&mut [0; 1000]);
                    }
                    drop(stream);
                    // There is room again.
                    curl(&[&service.url("/count")]).expect(200, "1\n");
                }
            }
            for part in ["POST /sum HT", "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nnot all"] {
                for _ in 0..5 {
                    connect(service.address()).write_all(part.as_bytes()).unwrap();
                    curl(&[&service.url("/count")]).expect(200, "1\n");
                }
            }
        });
        service.stop().expect_code(0);
    }
}

#[test]
fn what_is_no_request_is_refused_with_the_right_status() {
    let service = Service::http(&[], "http-site.wasm", &[]);
    let large = "x".repeat(100_000);
    let many: String = (0..1000).map(|number| format!("x-{number}: a\r\n")).collect();
    for (request, status) in [
        (format!("GET /count HTTP/1.1\r\nHost: a\r\nx: {large}\r\n\r\n"), "431"),
        (format!("GET /count HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &large[..20_000]), "414"),
        ("GET /count HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET /count HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("GET /count HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n".to_owned(), "400"),
        ("GET /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), "400"),
        ("GET /count HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".to_owned(), "400"),
        ("GET /count HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n".to_owned(), "400"),
        ("complete nonsense\r\n\r\n".to_owned(), "400"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_owned(), "501"),
    ] {
        let answer = raw(service.address(), &request);
        let shown = &request[..request.len().min(80)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(!answer.contains("200 OK"), "{shown:?}: {answer}");
    }
    // Bytes that no HTTP begins with.
    for garbage in
        [&[0xff; 1000][..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"]
    {
        let mut stream = connect(service.address());
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = cord_tests::http::read_rest(&mut stream);
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    curl(&[&service.url("/count")]).expect(200, "1\n");
    let outcome = service.stop();
    outcome.expect_silent_success();
    assert!(outcome.text().lines().any(|line| line.contains(" 431 ")), "{outcome:#?}");
}

#[test]
fn two_lengths_of_one_body_smuggle_nothing() {
    let service = Service::http(&[], "http-site.wasm", &[]);
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: gzip, chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let hidden = "GET /status?code=418 HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!("POST /sum HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{hidden}");
        let mut stream = connect(service.address());
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = cord_tests::http::read_rest(&mut stream);
        assert!(!answer.contains("418"), "{fields:?}: {answer}");
    }
}

/// Bodies that are not what was announced. What curl may end with is told by its exit codes.
#[test]
fn a_body_of_another_length_than_announced_never_looks_right() {
    let service = Service::http(&[], "http-odd.wasm", &[]);
    let p3 = Service::http(&[], "http-site-p3.wasm", &[]);
    for flag in VERSIONS {
        for (service, page) in [
            (&service, "/too-long"),
            (&service, "/too-short"),
            (&service, "/unfinished"),
            (&service, "/stream-kept"),
            (&p3, "/bad-end"),
        ] {
            let (outcome, answer) = try_curl(&[flag, &service.url(page)]);
            let is_refused = outcome.status.success() && answer.status == 500;
            let is_broken_off = !outcome.status.success();
            assert!(is_refused || is_broken_off, "{flag} {page}: {outcome:#?} {answer:?}");
            assert!(answer.body.len() < 30, "{flag} {page}: {answer:?}");
        }
        for page in ["/no-body-taken", "/finish-at-once"] {
            curl(&[flag, &service.url(page)]).expect(200, "");
        }
        curl(&[flag, &service.url("/one-byte-writes")]).expect(200, &".".repeat(1000));
        // The answer was out before the trap.
        curl(&[flag, &service.url("/trap-after")]).expect(200, "complete\n");
    }
    service.stop().expect_code(0);
    p3.stop().expect_code(0);
}

#[test]
fn statuses_without_a_body_have_none() {
    let service = Service::http(&[], "http-odd.wasm", &[]);
    for flag in VERSIONS {
        for (page, status) in [("/no-content", 204), ("/not-modified", 304)] {
            curl(&[flag, &service.url(page)]).expect(status, "");
        }
        for page in ["/informational", "/switching"] {
            let answer = curl(&[flag, &service.url(page)]);
            // Refused when it is set, or when it is to be sent.
            let is_told = answer.status == 200 && answer.text() == "that status is refused\n";
            assert!(is_told || answer.status == 500, "{flag} {page}: {answer:?}");
        }
    }
    // Nothing of a body that must not be there comes before the next answer.
    let both =
        "GET /no-content HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = raw(service.address(), both);
    assert!(!answers.contains("must not be sent"), "{answers}");
    assert_eq!(answers.matches("\r\n\r\nHTTP/1.1 404 Not Found\r\n").count(), 1, "{answers}");
}

#[test]
fn fields_that_are_the_hosts_are_refused() {
    let service = Service::http(&[], "http-odd.wasm", &[]);
    let names =
        ["connection", "Keep-Alive", "proxy-connection", "transfer-encoding", "upgrade", "host", "http2-settings"];
    let forbidden: String =
        names.iter().map(|name| format!("{name}: append forbidden, set forbidden, from-list forbidden\n")).collect();
    curl(&[&service.url("/forbidden-headers")]).expect(200, &forbidden);
    let bad = curl(&[&service.url("/bad-headers")]).text();
    let (last, others) =
        bad.lines().collect::<Vec<_>>().split_last().map(|(last, rest)| (*last, rest.to_vec())).unwrap();
    assert!(others.iter().all(|line| line.ends_with(": invalid-syntax")), "{bad}");
    assert!(last.ends_with(": ok"), "a value is bytes, not text: {bad}");
    let copy = "append immutable, delete immutable, on a copy ok";
    let immutable = format!("request: {copy}\nresponse: {copy}\noutgoing: {copy}\n");
    curl(&[&service.url("/immutable-headers")]).expect(200, &immutable);
    let twice = "a second body is refused: true\na second stream is refused: true\n";
    curl(&[&service.url("/body-twice")]).expect(200, twice);
    curl(&["--data", "x", &service.url("/request-body-twice")]).expect(200, twice);
    let statuses = curl(&[&service.url("/bad-statuses")]).text();
    for line in ["0: refused", "99: refused", "200: ok", "599: ok", "1000: refused", "65535: refused"] {
        assert!(statuses.lines().any(|found| found == line), "{line}: {statuses}");
    }
}

#[test]
fn odd_heads_of_answers_are_sent_or_refused_whole() {
    let service = Service::http(&[], "http-odd.wasm", &[]);
    for flag in VERSIONS {
        let many = curl(&[flag, &service.url("/many-headers")]);
        many.expect(200, "see the headers\n");
        assert_eq!(many.head.matches("\nx-").count(), 501, "500 of the guest's, and the request's id");
        assert_eq!(many.head.matches("\nset-cookie: ").count(), 2);
        let (outcome, large) = try_curl(&[flag, &service.url("/large-header")]);
        // Too large for the host, or for curl.
        assert!(!outcome.status.success() || large.text() != "see the headers\n", "{flag}: {outcome:#?}");
        curl(&[flag, &service.url("/two-lengths")]).expect(200, "invalid-syntax\n");
        let own = curl(&[flag, &service.url("/own-names")]);
        own.expect(200, "see the headers\n");
        assert_eq!(own.head.matches("\ndate: ").count(), 1, "{}", own.head);
        assert_eq!(own.head.matches("\nx-request-id: ").count(), 1, "{}", own.head);
    }
    service.stop().expect_code(0);
}
