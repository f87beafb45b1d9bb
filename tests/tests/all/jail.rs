//! The jail seen from outside: what a running process has left, what is said where a layer is missing, who it is.
//! What native code inside can do is the module `escape`.

use cord_tests::cord::Cord;
use cord_tests::process::{Running, children, computed};
use cord_tests::{programs, wait};
use rustix::process::{Signal, geteuid};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

/// Refuses a system call, whose number is the first argument, with ENOSYS, and becomes the program of the others. So a kernel
/// looks that does not know the call.
const WITHOUT_CALL: &str = r"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
op = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
ENOSYS = 38
program = op(0x20, 0, 0, 0) + op(0x15, 0, 1, int(sys.argv[1])) + op(0x06, 0, 0, 0x00050000 | ENOSYS) + op(0x06, 0, 0, 0x7fff0000)
kept = ctypes.create_string_buffer(program)
filter = struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(kept))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[2], sys.argv[2:])
";

/// `landlock_create_ruleset`, the same number everywhere.
const LANDLOCK_CREATE_RULESET: &str = "444";

/// `cord` on a kernel without Landlock.
fn without_landlock(words: &[&str]) -> Cord {
    let python = programs::python().into_os_string();
    Cord::new(words).wrapped([python, "-c".into(), WITHOUT_CALL.into(), LANDLOCK_CREATE_RULESET.into()])
}

fn hello() -> String {
    programs::guest("hello.wasm").to_str().unwrap().to_owned()
}

fn guest_that_waits(flags: &[&str]) -> Running {
    let running = Cord::run_guest(flags, "hold.wasm", &[]).piped_stdin().start();
    running.wait_for_stdout("ready");
    running
}

/// A line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {status}"));
    line.trim_start_matches(':').trim().to_owned()
}

fn expect_jailed(pid: u32) {
    assert_eq!(status(pid, "NoNewPrivs"), "1");
    assert_eq!(status(pid, "Seccomp"), "2", "a filter");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set).trim_start_matches('0'), "", "{set}");
    }
    if geteuid().is_root() {
        assert_eq!(status(pid, "CapBnd").trim_start_matches('0'), "");
        assert_eq!(status(pid, "Groups"), "");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[test]
fn runner_and_broker_have_given_everything_up_before_the_guest_runs() {
    let mut running = guest_that_waits(&["-c", "127.0.0.1:9", "-p", "0:80"]);
    expect_jailed(running.pid());
    let brokers = children(running.pid());
    let [(broker, _)] = brokers[..] else { panic!("{brokers:?}") };
    expect_jailed(broker);
    if geteuid().is_root() {
        assert_eq!(status(running.pid(), "Uid"), "0\t0\t0\t0", "root, as an owner of files");
        assert_eq!(status(broker, "Uid"), "65534\t65534\t65534\t65534");
    }
    running.close_stdin();
    running.wait().expect_code(0);
}

#[test]
fn a_runner_holds_the_descriptors_it_needs_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let leaked = folder.path().join("leaked");
    fs::write(&leaked, "for nobody").unwrap();
    let volume = format!("{}:/data:ro", folder.path().display());
    // A shell that leaves descriptors open, as careless starters do.
    let shell = ["sh", "-c", "exec 7<\"$0\" 9>>\"$0\"; exec \"$@\"", leaked.to_str().unwrap()];
    let mut running = Cord::run_guest(&["-c", "127.0.0.1:9", "-v", &volume], "hold.wasm", &[])
        .wrapped(shell)
        .piped_stdin()
        .watched()
        .start();
    running.wait_for_stdout("ready");
    let mut held = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        if number > 2 {
            held.push(fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned());
        }
    }
    let is_expected = |link: &String| {
        // Its handle and its doors, its event loop, the volume, its code, the memory image of its code.
        link.starts_with("socket:")
            || link.starts_with("pipe:")
            || link.starts_with("anon_inode:[event")
            || link.starts_with("/memfd:")
            || link.contains("cordboard/code")
            || link == folder.path().to_str().unwrap()
    };
    let unexpected: Vec<&String> = held.iter().filter(|link| !is_expected(link)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?} among {held:?}");
    assert!(held.len() <= 16, "{held:?}");
    running.close_stdin();
    running.wait().expect_code(0);
}

#[test]
fn what_the_jail_cannot_do_here_is_said_with_what_it_needs() {
    let refused = without_landlock(&["run", &hello()]).start().wait();
    let line = refused.expect_complaint(125);
    assert!(line.contains("the jail's layer landlock is not in force (it needs Linux 6.7 "), "{line}");
    assert!(line.contains("--jail best-effort"), "{line}");

    let lax = without_landlock(&["run", "--jail", "best-effort", &hello()]).start().wait();
    lax.expect_code(0).expect_stdout("hello\n");
    let complaints = lax.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("the jail's layer landlock is not in force"), "{complaints:?}");

    let all = Cord::new(["run", "--jail", "best-effort", &hello()]).start().wait();
    all.expect_stdout("hello\n").expect_silent_success();
}

#[test]
fn a_broker_that_cannot_be_jailed_is_told_once() {
    let refused = without_landlock(&["run", "-c", "127.0.0.1:9", &hello()]).start().wait();
    refused.expect_complaint(125);
    let lax = without_landlock(&["run", "--jail=best-effort", "-c", "127.0.0.1:9", &hello()]).start().wait();
    lax.expect_code(0).expect_stdout("hello\n");
    assert_eq!(lax.complaints().len(), 1, "{:?}", lax.complaints());
}

#[test]
fn without_a_jail_that_is_said() {
    let off = Cord::new(["run", "--jail", "off", &hello()]).start().wait();
    off.expect_code(0).expect_stdout("hello\n");
    assert_eq!(off.complaints(), ["the jail is off: the guest is held back by WebAssembly's sandbox alone"]);
    let running = guest_that_waits(&["--jail", "off"]);
    assert_eq!(status(running.pid(), "Seccomp"), "0");
}

#[test]
fn the_doctor_tells_what_there_is() {
    let here = Cord::new(["doctor"]).start().wait();
    here.expect_code(0);
    let lines = here.text();
    for layer in ["descriptors", "limits", "capabilities", "dumpable", "privileges", "landlock", "seccomp"] {
        assert!(lines.lines().any(|line| line.starts_with(layer) && line.contains(" yes ")), "{layer} in {lines}");
    }
    assert!(lines.contains("cord run --jail on works here"), "{lines}");
    let poorer = without_landlock(&["doctor"]).start().wait();
    poorer.expect_code(1);
    let lines = poorer.text();
    assert!(lines.lines().any(|line| line.starts_with("landlock") && line.contains(" NO ")), "{lines}");
    let json = without_landlock(&["doctor", "--format", "json"]).start().wait();
    let rows: Vec<serde_json::Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let missing: Vec<_> = rows.iter().filter(|row| row["in_force"] == false).map(|row| &row["layer"]).collect();
    assert_eq!(missing, ["landlock"]);
}

#[test]
fn root_becomes_whoever_is_named_and_others_cannot() {
    if !geteuid().is_root() {
        let line = Cord::new(["run", "--user", "65534", &hello()]).start().wait();
        assert!(line.expect_complaint(125).contains("--user needs root"), "{}", line.text());
        return;
    }
    let running = guest_that_waits(&["--user", "1234:4321"]);
    assert_eq!(status(running.pid(), "Uid"), "1234\t1234\t1234\t1234");
    assert_eq!(status(running.pid(), "Gid"), "4321\t4321\t4321\t4321");
    expect_jailed(running.pid());
    // A file of that user, which root without capabilities may not even read.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join("lines");
    fs::write(&file, "one\ntwo\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&file, Some(1234), Some(4321)).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().uid(), 1234);
    let volume = format!("{}:/data:ro", folder.path().display());
    let read = |flags: &[&str]| {
        let flags = [&["-v", &volume], flags].concat();
        Cord::run_guest(&flags, "env.wasm", &["@read", "/data/lines"]).start().wait()
    };
    assert!(read(&["--user", "1234:4321"]).expect_code(0).text().contains("read ok one"));
    // Root as a mere owner of files is not let in, either.
    for flags in [&["--user", "1235"][..], &[]] {
        assert!(read(flags).expect_code(1).text().contains("read failed PermissionDenied"), "{flags:?}");
    }
}

#[test]
fn a_user_is_a_number_or_two() {
    for bad in ["root", "1:2:3", "", "-1", "4294967295"] {
        let refused = Cord::new(["run", &format!("--user={bad}"), &hello()]).start().wait();
        refused.expect_complaint(125);
    }
}

#[test]
fn who_is_to_be_somebody_else_is_never_run_as_oneself() {
    let off = Cord::new(["run", "--user", "1234", "--jail", "off", &hello()]).start().wait();
    assert!(off.expect_complaint(125).contains("leave one of the two out"), "{off:#?}");
    // A namespace that has no such user.
    let namespace = ["unshare", "--user", "--map-root-user"];
    for mode in ["on", "best-effort"] {
        let ran = Cord::new(["run", "--user", "1234", "--jail", mode, &hello()]).wrapped(namespace).start().wait();
        assert!(ran.expect_complaint(125).contains("capabilities"), "{mode}: {ran:#?}");
    }
}

#[test]
fn the_compiler_ends_with_who_waits_for_it() {
    let cache = tempfile::tempdir().unwrap();
    let guest = programs::guest("banner-python.wasm");
    let running = Cord::new(["run"]).arguments([guest]).cache(cache.path()).start();
    let compiler = wait::for_some("the compiler", || children(running.pid()).first().map(|child| child.0));
    wait::until("it compiles", || computed(compiler) > Duration::from_millis(100));
    running.signal(Signal::KILL);
    // Who has ended and is not waited for yet has no words any more.
    wait::until("the compiler's end", || fs::read(format!("/proc/{compiler}/cmdline")).unwrap_or_default().is_empty());
}

#[test]
fn root_of_a_user_namespace_is_jailed_as_well() {
    let namespace = ["unshare", "--user", "--map-root-user"];
    for flags in [&["run"][..], &["run", "-c", "127.0.0.1:9"]] {
        let ran = Cord::new(flags).arguments([hello()]).wrapped(namespace).start().wait();
        ran.expect_stdout("hello\n").expect_silent_success();
    }
}

#[test]
fn the_compile_cache_is_no_volume_that_a_guest_may_write() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let outer = home.path().display();
    for inside in ["", "/cache", "/cache/cordboard/code"] {
        fs::create_dir_all(cache.join("cordboard/code")).unwrap();
        let volume = format!("{outer}{inside}:/home");
        let refused = Cord::new(["run", "-v", &volume, &hello()]).cache(&cache).start().wait();
        let line = refused.expect_complaint(125);
        assert!(line.contains("holds the compile cache") && line.contains("add :ro"), "{line}");
        let read_only = format!("{volume}:ro");
        Cord::new(["run", "-v", &read_only, &hello()]).cache(&cache).start().wait().expect_stdout("hello\n");
    }
    let beside = home.path().join("data");
    fs::create_dir(&beside).unwrap();
    let volume = format!("{}:/data", beside.display());
    Cord::new(["run", "-v", &volume, &hello()]).cache(&cache).start().wait().expect_stdout("hello\n");
}
