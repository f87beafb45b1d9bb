//! A fresh instance for each connection, as inetd has a fresh process.

use cord_tests::cord::Cord;
use cord_tests::http::{Answer, curl, raw, read_rest};
use cord_tests::process::Running;
use cord_tests::programs;
use cord_tests::published::{ask, connect};
use cord_tests::servers::Echo;
use cord_tests::services::Service;
use cord_tests::wait;
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

const ECHO: [&str; 4] = ["echo-inetd.wasm", "echo-inetd-p1.wasm", "echo-inetd-p3.wasm", "echo-inetd-c-p1.wasm"];

/// Sends `text` with `nc`, and tells what `nc` prints.
fn nc(address: SocketAddr, text: &str) -> String {
    let mut nc = Command::new("nc");
    nc.args(["-N", &address.ip().to_string(), &address.port().to_string()]);
    let mut nc = Running::start(nc.stdin(Stdio::piped()).stderr(Stdio::piped()));
    nc.write(text);
    nc.close_stdin();
    let outcome = nc.wait();
    outcome.expect_code(0);
    outcome.text()
}

/// Reads one line.
fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        let length = stream.read(&mut byte).unwrap_or_else(|error| panic!("{error} after {line:?}"));
        assert!(length == 1, "it ended after {:?}", String::from_utf8_lossy(&line));
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// What a client is told that is broken off.
#[track_caller]
fn expect_reset(stream: &mut TcpStream) {
    let mut rest = [0; 16];
    match stream.read(&mut rest) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("the connection was not reset: {other:?} {rest:?}"),
    }
}

#[test]
fn every_kind_of_guest_answers_nc() {
    programs::warm("upper-python.wasm");
    for guest in ECHO {
        let service = Service::per_connection(&[], guest, &[]);
        for text in ["hello\n", "", "no end of a line", "several\nlines\n"] {
            assert_eq!(nc(service.address(), text), text, "{guest}");
        }
        let outcome = service.stop();
        outcome.expect_silent_success().expect_stdout("");
    }
    let upper = Service::per_connection(&[], "upper-python.wasm", &[]);
    assert_eq!(nc(upper.address(), "one\ntwo\n"), "ONE\nTWO\n");
    let lines = Service::per_connection(&[], "count-lines.wasm", &[]);
    assert_eq!(nc(lines.address(), "a\nb\nc"), "3 lines, 5 bytes\n");
}

#[test]
fn a_dialogue_goes_line_by_line() {
    programs::warm("upper-python.wasm");
    let service = Service::per_connection(&[], "upper-python.wasm", &[]);
    let mut client = connect(service.address());
    for (said, answered) in [("first\n", "FIRST\n"), ("second\n", "SECOND\n")] {
        client.write_all(said.as_bytes()).unwrap();
        assert_eq!(line(&mut client), answered);
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_rest(&mut client), "");
    service.stop().expect_silent_success();
}

#[test]
fn a_megabyte_goes_through_both_ways_at_once() {
    let sent: Vec<u8> = (0..1 << 20_u32).map(|at: u32| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for guest in ECHO {
        let service = Service::per_connection(&[], guest, &[]);
        let client = connect(service.address());
        let received = std::thread::scope(|scope| {
            scope.spawn(|| {
                (&client).write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            (&client).read_to_end(&mut received).unwrap();
            received
        });
        assert!(received == sent, "{guest}: {} bytes came back", received.len());
        service.stop().expect_silent_success();
    }
}

#[test]
fn the_guests_end_closes_and_the_clients_end_is_the_end_of_its_input() {
    // The guest ends while the client could go on.
    let service = Service::per_connection(&[], "ucspi.wasm", &[]);
    let mut client = connect(service.address());
    assert!(read_rest(&mut client).contains("PROTO=TCP\n"));
    // The client ends one way and still hears the answer.
    let service = Service::per_connection(&[], "hold.wasm", &[]);
    let mut client = connect(service.address());
    assert_eq!(line(&mut client), "ready\n");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_rest(&mut client), "bye\n");
    service.stop().expect_silent_success();
}

#[test]
fn what_is_left_unread_costs_the_client_nothing_of_the_answer() {
    let service = Service::per_connection(&[], "ucspi.wasm", &[]);
    for _ in 0..20 {
        let mut client = connect(service.address());
        // Nobody reads it. A reset may cut it off, but not what the guest has said.
        let _ = client.write_all(&[b'x'; 4096]);
        let told = read_rest(&mut client);
        assert!(told.ends_with(&format!("TCPREMOTEPORT={}\n", client.local_addr().unwrap().port())), "{told}");
    }
}

#[test]
fn the_environment_tells_who_is_connected() {
    for publish in ["0:0", "[::1]:0:0"] {
        let flags = ["-e", "LEVEL=debug"];
        let service = Service::published(&[publish], &flags, "ucspi.wasm", &["one", "two"]);
        for _ in 0..2 {
            let mut client = connect(service.address());
            let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let told = read_rest(&mut client);
            let labels = told.lines().find_map(|line| line.strip_prefix("CORD_LABELS=")).unwrap_or_default();
            let expected = [
                "arg 1 one".to_owned(),
                "arg 2 two".to_owned(),
                format!("CORD_LABELS={labels}"),
                "LEVEL=debug".to_owned(),
                "PROTO=TCP".to_owned(),
                format!("TCPLOCALIP={}", there.ip()),
                format!("TCPLOCALPORT={}", there.port()),
                format!("TCPREMOTEIP={}", here.ip()),
                format!("TCPREMOTEPORT={}", here.port()),
            ];
            assert_eq!(told.lines().collect::<Vec<_>>(), expected);
            let labels: serde_json::Value = serde_json::from_str(labels).unwrap();
            let (ip, port) = (here.ip().to_string(), here.port().to_string());
            let known = [("transport", "tcp"), ("client_address", &ip), ("client_port", &port)];
            for (key, value) in known {
                assert_eq!(labels[key], value, "{labels}");
            }
        }
    }
}

#[test]
fn standard_error_goes_to_the_log_with_the_number_of_the_connection() {
    let service = Service::per_connection(&[], "noisy.wasm", &[]);
    for _ in 0..2 {
        assert_eq!(nc(service.address(), ""), "done\n");
    }
    let outcome = service.stop();
    outcome.expect_code(0).expect_stdout("");
    let is_plain = |character: char| character == '\n' || !character.is_control();
    assert!(outcome.stderr.chars().all(is_plain), "the guest's control characters are in the log");
    for id in [1, 2] {
        let begin = format!("cord: [{id}] ");
        let told: Vec<&str> = outcome.stderr.lines().filter_map(|line| line.strip_prefix(&begin)).collect();
        let numbered: Vec<String> = (1..=200).map(|number| format!("line {number}")).collect();
        assert_eq!(told[..200], numbered);
        let letters: usize = told.iter().filter(|line| line.starts_with("xx")).map(|line| line.len()).sum();
        assert_eq!(letters, 100_000);
        assert!(told.iter().all(|line| line.len() <= 8192), "a line is too long for a log");
        assert!(told.iter().any(|line| line.starts_with("no text: ")), "{told:?}");
        assert!(told.iter().any(|line| line.starts_with("control: ") && line.ends_with(" over")), "{told:?}");
        assert_eq!(told.last(), Some(&"no end"));
    }
    let others =
        outcome.stderr.lines().filter(|line| !line.starts_with("cord: [1] ") && !line.starts_with("cord: [2] "));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_trap_resets_its_connection_and_no_other() {
    for (guest, way) in
        [("trap-after.wasm", "unreachable"), ("trap-after.wasm", "abort"), ("trap-after-p1.wasm", "unreachable")]
    {
        let service = Service::per_connection(&[], guest, &[way]);
        let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(service.address())).collect();
        for client in &mut clients {
            // Those that come later have waited for this, undisturbed.
            client.write_all(b"last words\n").unwrap();
            assert_eq!(line(client), "last words\n", "{guest} {way}");
            expect_reset(client);
        }
        let outcome = service.stop();
        outcome.expect_code(0);
        for client in clients {
            let from = format!("] {}: ", client.local_addr().unwrap());
            let told = outcome.complaints();
            let about: Vec<_> = told.iter().filter_map(|line| line.split_once(&from)).collect();
            assert!(about[0].1.starts_with("the guest trapped: "), "{guest} {way}: {outcome:#?}");
            assert!(
                about[1..].iter().all(|(id, text)| *id == about[0].0 && text.starts_with("    at ")),
                "{outcome:#?}"
            );
            let calls = about.iter().filter(|(_, text)| text.ends_with("::fail_on_purpose")).count();
            assert_eq!(calls, 1, "{guest} {way}: {outcome:#?}");
        }
    }
}

#[test]
fn a_panic_tells_its_words_and_then_the_trap() {
    let service = Service::per_connection(&[], "trap-after.wasm", &["panic"]);
    let mut client = connect(service.address());
    client.write_all(b"\n").unwrap();
    assert_eq!(line(&mut client), "\n");
    expect_reset(&mut client);
    let outcome = service.stop();
    outcome.expect_code(0);
    let words = outcome.stderr.find("cord: [1] as was asked for");
    let trap = outcome.stderr.find(": the guest trapped: ");
    assert!(words.is_some() && words < trap, "{outcome:#?}");
}

#[test]
fn an_exit_code_is_told_and_the_connection_ends_in_peace() {
    let service = Service::per_connection(&[], "exit-with-p1.wasm", &[]);
    let mut expected = String::new();
    for (index, code) in [0, 3, 255, 0].into_iter().enumerate() {
        let mut client = connect(service.address());
        client.write_all(format!("{code}\n").as_bytes()).unwrap();
        let mut rest = Vec::new();
        assert_eq!(client.read_to_end(&mut rest).unwrap(), 0, "an end, and not a reset");
        if code != 0 {
            expected += &format!("cord: [{}] {}: exited with code {code}\n", index + 1, client.local_addr().unwrap());
        }
    }
    let outcome = service.stop();
    outcome.expect_code(0);
    assert_eq!(outcome.stderr, expected);
    // WASI 0.2 knows only success and failure.
    let service = Service::per_connection(&[], "exit-with.wasm", &[]);
    assert_eq!(ask(connect(service.address()), "3\n"), "");
    assert!(service.stop().expect_code(0).stderr.ends_with(": exited with code 1\n"));
}

#[test]
fn an_instance_has_no_longer_than_the_time_it_was_given() {
    for guest in ["hold.wasm", "spin.wasm", "echo-inetd-p1.wasm", "echo-inetd-p3.wasm", "spin-p1.wasm"] {
        let service = Service::per_connection(&["--timeout", "300ms"], guest, &[]);
        for id in [1, 2] {
            let mut client = connect(service.address());
            let mut rest = Vec::new();
            let ended = client.read_to_end(&mut rest);
            assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset), "{guest}");
            let name = format!("cord: [{id}] {}: ", client.local_addr().unwrap());
            service.wait_for_log(&format!("{name}the guest was ended: it ran longer than --timeout 300ms\n"));
        }
        service.stop().expect_code(0);
    }
    // One that has time is left alone.
    let service = Service::per_connection(&["--timeout", "1h"], "echo-inetd.wasm", &[]);
    assert_eq!(nc(service.address(), "in time\n"), "in time\n");
}

#[test]
fn guests_that_spin_do_not_hold_up_others() {
    let service = Service::per_connection(&[], "spin-or-echo.wasm", &[]);
    // More than there are workers.
    let mut spinning: Vec<TcpStream> = (0..8).map(|_| connect(service.address())).collect();
    for client in &mut spinning {
        client.write_all(b"spin\n").unwrap();
        assert_eq!(line(client), "spin\n");
    }
    for number in 0..20 {
        let text = format!("echo {number}\n");
        assert_eq!(ask(connect(service.address()), &text), text);
    }
}

#[test]
fn memory_is_bounded_for_each_instance() {
    let service = Service::per_connection(&["-m", "16m"], "grow.wasm", &[]);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| nc(service.address(), ""))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for answer in &answers {
        let grown = answer.strip_prefix("grew to ").and_then(|rest| rest.strip_suffix(" MiB\n"));
        let grown: u32 = grown.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
        assert!((10..16).contains(&grown), "{grown} MiB");
    }
    service.stop().expect_silent_success();
}

#[test]
fn a_signal_lets_what_is_under_way_finish() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::per_connection(&["--drain-time", "100s"], "hold.wasm", &[]);
        let address = service.address();
        let mut clients = [connect(address), connect(address)];
        for client in &mut clients {
            assert_eq!(line(client), "ready\n");
        }
        service.process().signal(signal);
        wait::until("nobody listens", || is_refused(address));
        for client in &mut clients {
            assert!(service.process().is_running());
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_rest(client), "bye\n");
        }
        // Those who only looked whether anybody listens have broken off.
        service.wait().expect_code(0);
    }
}

/// Whether nobody listens there. Who is accepted leaves at once.
#[expect(clippy::disallowed_methods, reason = "the far end of a test")]
fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn what_does_not_finish_in_time_is_broken_off() {
    for guest in ["spin-or-echo.wasm", "echo-inetd-p1.wasm", "echo-inetd-p3.wasm"] {
        let service = Service::per_connection(&["--drain-time", "200ms"], guest, &[]);
        let mut client = connect(service.address());
        client.write_all(b"spin\n").unwrap();
        assert_eq!(line(&mut client), "spin\n");
        service.stop().expect_code(143);
        assert_eq!(read_rest(&mut client), "", "{guest}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut service = Service::per_connection(&["--drain-time", "1h"], "hold.wasm", &[]);
    let mut client = connect(service.address());
    assert_eq!(line(&mut client), "ready\n");
    let address = service.address();
    service.process().signal(Signal::TERM);
    wait::until("nobody listens", || is_refused(address));
    service.stop().expect_code(143);
}

#[test]
fn without_connections_a_signal_ends_at_once() {
    let service = Service::per_connection(&["--drain-time", "1h"], "hold.wasm", &[]);
    service.stop().expect_silent_success();
}

#[test]
fn who_comes_when_all_instances_are_taken_waits() {
    let service = Service::per_connection(&["--max-instances", "1"], "hold.wasm", &[]);
    // Until its server is there, those who come first may be offered to it again after those who come later.
    assert_eq!(ask(connect(service.address()), ""), "ready\nbye\n");
    let mut clients: Vec<TcpStream> = (0..5).map(|_| connect(service.address())).collect();
    for index in 0..clients.len() {
        assert_eq!(line(&mut clients[index]), "ready\n");
        for waiting in &mut clients[index + 1..] {
            waiting.set_nonblocking(true).unwrap();
            let heard = waiting.read(&mut [0; 1]).map_err(|error| error.kind());
            assert_eq!(heard, Err(ErrorKind::WouldBlock), "two instances at once");
            waiting.set_nonblocking(false).unwrap();
        }
        clients[index].shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_rest(&mut clients[index]), "bye\n");
    }
    service.stop().expect_silent_success();
}

#[test]
fn two_connections_never_see_each_others_memory() {
    for guest in ["secret.wasm", "secret-p1.wasm"] {
        // One place: each instance lies where the one before it lay.
        let service = Service::per_connection(&["--max-instances", "1"], guest, &[]);
        for number in 0..20 {
            let secret = format!("the secret of client {number}");
            let answer = ask(connect(service.address()), &format!("{secret}\n"));
            assert_eq!(answer, format!("nothing found\nleft {} bytes\n", secret.len()), "{guest}");
        }
    }
}

#[test]
fn a_file_server_for_curl() {
    let folder = tempfile::tempdir().unwrap();
    let large = vec![b'l'; 3_000_000];
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, content) in [("index.html", &b"<p>index\n"[..]), ("a b.txt", b"text\n"), ("sub/large", &large)] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    std::fs::write(folder.path().join("sub/index.html"), "sub\n").unwrap();
    let volume = format!("{}:/www:ro", folder.path().display());
    let service = Service::per_connection(&["-v", &volume], "http10-files.wasm", &["/www"]);
    let url = |target: &str| format!("http://{}{target}", service.address());
    let get = |target: &str| -> Answer { curl(&["--path-as-is", &url(target)]) };
    assert_eq!(get("/").expect(200, "<p>index\n").field("content-type"), Some("text/html"));
    assert_eq!(get("/a%20b.txt?query").expect(200, "text\n").version, "1");
    get("/sub").expect(200, "sub\n");
    assert!(get("/sub/large").body == large);
    get("/nothing").expect(404, "404 Not Found\n");
    for outside in ["/../etc/passwd", "/sub/../../etc/passwd", "/%2e%2e/etc/passwd", "/sub/.."] {
        get(outside).expect(403, "403 Forbidden\n");
    }
    for bad in ["/%", "/%zz", "//etc/passwd", "/a%00b"] {
        get(bad).expect(400, "400 Bad Request\n");
    }
    let head = curl(&["--head", &url("/sub/large")]);
    assert_eq!(head.expect(200, "").field("content-length"), Some("3000000"));
    curl(&["--data", "x", &url("/")]).expect(501, "501 Not Implemented\n");
    for garbage in ["\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.0", "\0\x01\x02\n\n", "GET / HTTP/3.0\r\n\r\n"] {
        let answer = raw_and_end(service.address(), garbage.as_bytes());
        assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{garbage:?}: {answer}");
    }
    let too_much = raw(service.address(), vec![b'x'; 100_000]);
    assert!(too_much.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{too_much}");
    service.stop().expect_silent_success();
}

fn raw_and_end(address: SocketAddr, bytes: &[u8]) -> String {
    let mut client = connect(address);
    client.write_all(bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    read_rest(&mut client)
}

#[test]
fn clients_that_break_off_leave_nothing_behind() {
    for guest in ["hold.wasm", "echo-inetd-p1.wasm", "echo-inetd-p3.wasm"] {
        let service = Service::per_connection(&["--max-instances", "4"], guest, &[]);
        let serve_one = || {
            let mut client = connect(service.address());
            client.shutdown(Shutdown::Write).unwrap();
            let _ = read_rest(&mut client);
        };
        serve_one();
        service.must_leave_nothing_behind(|| {
            for _ in 0..100 {
                let client = connect(service.address());
                // It may be gone already.
                let _ = (&client).write_all(b"unread");
                rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            }
            // More than there are places: all of them are free again.
            for _ in 0..8 {
                serve_one();
            }
        });
        service.stop().expect_code(0);
    }
}

#[test]
fn clients_that_never_read_do_not_hold_up_others() {
    let service = Service::per_connection(&[], "echo-inetd.wasm", &[]);
    let stuck: Vec<TcpStream> = (0..8)
        .map(|_| {
            let client = connect(service.address());
            client.set_nonblocking(true).unwrap();
            // Until both ways are full.
            while (&client).write(&[b'x'; 64 * 1024]).is_ok() {}
            client
        })
        .collect();
    for number in 0..20 {
        let text = format!("{number}\n");
        assert_eq!(ask(connect(service.address()), &text), text);
    }
    drop(stuck);
    assert_eq!(ask(connect(service.address()), "after\n"), "after\n");
}

#[test]
fn several_addresses_are_served() {
    let service = Service::published(&["127.0.0.1:0:0", "[::1]:0:0", "0:0/tcp"], &[], "echo-inetd.wasm", &[]);
    assert_eq!(service.addresses().len(), 3);
    for address in service.addresses() {
        assert_eq!(nc(*address, "hello\n"), "hello\n");
    }
    assert!(service.addresses()[1].is_ipv6());
    service.stop().expect_silent_success();
}

#[test]
fn an_instance_may_connect_where_it_was_granted() {
    let echo = Echo::start();
    let arguments = [&*echo.host(), &*echo.port(), "--text", "there and back", "--half-close", "--quiet"];
    let service = Service::per_connection(&["-c", &echo.target()], "dial.wasm", &arguments);
    for _ in 0..3 {
        assert_eq!(nc(service.address(), ""), "there and back\n");
    }
    service.stop().expect_silent_success();
    let denied = Service::per_connection(&["-c", "127.0.0.1:1"], "dial.wasm", &arguments);
    assert_eq!(nc(denied.address(), ""), "");
    let outcome = denied.stop();
    let hint = format!("connect to {} denied: no grant covers it (allow with --connect {0})", echo.target());
    assert!(outcome.expect_code(0).complaints().contains(&&*hint), "{outcome:#?}");
}

#[test]
fn flags_that_make_no_sense_together_are_told() {
    let guest = programs::guest("echo-inetd.wasm");
    let run = |flags: &[&str]| Cord::new(["run"]).arguments(flags).arguments([&guest]).run();
    for (flags, word) in [
        (&["-p", "8080:0"][..], "--per-connection"),
        (&["--per-connection"], "--publish"),
        (&["--per-connection", "-p", "8080:80"], "127.0.0.1:8080:0"),
        (&["--per-connection", "-p", "0:0/udp"], "udp"),
        (&["--per-connection", "-p", "0:0", "-p", "0:80"], "no instance listens"),
        (&["--per-connection", "-p", "0:0", "--max-instances", "0"], "--max-instances"),
        (&["--per-connection", "-p", "0:0", "--listen-fds"], "--listen-fds"),
        (&["--per-connection", "-p", "0:0", "--drain-time", "soon"], "--drain-time"),
    ] {
        let outcome = run(flags);
        outcome.expect_code(125).expect_stdout("");
        assert!(outcome.stderr.contains(word), "{flags:?}: {outcome:#?}");
        assert!(!outcome.stderr.contains("panicked"), "{flags:?}: {outcome:#?}");
    }
}

#[test]
fn a_guest_that_cannot_be_run_is_told_before_anybody_connects() {
    let serve =
        |file: &str| Cord::new(["run", "--per-connection", "-p", "0:0"]).arguments([programs::guest(file)]).run();
    serve("http-hello-p3.wasm").expect_complaint(126);
    let missing = Cord::new(["run", "--per-connection", "-p", "0:0", "/nowhere/at/all.wasm"]).run();
    assert!(missing.expect_complaint(127).contains("/nowhere/at/all.wasm"));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let service = Service::per_connection(&[], "echo-inetd.wasm", &[]);
    let publish = format!("{}:0", service.address().port());
    let second = Cord::new(["run", "--per-connection", "-p", &publish]).arguments([programs::guest("hold.wasm")]).run();
    assert!(second.expect_complaint(125).contains(&service.address().to_string()), "{second:#?}");
}
