//! Compiled code: used again when it is sound, made anew when it is not, and never trusted without a look.

use cord_tests::cord::Cord;
use cord_tests::process::Outcome;
use cord_tests::programs;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A cache of the test's own, and a copy of `cord` without a compiler beside it: it runs what is in the cache, and
/// nothing else.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.folder.path().join("bin")).unwrap();
        // A copy only where a link cannot be: the program is large.
        let (program, here) = (programs::cord(), bench.program_without_compiler());
        fs::hard_link(&program, &here).or_else(|_| fs::copy(&program, &here).map(drop)).unwrap();
        bench
    }

    fn program_without_compiler(&self) -> PathBuf {
        self.folder.path().join("bin/cord")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn cord(&self, guest: &Path) -> Cord {
        Cord::new(["run"]).arguments([guest]).cache(&self.cache())
    }

    /// Runs `hello.wasm`, compiling it if need be.
    fn hello(&self) -> Outcome {
        self.cord(&programs::guest("hello.wasm")).run()
    }

    fn expect_hello(&self) {
        self.hello().expect_silent_success().expect_stdout("hello\n");
    }

    /// Runs a guest with nothing but what is in the cache.
    fn run_from_cache(&self, guest: &Path) -> Outcome {
        self.cord(guest).program(&self.program_without_compiler()).run()
    }

    fn expect_hello_from_cache(&self) {
        self.run_from_cache(&programs::guest("hello.wasm")).expect_silent_success().expect_stdout("hello\n");
    }

    fn expect_no_hello_in_cache(&self) {
        let outcome = self.run_from_cache(&programs::guest("hello.wasm"));
        assert!(outcome.expect_complaint(125).contains("cord-compile"), "{outcome:#?}");
    }

    /// Every file in the cache whose name ends so.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache().join("cordboard/code")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }

    fn expect_none(&self, ending: &str) {
        let files = self.files(ending);
        assert!(files.is_empty(), "{files:?}");
    }

    /// The one entry of compiled code.
    fn entry(&self) -> PathBuf {
        let entries = self.files(".code");
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }
}

#[test]
fn a_guest_is_compiled_once() {
    let bench = Bench::new();
    bench.expect_no_hello_in_cache();
    bench.expect_hello();
    let first = fs::metadata(bench.entry()).unwrap();
    bench.expect_hello();
    bench.expect_hello_from_cache();
    let second = fs::metadata(bench.entry()).unwrap();
    assert_eq!((first.ino(), first.mtime_nsec()), (second.ino(), second.mtime_nsec()));
    assert_eq!(first.mode() & 0o777, 0o600);
}

#[test]
fn a_guest_of_any_version_has_one_entry() {
    for guest in ["hello.wasm", "hello-p1.wasm", "hello-p3.wasm"] {
        let (bench, guest) = (Bench::new(), programs::guest(guest));
        bench.cord(&guest).run().expect_silent_success().expect_stdout("hello\n");
        bench.run_from_cache(&guest).expect_silent_success().expect_stdout("hello\n");
        bench.entry();
    }
}

/// It compiles without concurrency, and only its imports tell that it needs an engine with it.
#[test]
fn a_guest_of_0_2_may_import_from_0_3() {
    let bench = Bench::new();
    let guest = bench.folder.path().join("guest.wat");
    let text = r#"(component
        (import "wasi:random/random@0.3.0" (instance (export "get-random-u64" (func (result u64)))))
        (core module $main (func (export "run") (result i32) (i32.const 0)))
        (core instance $main (instantiate $main))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    fs::write(&guest, text).unwrap();
    bench.cord(&guest).run().expect_silent_success();
    bench.run_from_cache(&guest).expect_silent_success();
}

#[test]
fn what_counts_is_what_a_guest_holds_and_not_its_name() {
    let bench = Bench::new();
    let guest = bench.folder.path().join("guest.wasm");
    fs::copy(programs::guest("hello.wasm"), &guest).unwrap();
    bench.cord(&guest).run().expect_silent_success().expect_stdout("hello\n");
    bench.expect_hello_from_cache();
    fs::copy(programs::guest("hello-p0.wat"), &guest).unwrap();
    let outcome = bench.run_from_cache(&guest);
    assert!(outcome.expect_complaint(125).contains("cord-compile"), "{outcome:#?}");
    bench.cord(&guest).run().expect_silent_success().expect_stdout("hello\n");
    assert_eq!(bench.files(".code").len(), 2);
}

/// Damages the entry, and expects that it is noticed and mended.
fn mends(damage: impl FnOnce(&Path)) {
    let bench = Bench::new();
    bench.expect_hello();
    let sound = fs::read(bench.entry()).unwrap();
    damage(&bench.entry());
    bench.expect_no_hello_in_cache();
    bench.expect_hello();
    assert!(fs::read(bench.entry()).unwrap() == sound, "the entry was not mended");
    bench.expect_hello_from_cache();
}

#[test]
fn a_flipped_bit_is_noticed() {
    for at in [0, 100, 5_000] {
        mends(|entry| {
            let mut bytes = fs::read(entry).unwrap();
            let last = bytes.len() - 1;
            bytes[at.min(last)] ^= 1;
            fs::write(entry, bytes).unwrap();
        });
    }
    mends(|entry| {
        let mut bytes = fs::read(entry).unwrap();
        *bytes.last_mut().unwrap() ^= 0x80;
        fs::write(entry, bytes).unwrap();
    });
}

#[test]
fn a_cut_an_empty_and_a_foreign_entry_are_noticed() {
    mends(|entry| File::options().write(true).open(entry).unwrap().set_len(1000).unwrap());
    mends(|entry| fs::write(entry, "").unwrap());
    mends(|entry| fs::write(entry, "no code at all").unwrap());
    mends(|entry| {
        let other = Bench::new();
        other.cord(&programs::guest("exit-p1.wasm")).arguments(["3"]).run().expect_code(3);
        fs::copy(other.entry(), entry).unwrap();
    });
    mends(|entry| fs::remove_file(entry).unwrap());
}

#[test]
fn an_entry_that_others_could_have_written_is_not_used() {
    mends(|entry| fs::set_permissions(entry, fs::Permissions::from_mode(0o666)).unwrap());
    mends(|entry| {
        let aside = entry.with_extension("aside");
        fs::rename(entry, &aside).unwrap();
        symlink(&aside, entry).unwrap();
    });
}

#[test]
fn a_damaged_seal_is_noticed() {
    mends(|entry| fs::write(entry.with_extension("seal"), "garbage").unwrap());
    mends(|entry| fs::remove_file(entry.with_extension("seal")).unwrap());
}

#[test]
fn several_processes_fill_a_cold_cache_at_once() {
    let bench = Bench::new();
    let start = |_| bench.cord(&programs::guest("hello.wasm")).start();
    let running: Vec<_> = (0..4).map(start).collect();
    for process in running {
        process.wait().expect_silent_success().expect_stdout("hello\n");
    }
    bench.entry();
    bench.expect_none(".tmp");
    bench.expect_hello_from_cache();
}

/// The cache cannot be used: the guest runs all the same, and one line says what is the matter.
fn runs_without_keeping(outcome: &Outcome) {
    outcome.expect_code(0).expect_stdout("hello\n");
    let complaints = outcome.complaints();
    assert_eq!((complaints.len(), outcome.stderr.lines().count()), (1, 1), "{outcome:#?}");
    assert!(complaints[0].starts_with("compiled code cannot be kept"), "{outcome:#?}");
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let bench = Bench::new();
    fs::write(bench.cache(), "in the way").unwrap();
    runs_without_keeping(&bench.hello());
}

#[test]
fn a_cache_that_is_open_to_others_is_done_without() {
    let bench = Bench::new();
    bench.expect_hello();
    let folder = bench.cache().join("cordboard/code");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    runs_without_keeping(&bench.hello());
}

#[test]
fn a_guest_that_cannot_be_compiled_leaves_nothing_behind() {
    let bench = Bench::new();
    let guest = bench.folder.path().join("guest.wasm");
    fs::write(&guest, "\0asm but not really").unwrap();
    bench.cord(&guest).run().expect_complaint(126);
    bench.expect_none(".code");
    bench.expect_none(".tmp");
}

#[test]
fn pythons_component_is_compiled_once_with_a_progress_line_on_a_terminal() {
    let bench = Bench::new();
    let python = programs::guest("banner-python.wasm");
    let said = on_a_terminal(|| bench.cord(&python));
    assert!(said.contains("compiling banner-python.wasm"), "{said:?}");
    let first = fs::metadata(bench.entry()).unwrap();

    let said = on_a_terminal(|| bench.cord(&python));
    assert!(!said.contains("compiling"), "{said:?}");
    let second = fs::metadata(bench.entry()).unwrap();
    assert_eq!((first.ino(), first.mtime_nsec()), (second.ino(), second.mtime_nsec()));
    // Without a grant it fails to connect, which is an answer: it runs, and no compiler is there.
    let outcome = bench.run_from_cache(&python);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("Failed to connect: "), "{outcome:#?}");
}

/// What a command says on standard error when that is a terminal. The guest is refused its connection.
fn on_a_terminal(cord: impl FnOnce() -> Cord) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let stderr = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
        let mut terminal = File::from(terminal);
        // The last one to close the other side is told of as an error.
        while let Ok(length) = terminal.read(&mut chunk)
            && length > 0
        {
            said.extend_from_slice(&chunk[..length]);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    cord().stderr_to(stderr).run().expect_code(1);
    reader.join().unwrap()
}
