//! Guests that take from their host whatever they can get: each meets a limit and is told so, its host's memory stays
//! within a bound, and everybody else is served meanwhile. `docs/limits.md` has the limits.

use cord_tests::cord::Cord;
use cord_tests::http::{curl, read_rest, try_curl};
use cord_tests::process::{computed, peak_bytes};
use cord_tests::published::{ask, connect};
use cord_tests::servers::{LOOPBACK, Listener};
use cord_tests::services::Service;
use cord_tests::wait;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// Guests of WASI 0.2, 0.3 and preview 1 that do the same.
const GUESTS: [&str; 3] = ["hostile.wasm", "hostile-p3.wasm", "hostile-p1.wasm"];
/// How often each does it.
const TIMES: usize = 3;

/// How many threads run guests. Each keeps memory that a guest gave back, for the next one.
fn workers() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(TIMES) as u64)
}

/// What becomes of a hostile guest.
enum Told {
    /// It is refused, and tells so.
    Answer(&'static str),
    /// It is ended, and the log has this.
    Ended(&'static str),
}

/// A connection that has sent the words that say what to do.
fn say(service: &Service, words: &str) -> TcpStream {
    let mut stream = connect(service.address());
    stream.write_all(format!("{words}\n").as_bytes()).unwrap();
    stream
}

/// All that a guest answers until its connection ends or is broken off.
fn answer(service: &Service, words: &str) -> String {
    let mut stream = say(service, words);
    // A guest that is gone already has broken off.
    let _ = stream.shutdown(Shutdown::Write);
    read_rest(&mut stream)
}

/// A guest that does no harm is served as ever.
#[track_caller]
fn expect_service(service: &Service) {
    assert_eq!(ask(connect(service.address()), "hello somebody\n"), "somebody\n");
}

/// Does `work`, and has guests that do no harm served meanwhile.
fn beside_others<T: Send>(service: &Service, work: impl FnOnce() -> T + Send) -> T {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let work = scope.spawn(|| {
            let _end = SetAtEnd(&is_over);
            work()
        });
        let mut served = 0;
        while served < 20 || !is_over.load(Ordering::Relaxed) {
            expect_service(service);
            served += 1;
        }
        work.join().unwrap()
    })
}

/// Also if the work fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How much the peak of a runner's memory grew while `work` was done beside guests that do no harm.
fn cost(service: &Service, work: impl FnOnce() + Send) -> u64 {
    // First what is made once and kept.
    (0..8).for_each(|_| expect_service(service));
    let [runner, _] = service.processes();
    let before = peak_bytes(runner);
    beside_others(service, work);
    peak_bytes(runner) - before
}

/// A guest does what the words say, again and again: it is told so each time, and costs its host at most so much memory for
/// each worker.
#[track_caller]
fn check(flags: &[&str], guest: &str, words: &str, told: &Told, mebibytes: u64) {
    let flags = [&["-m", "64m"], flags].concat();
    let service = Service::per_connection(&flags, guest, &[]);
    let grown = cost(&service, || {
        for _ in 0..TIMES {
            let answered = answer(&service, words);
            match told {
                Told::Answer(expected) => assert_eq!(answered, format!("{expected}\n"), "{guest} {words}"),
                Told::Ended(_) => assert_eq!(answered, "", "{guest} {words}"),
            }
        }
    });
    assert!(grown < workers() * mebibytes * MIB, "{guest} {words}: {grown} bytes");
    if let Told::Ended(cause) = told {
        wait::until(cause, || service.log().matches(&format!(": the guest trapped: {cause}\n")).count() == TIMES);
    }
    service.stop().expect_code(0);
}

const RESOURCES: Told = Told::Ended("limit reached: 32768 resources at once");
const HANDLES: Told = Told::Ended("limit reached: 65536 handles at once");
const HTTP: Told = Told::Ended("limit reached: 134217728 bytes of header fields and requests at once");
const RANDOM: Told = Told::Ended("limit reached: 4194304 random bytes in one call");

#[test]
fn all_memory() {
    for guest in GUESTS {
        // The words are Rust's, after the answer of WebAssembly that there is no more.
        check(&[], guest, "memory", &Told::Ended("wasm trap: wasm `unreachable` instruction executed"), 72);
    }
}

#[test]
fn all_of_the_stack() {
    for guest in GUESTS {
        check(&[], guest, "recursion", &Told::Ended("wasm trap: call stack exhausted"), 8);
    }
}

#[test]
fn all_tables() {
    // A million entries in steps of 200,000. A pool has less room.
    Cord::run_guest(&[], "tables.wat", &[]).run().expect_code(5);
    let service = Service::per_connection(&[], "tables.wat", &[]);
    let [runner, _] = service.processes();
    assert_eq!(answer(&service, ""), "");
    let before = peak_bytes(runner);
    (0..100).for_each(|_| assert_eq!(answer(&service, ""), ""));
    assert!(peak_bytes(runner) - before < 8 * MIB);
    service.stop().expect_code(0);
}

#[test]
fn all_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let volume = format!("{}:/data:ro", folder.path().display());
    // ENOMEM, because components have no code for "too many files", and EMFILE.
    for (guest, code) in GUESTS.into_iter().zip(["48", "48", "33"]) {
        let outcome = Cord::run_guest(&["-v", &volume], guest, &["files", "/data/file"]).run();
        outcome.expect_silent_success().expect_stdout(&format!("1024 files, then Some({code})\n"));
        let outcome = Cord::run_guest(&["-v", &volume], guest, &["closed-files", "/data/file", "5000"]).run();
        outcome.expect_silent_success().expect_stdout("done\n");
    }
    let outcome = Cord::run_guest(&["-v", &volume], "hostile-p1.wasm", &["renumber", "/data/file", "5000"]).run();
    outcome.expect_silent_success().expect_stdout("done\n");
}

#[test]
fn many_guests_that_open_files_leave_some_to_others() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let volume = format!("{}:/data:ro", folder.path().display());
    for guest in GUESTS {
        // So few descriptors that two guests could use them up: half of them are for guests.
        let cord =
            Cord::new(["run", "--per-connection", "-p", "0:0", "-v", &volume]).wrapped(["prlimit", "--nofile=1500"]);
        let service = Service::of(cord, guest);
        let hoarders: Vec<TcpStream> = (0..8).map(|_| say(&service, "files /data/file")).collect();
        for mut hoarder in hoarders {
            let told = read_rest(&mut hoarder);
            let files = told.split_once(" files, then Some(").unwrap_or_else(|| panic!("{guest}: {told}")).0;
            let files: u32 = files.parse().unwrap();
            assert!((1..=375).contains(&files), "{guest}: {files}");
            expect_service(&service);
        }
        service.stop().expect_silent_success();
    }
}

#[test]
fn all_folders_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        std::fs::write(folder.path().join(format!("a file of an ordinary name {number}")), "").unwrap();
    }
    let volume = format!("{}:/data:ro", folder.path().display());
    let told = Told::Answer("64 listings, then insufficient-memory");
    check(&["-v", &volume], "hostile.wasm", "listings /data", &told, 40);
    let told = Told::Answer("64 listings, then Err(ErrorCode::InsufficientMemory)");
    check(&["-v", &volume], "hostile-p3.wasm", "listings /data", &told, 16);
}

#[test]
fn all_pollables() {
    check(&[], "hostile.wasm", "pollables", &RESOURCES, 16);
}

#[test]
fn a_list_of_a_million_pollables() {
    check(&[], "hostile.wasm", "poll 1000000", &HANDLES, 32);
    check(&[], "hostile-p1.wasm", "poll 500000", &Told::Answer("INVAL"), 64);
    // What is needed works.
    for guest in ["hostile.wasm", "hostile-p1.wasm"] {
        let outcome = Cord::run_guest(&[], guest, &["poll", "10000"]).run();
        outcome.expect_silent_success().expect_stdout("10000 ready\n");
    }
}

#[test]
fn all_streams_futures_and_tasks() {
    check(&[], "hostile-p3.wasm", "streams", &HANDLES, 40);
    check(&[], "hostile-p3.wasm", "futures", &HANDLES, 40);
    check(&[], "hostile-p3.wasm", "tasks", &HANDLES, 96);
    check(&[], "hostile-p3.wasm", "writes", &HANDLES, 72);
}

#[test]
fn all_header_fields_and_requests() {
    for guest in ["hostile.wasm", "hostile-p3.wasm"] {
        check(&[], guest, "fields", &HTTP, 160);
        check(&[], guest, "methods", &HTTP, 160);
    }
    check(&[], "hostile.wasm", "bodies", &HTTP, 160);
}

#[test]
fn one_set_of_header_fields_without_an_end() {
    let told = Told::Ended("limit reached: 131072 bytes in one set of header fields");
    check(&[], "hostile.wasm", "field", &told, 8);
    check(&[], "hostile-p3.wasm", "field", &Told::Answer("then Some(HeaderError::SizeExceeded)"), 8);
}

#[test]
fn an_argument_of_many_megabytes() {
    let told = Told::Ended("limit reached: 16777216 bytes in one call");
    check(&[], "hostile.wasm", "argument 33554432", &told, 48);
}

#[test]
fn gigabytes_of_random_bytes() {
    check(&[], "hostile.wasm", "random 4294967296", &RANDOM, 8);
    check(&[], "hostile-p1.wasm", "random 4294967295", &RANDOM, 8);
    // There it is a wish, and as many come as may be.
    check(&[], "hostile-p3.wasm", "random 4294967296", &Told::Answer("4194304 bytes"), 24);
}

#[test]
fn datagrams_and_streams_that_nobody_reads() {
    check(&[], "hostile.wasm", "datagrams", &Told::Answer("4095 times"), 72);
    check(&[], "hostile.wasm", "unsent", &Told::Answer("2047 times"), 96);
}

#[test]
fn requests_whose_answers_nobody_awaits() {
    // It lets them in and says nothing.
    let silent = Listener::at(LOOPBACK).with_backlog(4096);
    let target = silent.address().to_string();
    let told = Told::Answer("1024 requests, then ErrorCode::ConnectionLimitReached");
    check(&["-c", &target], "hostile.wasm", &format!("requests {target}"), &told, 48);
}

#[test]
fn what_is_made_and_given_back_leaves_nothing() {
    for guest in ["hostile.wasm", "hostile-p3.wasm"] {
        check(&[], guest, "churn 50000", &Told::Answer("done"), 8);
    }
}

#[test]
fn the_limit_is_told_by_cord_run_with_its_exit_code() {
    let calls = |outcome: &str| outcome.lines().next().unwrap_or_default().to_owned();
    for (guest, words, told) in [
        ("hostile.wasm", &["pollables"][..], "32768 resources at once"),
        ("hostile-p3.wasm", &["streams"], "65536 handles at once"),
        ("hostile-p1.wasm", &["random", "4294967295"], "4194304 random bytes in one call"),
    ] {
        let outcome = Cord::run_guest(&[], guest, words).run();
        outcome.expect_code(134).expect_stdout("");
        assert_eq!(calls(&outcome.stderr), format!("cord: the guest trapped: limit reached: {told}"));
    }
}

#[test]
fn who_computes_for_ever_starves_nobody() {
    const REQUESTS: u32 = 50;
    for guest in GUESTS {
        let service = Service::per_connection(&[], guest, &[]);
        let spinners = ["spin", "spin", "spin", if guest == "hostile.wasm" { "spin" } else { "yield" }];
        let _spinning: Vec<TcpStream> = spinners.iter().map(|words| say(&service, words)).collect();
        let [runner, _] = service.processes();
        wait::until("they compute", || computed(runner) > Duration::from_millis(500));
        let before = computed(runner);
        (0..REQUESTS).for_each(|_| expect_service(&service));
        let meanwhile = computed(runner) - before;
        assert!(meanwhile > Duration::ZERO, "they compute still");
        // Each turn is 10 ms. Before the event loop looked at sockets after each round of turns, a client waited for 60.
        assert!(meanwhile < REQUESTS * 40 * Duration::from_millis(10), "{guest}: {meanwhile:?} for {REQUESTS} clients");
    }
}

#[test]
fn a_page_that_computes_for_ever_starves_no_other() {
    for (guest, pages) in [("hostile-site.wasm", &["/spin", "/nap", "/spin"][..]), ("http-site-p3.wasm", &["/spin"; 3])]
    {
        let service = Service::http(&["--timeout", "1h"], guest, &[]);
        let _spinning: Vec<TcpStream> = pages
            .iter()
            .map(|page| {
                let mut stream = connect(service.address());
                write!(stream, "GET {page} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let [runner, _] = service.processes();
        wait::until("they compute", || computed(runner) > Duration::from_millis(500));
        (0..50).for_each(|_| assert_eq!(curl(&[&service.url("/")]).status, 200));
    }
}

/// What a process computes while a second or two go by, in cores.
fn cores(runner: u32, mut meanwhile: impl FnMut()) -> f64 {
    let (began, before) = (now(), computed(runner));
    while began.elapsed() < Duration::from_secs(2) {
        meanwhile();
    }
    (computed(runner) - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "what was computed is compared with the time it took")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn half_a_core_is_half_a_core_however_a_guest_is_run() {
    let half = &["--cpus", "0.5"];
    for guest in GUESTS {
        let alone = Cord::run_guest(half, guest, &["spin"]).start();
        wait::until("it computes", || computed(alone.pid()) > Duration::from_millis(200));
        let used = cores(alone.pid(), wait::moment);
        assert!((0.1..0.75).contains(&used), "{guest}: {used}");
        drop(alone);

        let service = Service::per_connection(half, guest, &[]);
        let _spinning: Vec<TcpStream> = (0..3).map(|_| say(&service, "spin")).collect();
        let [runner, _] = service.processes();
        wait::until("they compute", || computed(runner) > Duration::from_millis(200));
        let used = cores(runner, || expect_service(&service));
        assert!((0.1..0.75).contains(&used), "{guest}: {used}");
    }
    for guest in ["hostile-site.wasm", "http-site-p3.wasm"] {
        let service = Service::http(half, guest, &[]);
        let _spinning: Vec<TcpStream> = (0..3)
            .map(|_| {
                let mut stream = connect(service.address());
                write!(stream, "GET /spin HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let [runner, _] = service.processes();
        wait::until("they compute", || computed(runner) > Duration::from_millis(200));
        let used = cores(runner, || assert_eq!(curl(&[&service.url("/")]).status, 200));
        assert!((0.1..0.75).contains(&used), "{guest}: {used}");
    }
}

#[test]
fn who_may_compute_less_computes_less() {
    for guest in GUESTS {
        let all = Cord::run_guest(&[], guest, &["spin"]).start();
        let few = Cord::run_guest(&["--cpus", "0.1"], guest, &["spin"]).start();
        wait::until("they compute", || computed(few.pid()) > Duration::from_millis(100));
        let (all_before, few_before) = (computed(all.pid()), computed(few.pid()));
        wait::until("the other one did much", || computed(all.pid()) - all_before > Duration::from_secs(1));
        let few_did = computed(few.pid()) - few_before;
        assert!(few_did < Duration::from_millis(500), "{guest}: {few_did:?} beside a second");
    }
}

#[test]
fn a_share_that_is_enough_takes_nothing_away() {
    let outcome = Cord::run_guest(&["--cpus", "64"], "hostile.wasm", &["compute", "50"]).run();
    let expected = Cord::run_guest(&[], "hostile.wasm", &["compute", "50"]).run();
    outcome.expect_silent_success().expect_stdout(&expected.text());
}

#[test]
fn who_prints_for_ever_fills_no_disk() {
    const RATE: usize = 64 * 1024;
    for guest in GUESTS {
        for words in ["print stderr", "line stderr"] {
            let service = Service::per_connection(&["--log-rate", "64k"], guest, &[]);
            expect_service(&service);
            let [runner, _] = service.processes();
            let (began, before) = (now(), peak_bytes(runner));
            let _printing: Vec<TcpStream> = (0..2).map(|_| say(&service, words)).collect();
            service.wait_for_log(" that the guest printed were dropped: more than --log-rate lets by\n");
            beside_others(&service, || wait::until("a second time", || service.log().matches("dropped").count() > 1));
            let log = service.log();
            // Four seconds' worth at once, and one that had come in before the last look.
            let most = RATE * (5 + usize::try_from(began.elapsed().as_secs()).unwrap());
            assert!(log.len() < most + 8 * 1024, "{guest} {words}: {} bytes", log.len());
            assert!(log.lines().all(|line| line.len() < 5000), "{guest} {words}");
            assert!(peak_bytes(runner) - before < 24 * MIB, "{guest} {words}");
        }
    }
}

#[test]
fn who_prints_for_ever_to_a_reader_that_does_not_read_is_not_kept() {
    for guest in GUESTS {
        let service = Service::per_connection(&[], guest, &[]);
        let printing = say(&service, "print stdout");
        let grown = cost(&service, || wait::until("something came", || printing.peek(&mut [0]).unwrap() > 0));
        assert!(grown < 16 * MIB, "{guest}: {grown}");
    }
}

#[test]
fn hostile_pages() {
    let service = Service::http(&["-m", "64m", "--timeout", "2s", "--log-rate", "64k"], "hostile-site.wasm", &[]);
    let good = || {
        curl(&[&service.url("/")]).expect(200, "good\n");
    };
    (0..8).for_each(|_| good());
    let [runner, _] = service.processes();
    let before = peak_bytes(runner);
    let good_ones = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                good();
                good_ones.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _end = SetAtEnd(&is_over);
        for (page, status, told) in [
            ("/spin", 504, "the guest was ended: no answer within --timeout 2s"),
            ("/nap", 504, "the guest was ended: no answer within --timeout 2s"),
            ("/print", 504, "were dropped: more than --log-rate lets by"),
            ("/memory", 500, "it had asked for "),
            ("/pollables", 500, "the guest trapped: limit reached: 32768 resources at once"),
            ("/headers", 500, "the guest trapped: limit reached: 131072 bytes in one set of header fields"),
            ("/error", 500, "the guest answered with an error: ErrorCode::InternalError(Some(\"\\u{1b}[2J\\u{1b}[2J"),
        ] {
            let answers: Vec<_> = (0..2).map(|_| try_curl(&[&service.url(page)]).1).collect();
            for answer in answers {
                answer.expect_nothing_of_the_inside(status);
            }
            service.wait_for_log(told);
        }
        // The answer has begun, so it can only break off.
        for (page, told, statuses) in [
            // Its head may not be out yet.
            ("/trailers", "limit reached: 131072 bytes in one set of header fields", &[0, 200][..]),
            ("/spin-in-the-middle", "its answer did not go on within --timeout 2s", &[200]),
        ] {
            let (outcome, answer) = try_curl(&[&service.url(page)]);
            assert!(!outcome.status.success() && statuses.contains(&answer.status), "{page}: {}", answer.status);
            service.wait_for_log(told);
        }
        // Never read, and read for a while.
        let unread: Vec<TcpStream> = (0..4)
            .map(|_| {
                let mut stream = connect(service.address());
                write!(stream, "GET /body HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let mut read = vec![0; 4 << 20];
        (&unread[0]).read_exact(&mut read).unwrap();
        let count = good_ones.load(Ordering::Relaxed);
        wait::until("others are served meanwhile", || good_ones.load(Ordering::Relaxed) > count + 20);
    });
    let grown = peak_bytes(runner) - before;
    assert!(grown < workers() * 240 * MIB, "{grown} bytes");
    assert!(good_ones.into_inner() > 50);
    let log = service.log();
    assert!(!log.contains('\u{1b}') && log.lines().all(|line| line.len() < 8 * 1024), "{log}");
}
