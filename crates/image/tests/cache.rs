//! The compile cache from outside: what is reused, what is compiled anew, and what happens when nothing can be kept.
//!
//! The "compiler" here turns the guest's text into upper case and counts its calls.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::io::{self, Write, read_to_string};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use image::{Cache, CodeError, Entry, Origin, Stamp};

struct Bench {
    dir: tempfile::TempDir,
    compilations: Cell<usize>,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap(), compilations: Cell::new(0) };
        bench.set_guest("guest");
        bench
    }

    fn guest(&self) -> PathBuf {
        self.dir.path().join("guest.wasm")
    }

    /// Writes the guest and waits until its stamp counts, as it does for any file that was not written just now.
    fn set_guest(&self, text: &str) {
        fs::write(self.guest(), text).unwrap();
        assert!(Stamp::of(&File::open(self.guest()).unwrap()).unwrap().settle());
    }

    fn cache_dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn code_in(&self, cache: &Cache, key: &str) -> Entry {
        let compile = |guest: &File, mut code: &File| -> io::Result<()> {
            self.compilations.set(self.compilations.get() + 1);
            code.write_all(read_to_string(guest)?.to_uppercase().as_bytes())
        };
        found_or_made(cache, &self.guest(), key, compile).unwrap()
    }

    /// Asks once, in a "process" of its own, and tells where the code came from.
    fn ask(&self) -> Origin {
        let entry = self.code_in(&Cache::open(&self.cache_dir()), "engine");
        let text = read_to_string(&entry.file).unwrap();
        assert_eq!(text, fs::read_to_string(self.guest()).unwrap().to_uppercase());
        entry.origin
    }

    fn file(&self, suffix: &str) -> PathBuf {
        let found = |path: &PathBuf| path.to_str().unwrap().ends_with(suffix);
        fs::read_dir(self.cache_dir()).unwrap().map(|entry| entry.unwrap().path()).find(found).expect("no such file")
    }

    fn count(&self) -> usize {
        self.compilations.get()
    }
}

/// What the cache has, or else what `compile` makes for it.
fn found_or_made(
    cache: &Cache,
    guest: &Path,
    key: &str,
    compile: impl FnOnce(&File, &File) -> io::Result<()>,
) -> Result<Entry, CodeError<io::Error>> {
    let guest = File::open(guest).unwrap();
    let source = cache.source(&guest).unwrap();
    source.find(key).map_or_else(|| source.fill(key, compile), Ok)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    // In place: the same inode, the same size.
    fs::write(path, bytes).unwrap();
}

#[test]
fn code_is_compiled_once() {
    let bench = Bench::new();
    assert!(matches!(bench.ask(), Origin::Compiled));
    for _ in 0..3 {
        assert!(matches!(bench.ask(), Origin::Cached));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn the_directory_and_its_files_are_private() {
    let bench = Bench::new();
    bench.ask();
    assert_eq!(fs::metadata(bench.cache_dir()).unwrap().mode() & 0o777, 0o700);
    let modes: Vec<u32> = fs::read_dir(bench.cache_dir())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o600; 3]);
}

#[test]
fn another_guest_engine_or_name_is_another_question() {
    let bench = Bench::new();
    bench.ask();
    bench.set_guest("another guest");
    assert!(matches!(bench.ask(), Origin::Compiled));
    bench.set_guest("guest");
    assert!(matches!(bench.ask(), Origin::Cached), "the content counts, not the file");
    let cache = Cache::open(&bench.cache_dir());
    assert!(matches!(bench.code_in(&cache, "other engine").origin, Origin::Compiled));
    assert!(matches!(bench.code_in(&cache, "engine").origin, Origin::Cached));
    assert_eq!(bench.count(), 3);
}

#[test]
fn a_guest_changed_in_place_is_seen() {
    let bench = Bench::new();
    bench.ask();
    flip(&bench.guest(), 2);
    assert!(matches!(bench.ask(), Origin::Compiled));
}

#[test]
fn what_the_engine_refused_is_compiled_again() {
    let bench = Bench::new();
    bench.ask();
    let cache = Cache::open(&bench.cache_dir());
    let guest = File::open(bench.guest()).unwrap();
    let source = cache.source(&guest).unwrap();
    let anew = |_: &File, mut code: &File| code.write_all(b"anew");
    assert!(matches!(source.fill("engine", anew).unwrap().origin, Origin::Compiled));
    let found = source.find("engine").unwrap();
    assert!(matches!(found.origin, Origin::Cached));
    assert_eq!(read_to_string(&found.file).unwrap(), "anew");
}

#[test]
fn every_flipped_byte_is_seen() {
    let bench = Bench::new();
    bench.set_guest(&"a guest of some length ".repeat(40));
    bench.ask();
    let length = fs::metadata(bench.file(".code")).unwrap().len() as usize;
    for at in (0..length).step_by(37).chain([length - 1]) {
        flip(&bench.file(".code"), at);
        assert!(matches!(bench.ask(), Origin::Compiled), "byte {at}");
        assert!(matches!(bench.ask(), Origin::Cached), "byte {at}");
    }
}

#[test]
fn every_flipped_byte_of_a_seal_is_seen() {
    for suffix in [".seal", ".source"] {
        let bench = Bench::new();
        bench.ask();
        let length = fs::metadata(bench.file(suffix)).unwrap().len() as usize;
        for at in (0..length).step_by(11) {
            flip(&bench.file(suffix), at);
            // A changed seal makes the code worthless, a changed source only costs another look at it.
            assert_eq!(matches!(bench.ask(), Origin::Compiled), suffix == ".seal", "{suffix} byte {at}");
        }
    }
}

#[test]
fn a_cut_file_is_seen() {
    for suffix in [".code", ".seal", ".source"] {
        let bench = Bench::new();
        bench.ask();
        let length = fs::metadata(bench.file(suffix)).unwrap().len();
        for keep in [0, 1, length / 2, length - 1] {
            File::options().write(true).open(bench.file(suffix)).unwrap().set_len(keep).unwrap();
            assert_eq!(matches!(bench.ask(), Origin::Cached), suffix == ".source", "{suffix} cut at {keep}");
        }
    }
}

#[test]
fn a_touched_entry_is_hashed_and_kept() {
    let bench = Bench::new();
    bench.ask();
    let before = fs::read(bench.file(".seal")).unwrap();
    let code = bench.file(".code");
    std::thread::sleep(Duration::from_millis(30));
    fs::write(&code, fs::read(&code).unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert!(matches!(bench.ask(), Origin::Cached));
    assert_ne!(fs::read(bench.file(".seal")).unwrap(), before, "the new state is recorded");
    assert_eq!(bench.count(), 1);
}

#[test]
fn a_foreign_entry_is_not_used() {
    let bench = Bench::new();
    bench.ask();
    for suffix in [".code", ".seal"] {
        for mode in [0o620, 0o602, 0o644] {
            fs::set_permissions(bench.file(suffix), Permissions::from_mode(mode)).unwrap();
            assert!(matches!(bench.ask(), Origin::Compiled), "{suffix} {mode:o}");
        }
        let elsewhere = bench.dir.path().join("elsewhere");
        fs::rename(bench.file(suffix), &elsewhere).unwrap();
        symlink(&elsewhere, bench.cache_dir().join(name_of(&bench, suffix))).unwrap();
        assert!(matches!(bench.ask(), Origin::Compiled), "{suffix} behind a link");
    }
}

/// The name of the entry's file that was just moved away, from its sibling's.
fn name_of(bench: &Bench, suffix: &str) -> String {
    let sibling = bench.file(if suffix == ".code" { ".seal" } else { ".code" });
    format!("{}{suffix}", sibling.file_stem().unwrap().to_str().unwrap())
}

#[test]
fn a_directory_in_place_of_an_entry_costs_only_the_cache() {
    let bench = Bench::new();
    bench.ask();
    let code = bench.file(".code");
    fs::remove_file(&code).unwrap();
    fs::create_dir(&code).unwrap();
    assert!(matches!(bench.ask(), Origin::Private { .. }));
}

#[test]
fn a_directory_that_others_can_use_is_not_used() {
    let bench = Bench::new();
    fs::create_dir(bench.cache_dir()).unwrap();
    fs::set_permissions(bench.cache_dir(), Permissions::from_mode(0o755)).unwrap();
    let Origin::Private { why } = bench.ask() else { panic!("used a public directory") };
    assert!(why.contains("is not private to this user") && why.contains("755"), "{why}");
    assert_eq!(fs::read_dir(bench.cache_dir()).unwrap().count(), 0);
}

#[test]
fn without_a_directory_the_code_is_private() {
    let bench = Bench::new();
    let under_a_file = bench.guest().join("cache");
    for path in [Path::new("/proc/cord-cache"), &under_a_file] {
        let entry = bench.code_in(&Cache::open(path), "engine");
        let Origin::Private { why } = entry.origin else { panic!("kept in {path:?}") };
        assert!(why.starts_with(path.to_str().unwrap()), "{why}");
        assert_eq!(read_to_string(&entry.file).unwrap(), "GUEST");
        assert_eq!(entry.file.metadata().unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_directory_that_vanishes_costs_only_the_cache() {
    let bench = Bench::new();
    let cache = Cache::open(&bench.cache_dir());
    fs::remove_dir(bench.cache_dir()).unwrap();
    assert!(matches!(bench.code_in(&cache, "engine").origin, Origin::Private { .. }));
}

#[test]
fn a_failed_compilation_leaves_nothing() {
    let bench = Bench::new();
    let fail = |_: &File, mut code: &File| -> io::Result<()> {
        code.write_all(b"half")?;
        Err(io::Error::other("no"))
    };
    let cache = Cache::open(&bench.cache_dir());
    assert!(found_or_made(&cache, &bench.guest(), "engine", fail).is_err());
    assert!(matches!(bench.ask(), Origin::Compiled));
}

#[test]
fn many_may_fill_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let guest = dir.path().join("guest.wasm");
    fs::write(&guest, "guest".repeat(10_000)).unwrap();
    let expected = "GUEST".repeat(10_000);
    for round in 0..10 {
        let barrier = Barrier::new(4);
        let fill = || {
            let cache = Cache::open(&dir.path().join("cache"));
            let compile = |guest: &File, mut code: &File| -> io::Result<()> {
                // Everybody compiles before anybody has finished.
                barrier.wait();
                code.write_all(read_to_string(guest)?.to_uppercase().as_bytes())
            };
            let entry = found_or_made(&cache, &guest, &format!("engine {round}"), compile).unwrap();
            assert!(matches!(entry.origin, Origin::Compiled));
            assert_eq!(read_to_string(&entry.file).unwrap(), expected);
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(fill))));
        let cache = Cache::open(&dir.path().join("cache"));
        let compile = |_: &File, _: &File| -> io::Result<()> { panic!("there is a sound entry") };
        let entry = found_or_made(&cache, &guest, &format!("engine {round}"), compile).unwrap();
        assert_eq!(read_to_string(&entry.file).unwrap(), expected);
    }
}
