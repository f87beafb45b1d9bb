//! The flags of `cord run`, its exit codes, and which kinds of guest it runs.

use cord_tests::cord::Cord;
use cord_tests::process::Outcome;
use cord_tests::programs;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

fn volume(folder: &Path, rest: &str) -> String {
    format!("{}:{rest}", folder.display())
}

#[test]
fn every_kind_of_guest_says_hello() {
    for guest in ["hello.wasm", "hello-p1.wasm", "hello-p3.wasm", "hello-c-p1.wasm", "hello-p0.wat", "hello-p1.wat"] {
        Cord::run_guest(&[], guest, &[]).run().expect_silent_success().expect_stdout("hello\n");
    }
}

#[test]
fn a_component_may_be_text_and_its_result_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for (result, code) in [("0", 0), ("1", 1)] {
        let guest = folder.path().join(format!("returns-{result}.wat"));
        let text = format!(
            "(component
               (core module $code (func (export \"run\") (result i32) (i32.const {result})))
               (core instance $instance (instantiate $code))
               (func $run (result (result)) (canon lift (core func $instance \"run\")))
               (instance $exported (export \"run\" (func $run)))
               (export \"wasi:cli/run@0.2.0\" (instance $exported)))"
        );
        fs::write(&guest, text).unwrap();
        let outcome = Cord::new(["run"]).arguments([&guest]).run();
        outcome.expect_code(code).expect_stdout("");
        assert_eq!(outcome.stderr, "", "{outcome:#?}");
    }
}

#[test]
fn the_exit_code_is_the_guests() {
    for (guest, typed, code) in [
        ("exit.wasm", "0", 0),
        ("exit.wasm", "1", 1),
        ("exit-p1.wasm", "0", 0),
        ("exit-p1.wasm", "1", 1),
        ("exit-p1.wasm", "3", 3),
        ("exit-p1.wasm", "126", 126),
        ("exit-p1.wasm", "255", 255),
    ] {
        let outcome = Cord::run_guest(&[], guest, &[typed]).run();
        outcome.expect_code(code).expect_stdout("");
        assert_eq!(outcome.stderr, "", "{guest} {typed}: {outcome:#?}");
    }
    // WASI 0.2 knows only success and failure.
    Cord::run_guest(&[], "exit.wasm", &["3"]).run().expect_code(1);
}

#[test]
fn a_trap_is_134_and_one_line_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let guest = folder.path().join("trap.wat");
    fs::write(&guest, "(module (memory (export \"memory\") 1) (func $boom (export \"_start\") unreachable))").unwrap();
    let outcome = Cord::new(["run"]).arguments([&guest]).run();
    expect_trap(&outcome, "unreachable");
    let deep = "(module (memory (export \"memory\") 1) (func $deep (export \"_start\") (call $deep)))";
    fs::write(&guest, deep).unwrap();
    let outcome = Cord::new(["run"]).arguments([&guest]).run();
    expect_trap(&outcome, "stack");
}

/// One line of ours, and behind it nothing but the names of functions.
fn expect_trap(outcome: &Outcome, why: &str) {
    outcome.expect_code(134).expect_stdout("");
    let mut lines = outcome.stderr.lines();
    let first = lines.next().and_then(|line| line.strip_prefix("cord: the guest trapped: "));
    assert!(first.is_some_and(|reason| reason.contains(why)), "{outcome:#?}");
    assert!(lines.all(|line| line.starts_with("    at ")), "{outcome:#?}");
}

#[test]
fn arguments_reach_the_guest_untouched() {
    let arguments = ["-c", "--connect", "-x", "--", "-v", "two words", "", "ü", "*", "$HOME", "--help"];
    for guest in ["env.wasm", "env-p1.wasm"] {
        let outcome = Cord::run_guest(&[], guest, &arguments).run();
        outcome.expect_silent_success();
        let seen: Vec<String> = arguments.iter().enumerate().map(|(at, text)| format!("arg {at} {text}")).collect();
        let text = outcome.text();
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with("arg ")).collect();
        assert_eq!(told, seen, "{guest}");
    }
}

#[test]
fn the_environment_is_what_was_typed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("env");
    fs::write(&file, "# a comment\n\nFROM_FILE=one two\nBOTH=file\nPASSED\n").unwrap();
    let file = file.display().to_string();
    let flags = ["--env-file", &file, "-e", "BOTH=flag", "-e", "EMPTY=", "-e", "EQUALS=a=b", "-e", "UNSET_HERE"];
    for guest in ["env.wasm", "env-p1.wasm"] {
        let outcome = Cord::run_guest(&flags, guest, &[]).env("PASSED", "on").env("SECRET", "kept").run();
        outcome.expect_silent_success();
        let text = outcome.text();
        let seen: Vec<&str> = text.lines().filter(|line| line.starts_with("env ")).collect();
        let expected = ["env BOTH=flag", "env EMPTY=", "env EQUALS=a=b", "env FROM_FILE=one two", "env PASSED=on"];
        assert_eq!(seen, expected, "{guest}");
    }
}

#[test]
fn a_volume_can_be_read_and_written() {
    for guest in ["env.wasm", "env-p1.wasm"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("given"), "from outside").unwrap();
        let flags = ["-v", &volume(folder.path(), "/data")];
        let actions = [
            "@read",
            "/data/given",
            "@write",
            "/data/made",
            "from inside",
            "@read",
            "/data/made",
            "@list",
            "/data",
            "@rename",
            "/data/made",
            "/data/moved",
            "@remove",
            "/data/given",
        ];
        let outcome = Cord::run_guest(&flags, guest, &actions).run();
        outcome.expect_silent_success();
        let text = outcome.text();
        for answer in ["read ok from outside", "write ok", "read ok from inside", "list ok given made", "rename ok"] {
            assert!(text.contains(answer), "{guest}: {answer:?} is not in {text}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), "from inside", "{guest}");
        assert!(!folder.path().join("given").exists(), "{guest}");
    }
}

#[test]
fn a_read_only_volume_cannot_be_changed() {
    for guest in ["env.wasm", "env-p1.wasm"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("given"), "from outside").unwrap();
        let flags = ["-v", &volume(folder.path(), "/data:ro")];
        let actions = [
            "@read",
            "/data/given",
            "@write",
            "/data/given",
            "x",
            "@write",
            "/data/new",
            "x",
            "@remove",
            "/data/given",
            "@rename",
            "/data/given",
            "/data/moved",
            "@link",
            "/data/given",
            "/data/linked",
        ];
        let outcome = Cord::run_guest(&flags, guest, &actions).run();
        outcome.expect_code(1);
        let text = outcome.text();
        assert!(text.contains("read ok from outside"), "{guest}: {text}");
        for action in ["write", "remove", "rename", "link"] {
            assert!(text.contains(&format!("{action} failed")), "{guest}: {text}");
            assert!(!text.contains(&format!("{action} ok")), "{guest}: {text}");
        }
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["given"], "{guest}");
        assert_eq!(fs::read_to_string(folder.path().join("given")).unwrap(), "from outside", "{guest}");
    }
}

#[test]
fn nothing_outside_of_the_volumes_can_be_seen() {
    for guest in ["env.wasm", "env-p1.wasm"] {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(folder.path().join("secret"), "s3cret").unwrap();
        symlink(folder.path().join("secret"), inside.join("absolute")).unwrap();
        symlink("../secret", inside.join("relative")).unwrap();
        let flags = ["-v", &volume(&inside, "/data")];
        for path in ["/data/../secret", "/data/absolute", "/data/relative", "/etc/passwd", "../secret"] {
            let outcome = Cord::run_guest(&flags, guest, &["@read", path]).run();
            outcome.expect_code(1);
            assert!(outcome.text().contains("read failed"), "{guest} {path}: {outcome:#?}");
            assert!(!outcome.text().contains("s3cret"), "{guest} {path}: {outcome:#?}");
        }
        let nothing = Cord::run_guest(&[], guest, &["@list", "/"]).run();
        nothing.expect_code(1);
    }
}

#[test]
fn the_working_folder_is_where_relative_paths_begin() {
    for guest in ["env.wasm", "env-p1.wasm"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/file"), "found").unwrap();
        let flags = ["-v", &volume(folder.path(), "/data"), "-w", "/data/below"];
        let outcome = Cord::run_guest(&flags, guest, &["@read", "file", "@write", "new", "text"]).run();
        outcome.expect_silent_success();
        assert!(outcome.text().contains("read ok found"), "{guest}: {outcome:#?}");
        assert_eq!(fs::read_to_string(folder.path().join("below/new")).unwrap(), "text", "{guest}");
    }
}

#[test]
fn memory_ends_where_the_flag_says() {
    for guest in ["grow.wasm", "grow-p1.wasm"] {
        let grown = |flags: &[&str]| -> u64 {
            let outcome = Cord::run_guest(flags, guest, &[]).run();
            outcome.expect_silent_success();
            let text = outcome.text();
            let number = text.strip_prefix("grew to ").and_then(|rest| rest.strip_suffix(" MiB\n"));
            number.unwrap_or_else(|| panic!("{guest}: {outcome:#?}")).parse().unwrap()
        };
        let (small, large) = (grown(&["-m", "16m"]), grown(&["--memory", "64m"]));
        assert!((8..16).contains(&small), "{guest}: {small}");
        assert!((48..64).contains(&large), "{guest}: {large}");
    }
}

#[test]
fn a_guest_that_never_ends_is_ended() {
    for guest in ["spin.wasm", "spin-p1.wasm"] {
        let outcome = Cord::run_guest(&["--timeout", "300ms"], guest, &[]).run();
        let line = outcome.expect_complaint(134);
        assert!(line.contains("--timeout 300ms"), "{guest}: {line}");
    }
    // Also one that waits for something.
    let waiting = Cord::run_guest(&["--timeout", "300ms"], "stdin-echo.wasm", &[]).piped_stdin().start();
    wait_with_open_input(waiting);
    // And not one that has time.
    Cord::run_guest(&["--timeout", "1h"], "hello.wasm", &[]).run().expect_silent_success();
}

fn wait_with_open_input(mut running: cord_tests::process::Running) {
    let stdin = running.take_stdin();
    let outcome = running.wait();
    drop(stdin);
    assert!(outcome.expect_complaint(134).contains("--timeout"), "{outcome:#?}");
}

#[test]
fn standard_input_and_output_pass_every_byte() {
    let bytes: Vec<u8> = (0..10_000_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for guest in ["stdin-echo.wasm", "stdin-echo-p1.wasm"] {
        let mut running = Cord::run_guest(&[], guest, &[]).piped_stdin().start();
        let mut stdin = running.take_stdin();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                stdin.write_all(&bytes).unwrap();
                drop(stdin);
            });
            running.wait()
        });
        outcome.expect_silent_success();
        assert!(outcome.stdout == bytes, "{guest}: {} bytes came back", outcome.stdout.len());
    }
    // From a file, which no event loop can wait for.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, &bytes).unwrap();
    let outcome = Cord::run_guest(&[], "stdin-echo.wasm", &[]).stdin_from(&file).run();
    assert!(outcome.expect_silent_success().stdout == bytes);
}

#[test]
fn a_reader_that_goes_away_ends_the_guest_without_a_panic_of_ours() {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "\"$0\" run \"$1\" < /dev/zero | head -c 10 | wc -c"]);
    command.arg(programs::cord()).arg(programs::guest("stdin-echo.wasm"));
    command.env("XDG_CACHE_HOME", programs::shared_cache()).stderr(std::process::Stdio::piped());
    let outcome = cord_tests::process::Running::start(&mut command).wait();
    outcome.expect_code(0);
    assert_eq!(outcome.text().trim(), "10");
    assert!(!outcome.stderr.contains("panicked at crates/"), "{outcome:#?}");
}

#[test]
fn a_granted_connection_carries_bytes_both_ways_and_half_closes() {
    let echo = cord_tests::servers::Echo::start();
    // The guest sends all before it reads: what comes back meanwhile waits in the sockets' buffers, so it must fit.
    let text: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, &text).unwrap();
    let (host, port) = (echo.host(), echo.port());
    let guest = Cord::run_guest(&["-c", &echo.target()], "dial.wasm", &[&host, &port, "--half-close", "--quiet"]);
    guest.stdin_from(&file).run().expect_silent_success().expect_stdout(&text);
}

#[test]
fn help_is_asked_for_and_given() {
    for line in [&["--help"][..], &["run", "--help"], &["help", "run"], &["cat", "-h"], &["--version"]] {
        let outcome = Cord::new(line).run();
        outcome.expect_silent_success();
        assert!(!outcome.stdout.is_empty(), "{line:?}");
    }
    assert!(!Cord::new(["--help"]).run().text().contains("broker"), "broker is not for people");
}
