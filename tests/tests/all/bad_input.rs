//! What is wrong is told in one line on standard error, with an exit code that says whose fault it is, and never by a
//! panic.

use cord_tests::cord::Cord;
use cord_tests::namespace::without_privileges;
use cord_tests::process::Outcome;
use cord_tests::programs;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

const NO_START: &str = "(module (func (export \"main\")))";
const MISSING_IMPORTS: &str = "\
(module
  (import \"env\" \"frobnicate\" (func))
  (import \"acme\" \"whirl\" (func))
  (memory (export \"memory\") 1)
  (func (export \"_start\")))";
const MISSING_INTERFACE: &str = "\
(component
  (import \"acme:parts/whirl@1.0.0\" (instance (export \"spin\" (func)))))";
const NOT_A_COMMAND: &str = "(component (core module (func (export \"a\"))))";
const UNKNOWN_WASI_CALL: &str = "\
(module
  (import \"wasi_snapshot_preview1\" \"no_such_call\" (func))
  (memory (export \"memory\") 1)
  (func (export \"_start\")))";
const START_WITH_PARAMETER: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\") (param i32)))";

/// Runs a guest of these bytes and expects one line of complaint with these texts in it.
#[track_caller]
fn refuses_guest(bytes: &[u8], texts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let guest = folder.path().join("guest.wasm");
    fs::write(&guest, bytes).unwrap();
    let outcome = Cord::new(["run"]).arguments([&guest]).cache(folder.path()).run();
    let line = outcome.expect_complaint(126);
    assert!(line.contains("guest.wasm"), "does not name the file: {line}");
    for text in texts {
        assert!(line.contains(text), "{text:?} is not in {line:?}");
    }
}

/// Runs `cord` with these arguments and expects exit code 125 and one line of complaint with this text in it.
#[track_caller]
fn refuses_line(arguments: &[&str], text: &str) {
    let outcome = Cord::new(arguments).run();
    let line = outcome.expect_complaint(125);
    assert!(line.contains(text), "{arguments:?}: {text:?} is not in {line:?}");
}

/// As [`refuses_line`], of `cord run` with a guest that would run.
#[track_caller]
fn refuses_flags(flags: &[&str], text: &str) {
    let outcome = Cord::run_guest(flags, "hello.wasm", &[]).run();
    let line = outcome.expect_complaint(125);
    assert!(line.contains(text), "{flags:?}: {text:?} is not in {line:?}");
}

#[test]
fn a_file_that_is_not_webassembly() {
    refuses_guest(b"#!/bin/sh\necho hello\n", &["not WebAssembly", "#!/bin/s"]);
    refuses_guest(b"", &["not WebAssembly", "empty"]);
    refuses_guest(&[0xff; 1000], &["not WebAssembly"]);
    let elf = fs::read(programs::cord()).unwrap();
    refuses_guest(&elf[..4096], &["not WebAssembly", "ELF"]);
}

#[test]
fn a_pipe_that_nobody_writes_to() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wasm");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let refused = Cord::new(["run"]).arguments([pipe]).run();
    assert!(refused.expect_complaint(126).contains("no regular file"), "{refused:#?}");
}

#[test]
fn a_file_that_is_cut_short() {
    let hello = fs::read(programs::guest("hello.wasm")).unwrap();
    for length in [4, 7, hello.len() / 2, hello.len() - 1] {
        refuses_guest(&hello[..length], &["cut short"]);
    }
}

#[test]
fn a_file_that_is_damaged() {
    let mut hello = fs::read(programs::guest("hello.wasm")).unwrap();
    hello[8] = 0x7f;
    refuses_guest(&hello, &["invalid WebAssembly"]);
    hello[4] = 0x77;
    refuses_guest(&hello, &["version"]);
}

#[test]
fn text_that_does_not_parse() {
    refuses_guest(b"(module\n  (func (export \"_start\") (frobnicate)))", &["line 2", "column"]);
    refuses_guest(b"(module", &["cannot run"]);
}

#[test]
fn imports_that_nobody_provides_are_named() {
    refuses_guest(MISSING_IMPORTS.as_bytes(), &["env", "frobnicate", "acme", "whirl"]);
    refuses_guest(MISSING_INTERFACE.as_bytes(), &["acme:parts/whirl@1.0.0"]);
    refuses_guest(UNKNOWN_WASI_CALL.as_bytes(), &["wasi_snapshot_preview1", "no_such_call"]);
}

#[test]
fn a_guest_that_is_no_command() {
    refuses_guest(NO_START.as_bytes(), &["_start"]);
    refuses_guest(START_WITH_PARAMETER.as_bytes(), &["_start"]);
    refuses_guest(NOT_A_COMMAND.as_bytes(), &["wasi:cli/run"]);
}

#[test]
fn a_missing_file() {
    let missing = Cord::new(["run", "/nowhere/at/all.wasm"]).run();
    assert!(missing.expect_complaint(127).contains("/nowhere/at/all.wasm"));
    let through_a_file = Cord::new(["run"]).arguments([programs::guest("hello.wasm").join("inside")]).run();
    assert!(through_a_file.expect_complaint(126).contains("inside"));
}

#[test]
fn a_directory() {
    assert!(Cord::new(["run", "/"]).run().expect_complaint(126).contains("folder"));
}

#[test]
fn a_file_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(Cord::new(["run"]).arguments([&socket]).run().expect_complaint(126).contains("socket"));

    let secret = folder.path().join("secret.wasm");
    fs::copy(programs::guest("hello.wasm"), &secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let outcome = Cord::new(["run"]).arguments([&secret]).wrapped(without_privileges()).run();
    assert!(outcome.expect_complaint(126).contains("secret.wasm"), "{outcome:#?}");
}

#[test]
fn a_grant_that_is_none() {
    for (target, text) in [
        ("127.0.0.1", "a port is missing"),
        ("127.0.0.1:", "a port is missing"),
        ("127.0.0.1:ssh", "bad port"),
        ("127.0.0.1:0", "bad port"),
        ("127.0.0.1:70000", "bad port"),
        ("127.0.0.1:9-3", "did you mean 3-9"),
        ("10.0.0.0/33:1", "bad address range"),
        ("10.0.0.1/8:1", "did you mean 10.0.0.0/8"),
        ("300.0.0.1:1", "no address"),
        ("::1:22", "[::1]:22"),
        ("sctp://127.0.0.1:1", "no transport"),
        ("127.0.0.1:1,private", "private"),
        ("db:5432", "dot"),
        ("", ""),
    ] {
        refuses_flags(&["-c", target], text);
    }
}

#[test]
fn too_many_grants() {
    let flags: Vec<String> = (1..=300).map(|port| format!("-c127.0.0.1:{port}")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    refuses_flags(&flags, "too many --connect");
}

#[test]
fn a_line_that_cannot_be_meant() {
    refuses_flags(&["--frobnicate"], "--frobnicate");
    refuses_flags(&["--conect", "127.0.0.1:1"], "--connect");
    refuses_line(&["run"], "FILE");
    refuses_line(&["frobnicate"], "frobnicate");
    refuses_line(&["switchboard"], "SOCKET");
    refuses_line(&["ingress", "nowhere", "/s"], "nowhere");
    refuses_line(&["cat", "/nowhere/board", "label"], "KEY=VALUE");
    let nothing = Cord::new([""; 0]).run();
    nothing.expect_code(125).expect_stdout("");
    assert!(nothing.stderr.contains("Usage:"), "{nothing:#?}");
}

#[test]
fn a_volume_that_is_none() {
    refuses_flags(&["-v", "data"], "HOST:GUEST");
    refuses_flags(&["-v", "/:/x:rx"], "HOST:GUEST");
    refuses_flags(&["-v", "/nowhere/at/all:/data"], "/nowhere/at/all");
    refuses_flags(&["-v", "/etc/passwd:/data"], "/etc/passwd");
    refuses_flags(&["-v", "/tmp:/x", "-v", "/usr:/x"], "/x");
}

#[test]
fn other_flags_with_values_that_are_none() {
    refuses_flags(&["-m", "lots"], "lots");
    refuses_flags(&["-m", "0"], "0");
    refuses_flags(&["-m", "64q"], "unit");
    refuses_flags(&["--timeout", "soon"], "soon");
    refuses_flags(&["-e", "=x"], "no variable");
    refuses_flags(&["--env-file", "/nowhere/env"], "/nowhere/env");
}

#[test]
fn a_working_folder_that_the_guest_cannot_see() {
    let outcome = Cord::run_guest(&["-w", "/etc"], "hello.wasm", &[]).run();
    assert!(outcome.expect_complaint(126).contains("/etc"), "{outcome:#?}");
}

#[test]
fn a_guest_that_needs_more_memory_than_it_may_have() {
    let text = "(module (memory (export \"memory\") 512) (func (export \"_start\")))";
    let folder = tempfile::tempdir().unwrap();
    let guest = folder.path().join("big.wat");
    fs::write(&guest, text).unwrap();
    let run = |memory: &str| -> Outcome { Cord::new(["run", "-m", memory]).arguments([&guest]).run() };
    run("32m").expect_silent_success();
    assert!(run("31m").expect_complaint(126).contains("memory"));
}

#[test]
fn a_broker_started_by_hand() {
    assert!(Cord::new(["broker"]).run().expect_complaint(125).contains("cord run"));
}
