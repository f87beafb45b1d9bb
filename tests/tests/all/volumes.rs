//! Ways out of a volume and into a `:ro` one, by ordinary calls on files, from preview 1 and 0.2. Every test compares what
//! lies outside with what lay there before, and has calls that succeed, so that none passes because nothing was reached.

use cord_tests::cord::Cord;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

const GUESTS: [&str; 2] = ["files-c.wasm", "files-c-p1.wasm"];

/// A folder with the volumes `in` and `ro`, and `out`, which is none. In `in` there are all kinds of links that lead out.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["in", "ro", "out"] {
            let folder = place.path(name);
            fs::create_dir_all(folder.join("sub")).unwrap();
            fs::write(folder.join("file"), format!("{name}-text")).unwrap();
            fs::write(folder.join("secret"), format!("s3cret of {name}")).unwrap();
            symlink("file", folder.join("good")).unwrap();
        }
        let (inside, outside) = (place.path("in"), place.path("out"));
        symlink("../out/secret", inside.join("relative")).unwrap();
        symlink(outside.join("secret"), inside.join("absolute")).unwrap();
        symlink("../out", inside.join("relative-folder")).unwrap();
        symlink(&outside, inside.join("absolute-folder")).unwrap();
        symlink("sub/../relative", inside.join("chain")).unwrap();
        symlink("relative-folder/sub", inside.join("chain-folder")).unwrap();
        symlink("../out/new", inside.join("dangling")).unwrap();
        symlink("../ro/file", inside.join("to-ro")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a guest that makes these calls in order. One answer for each.
    fn answers(&self, flags: &[&str], guest: &str, calls: &[String]) -> Vec<String> {
        let flags: Vec<String> =
            flags.iter().map(|flag| flag.replace("PLACE", &self.folder.path().display().to_string())).collect();
        let flags: Vec<&str> = flags.iter().flat_map(|volume| ["-v", volume]).collect();
        // Words are apart by one space each, so that one may be empty.
        let words: Vec<&str> = calls.iter().flat_map(|call| call.split(' ')).collect();
        let outcome = Cord::run_guest(&flags, guest, &words).run();
        outcome.expect_silent_success();
        let answers: Vec<String> = outcome.text().lines().map(str::to_owned).collect();
        assert_eq!(answers.len(), calls.len(), "{outcome:#?}");
        answers
    }

    /// Expects these answers of a guest that has both volumes. `PLACE` in a call stands for the folder.
    #[track_caller]
    fn expect(&self, guest: &str, calls: &[(&str, &str)]) {
        self.expect_of(&["PLACE/in:/in", "PLACE/ro:/ro:ro"], guest, calls);
    }

    #[track_caller]
    fn expect_of(&self, flags: &[&str], guest: &str, calls: &[(&str, &str)]) {
        let path = self.folder.path().display().to_string();
        let words: Vec<String> = calls.iter().map(|(call, _)| call.replace("PLACE", &path)).collect();
        let answers = self.answers(flags, guest, &words);
        let told: Vec<_> = calls.iter().zip(&answers).map(|((call, _), answer)| (*call, &**answer)).collect();
        assert_eq!(told, calls, "{guest}");
    }

    /// Everything in `out` and `ro`, to compare with later.
    fn untouchable(&self) -> Vec<String> {
        let mut listing = Vec::new();
        for name in ["out", "ro"] {
            list(&self.path(name), &mut listing);
        }
        listing
    }
}

/// Path, mode, links, size, times of change and contents of a file or folder and all that is in it.
fn list(path: &Path, listing: &mut Vec<String>) {
    let about = fs::symlink_metadata(path).unwrap();
    let contents = if about.is_symlink() {
        fs::read_link(path).unwrap().display().to_string()
    } else if about.is_file() {
        fs::read_to_string(path).unwrap()
    } else {
        String::new()
    };
    let (path_shown, mode, links, size) = (path.display(), about.mode(), about.nlink(), about.len());
    let changed = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
    listing.push(format!("{path_shown} {mode:o} {links} {size} {changed:?} {contents:?}"));
    if about.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| list(entry, listing));
    }
}

/// Runs `test` for each kind of guest in a place of its own, and expects that it changed nothing outside.
#[track_caller]
fn everywhere(test: impl Fn(&Place, &str)) {
    for guest in GUESTS {
        let place = Place::new();
        let before = place.untouchable();
        test(&place, guest);
        assert_eq!(place.untouchable(), before, "{guest}");
    }
}

#[test]
fn a_path_does_not_lead_out() {
    everywhere(|place, guest| {
        place.expect(
            guest,
            &[
                ("@read /in/file", "ok in-text"),
                ("@read /in/sub/../file", "ok in-text"),
                ("@read /ro/file", "ok ro-text"),
                ("@read /in/../out/secret", "EPERM"),
                ("@read /in/sub/../../out/secret", "EPERM"),
                ("@write /in/../out/new x", "EPERM"),
                ("@read PLACE/out/secret", "ENOENT"),
                ("@read /etc/passwd", "ENOENT"),
                ("@read /proc/self/environ", "ENOENT"),
                ("@write PLACE/out/new x", "ENOENT"),
                ("@list /", "ENOENT"),
            ],
        );
    });
}

#[test]
fn a_path_does_not_lead_out_where_the_host_sees_it_as_it_is() {
    everywhere(|place, guest| {
        place.expect(
            guest,
            &[
                ("@read-at /in file", "ok in-text"),
                ("@read-at /in sub/../file", "ok in-text"),
                ("@read-at /in ../out/secret", "EPERM"),
                ("@read-at /in sub/../../out/secret", "EPERM"),
                ("@read-at /in/sub ../../out/secret", "EPERM"),
                // A folder further in leads no further than itself.
                ("@read-at /in/sub ../file", "EPERM"),
                ("@read-at /in ..", "EPERM"),
                ("@read-at /in PLACE/out/secret", "EPERM"),
                ("@read-at /in PLACE/in/file", "EPERM"),
                ("@read-at /in /etc/passwd", "EPERM"),
                ("@read-at /in //file", "EPERM"),
                ("@stat-at /in ../out/secret", "EPERM"),
                ("@write-at /in ../out/new", "EPERM"),
                ("@write-at /in sub/../../out/new", "EPERM"),
                ("@write-at /in PLACE/out/new", "EPERM"),
                ("@mkdir-at /in ../out/new", "EPERM"),
                ("@mkdir-at /in PLACE/out/new", "EPERM"),
                ("@unlink-at /in ../out/secret", "EPERM"),
                ("@unlink-at /in PLACE/out/secret", "EPERM"),
                ("@rename-at /in ../out/secret got", "EPERM"),
                ("@rename-at /in PLACE/out/secret got", "EPERM"),
                ("@rename-at /in file ../out/new", "EPERM"),
                ("@rename-at /in file PLACE/out/new", "EPERM"),
                ("@link-at /in ../out/secret got", "EPERM"),
                ("@link-at /in PLACE/out/secret got", "EPERM"),
                ("@link-at /in file ../out/new", "EPERM"),
                ("@symlink-at /in file ../out/new", "EPERM"),
                ("@times-at /in ../out/secret", "EPERM"),
                ("@times-at /in PLACE/out/secret", "EPERM"),
                // The same calls, inside.
                ("@write-at /in new", "ok"),
                ("@times-at /in new", "ok"),
                ("@rename-at /in new newer", "ok"),
                ("@link-at /in newer linked", "ok"),
                ("@symlink-at /in newer link", "ok"),
                ("@unlink-at /in newer", "ok"),
                ("@mkdir-at /in new", "ok"),
            ],
        );
    });
}

#[test]
fn a_symbolic_link_that_the_host_made_does_not_lead_out() {
    everywhere(|place, guest| {
        place.expect(
            guest,
            &[
                ("@read /in/good", "ok in-text"),
                ("@read /in/relative", "EPERM"),
                ("@read /in/absolute", "EPERM"),
                ("@read /in/chain", "EPERM"),
                ("@read /in/relative-folder/secret", "EPERM"),
                ("@read /in/absolute-folder/secret", "EPERM"),
                ("@read /in/chain-folder/../secret", "EPERM"),
                ("@read /in/relative-folder/../in/file", "EPERM"),
                ("@list /in/relative-folder", "EPERM"),
                ("@list /in/absolute-folder", "EPERM"),
                ("@list /in/chain-folder", "EPERM"),
                ("@stat /in/relative", "EPERM"),
                ("@stat /in/absolute", "EPERM"),
                // The link itself is the volume's.
                ("@lstat /in/relative", "ok link 13"),
                ("@readlink /in/relative", "ok ../out/secret"),
                ("@write /in/relative x", "EPERM"),
                ("@write /in/absolute x", "EPERM"),
                ("@write /in/dangling x", "EPERM"),
                ("@create-new /in/dangling", "EEXIST"),
                ("@append /in/chain", "EPERM"),
                ("@truncate /in/relative", "EPERM"),
                ("@truncate-open /in/absolute", "EPERM"),
                ("@write /in/relative-folder/new x", "EPERM"),
                ("@mkdir /in/relative-folder/new", "EPERM"),
                ("@mkdir /in/absolute-folder/new", "EPERM"),
                ("@rmdir /in/relative-folder/sub", "EPERM"),
                ("@unlink /in/relative-folder/secret", "EPERM"),
                ("@rename /in/relative-folder/secret /in/got", "EPERM"),
                ("@rename /in/file /in/relative-folder/put", "EPERM"),
                ("@link /in/relative-folder/secret /in/got", "EPERM"),
                ("@link /in/file /in/absolute-folder/put", "EPERM"),
                ("@symlink file /in/relative-folder/put", "EPERM"),
                ("@times /in/relative", "EPERM"),
                ("@times-open /in/absolute", "EPERM"),
                ("@times /in/relative-folder/secret", "EPERM"),
                ("@times /in/relative-folder", "EPERM"),
                ("@times-link /in/relative", "ok"),
                // A hard link to the link is one more link, and leads out no more than that.
                ("@link /in/relative /in/linked", "ok"),
                ("@lstat /in/linked", "ok link 13"),
                ("@read /in/linked", "EPERM"),
                // The links themselves may go.
                ("@rename /in/relative /in/moved", "ok"),
                ("@unlink /in/absolute", "ok"),
                ("@unlink /in/moved", "ok"),
            ],
        );
    });
}

#[test]
fn a_hard_link_never_follows_a_symbolic_one_out() {
    everywhere(|place, guest| {
        let calls = ["@link-follow /in/relative /in/got", "@read /in/got", "@link-follow /in/absolute /in/got-too"];
        let calls = calls.map(str::to_owned);
        let answers = place.answers(&["PLACE/in:/in"], guest, &calls);
        // Preview 1 refuses to follow at all; the library for 0.2 has no such flag to give, and links the link.
        assert!(answers[0] == "EINVAL" || answers[0] == "ok", "{guest}: {answers:?}");
        assert!(answers[1] == "ENOENT" || answers[1] == "EPERM", "{guest}: {answers:?}");
        for name in ["got", "got-too"] {
            let made = fs::symlink_metadata(place.path("in").join(name));
            assert!(made.is_err() || made.unwrap().is_symlink(), "{guest}: {name} is a file");
        }
    });
}

#[test]
fn a_symbolic_link_that_the_guest_made_does_not_lead_out() {
    everywhere(|place, guest| {
        place.expect(
            guest,
            &[
                ("@symlink sub/../file /in/fine", "ok"),
                ("@read /in/fine", "ok in-text"),
                ("@symlink ../out/secret /in/to-file", "ok"),
                ("@read /in/to-file", "EPERM"),
                ("@write /in/to-file x", "EPERM"),
                ("@symlink .. /in/up", "ok"),
                ("@read /in/up/out/secret", "EPERM"),
                ("@write /in/up/out/new x", "EPERM"),
                ("@symlink sub/../.. /in/round", "ok"),
                ("@read /in/round/out/secret", "EPERM"),
                ("@symlink up /in/chain-up", "ok"),
                ("@list /in/chain-up", "EPERM"),
                ("@symlink loop /in/loop", "ok"),
                ("@read /in/loop", "ELOOP"),
                // What is absolute is refused where it is made.
                ("@symlink PLACE/out/secret /in/far", "EPERM"),
                ("@read /in/far", "ENOENT"),
                ("@symlink /etc/passwd /in/far", "EPERM"),
                ("@lstat /in/far", "ENOENT"),
            ],
        );
    });
}

#[test]
fn what_the_host_links_into_a_volume_is_in_it() {
    for guest in GUESTS {
        let place = Place::new();
        fs::hard_link(place.path("out/secret"), place.path("in/linked")).unwrap();
        place.expect(guest, &[("@read /in/linked", "ok s3cret of out"), ("@write /in/linked changed", "ok")]);
        assert_eq!(fs::read_to_string(place.path("out/secret")).unwrap(), "changed", "{guest}");
    }
}

#[test]
fn odd_paths_have_the_error_they_have_everywhere() {
    let (longest, too_long) = (format!("/in/{}", "a".repeat(255)), format!("/in/{}", "a".repeat(256)));
    let far_too_long = format!("@read /in/{}file", "sub/../".repeat(1000));
    let far_too_long_at = format!("@read-at /in {}file", "./".repeat(3000));
    everywhere(|place, guest| {
        let preview1 = guest.contains("-p1");
        let of_folder = if preview1 { "EBADF" } else { "EISDIR" };
        place.expect(
            guest,
            &[
                ("@read ", "ENOENT"),
                ("@read-at /in ", "ENOENT"),
                ("@mkdir-at /in ", "ENOENT"),
                ("@unlink-at /in ", "ENOENT"),
                ("@read-nul file", "EINVAL"),
                ("@read /in/file/", "ENOTDIR"),
                ("@read-at /in file/", "ENOTDIR"),
                ("@read-at /in relative/", "EPERM"),
                ("@unlink /in/file/", "ENOTDIR"),
                ("@write /in/new/ x", "EISDIR"),
                ("@rename /in/file /in/new/", "ENOTDIR"),
                ("@list /in/sub/", "ok 0"),
                ("@mkdir /in/new/", "ok"),
                ("@read /in/", of_folder),
                ("@read-at /in .", of_folder),
                (&format!("@read {longest}"), "ENOENT"),
                (&format!("@write {longest} x"), "ok"),
                (&format!("@read {longest}"), "ok x"),
                (&format!("@write {too_long} x"), "ENAMETOOLONG"),
                (&format!("@mkdir {too_long}"), "ENAMETOOLONG"),
                (&far_too_long, "ENAMETOOLONG"),
                (&far_too_long_at, "ENAMETOOLONG"),
            ],
        );
    });
}

/// Every call that writes, with what it answers in a volume that may be written.
const WRITING: &[(&str, &str)] = &[
    ("@write-open /ro/file", "ok"),
    ("@read-write /ro/file", "ok"),
    ("@append /ro/file", "ok"),
    ("@write-open /ro/good", "ok"),
    ("@truncate /ro/file", "ok"),
    ("@truncate-open /ro/file", "ok"),
    ("@create /ro/created", "ok"),
    ("@create-new /ro/created-new", "ok"),
    ("@write /ro/written text", "ok"),
    ("@write-at /ro written-at", "ok"),
    ("@mkdir /ro/made", "ok"),
    ("@symlink file /ro/link", "ok"),
    ("@times /ro/file", "ok"),
    ("@times /ro/good", "ok"),
    ("@times-link /ro/good", "ok"),
    ("@times-open /ro/file", "ok"),
    ("@times /ro/sub", "ok"),
    ("@times-open /ro/sub", "ok"),
    ("@times /ro", "ok"),
    ("@times-open /ro", "ok"),
    ("@rmdir /ro/sub", "ok"),
    ("@link /ro/file /ro/linked", "ok"),
    ("@rename /ro/file /ro/sub-file", "ok"),
    ("@rename /ro/secret /ro/good", "ok"),
    ("@link /ro/good /in/out-of-ro", "ok"),
    ("@rename /ro/good /in/moved-out-of-ro", "ok"),
    ("@link /in/secret /ro/into-ro", "ok"),
    ("@rename /in/file /ro/moved-into-ro", "ok"),
    ("@unlink /ro/moved-into-ro", "ok"),
    ("@write /ro/last x", "ok"),
    ("@unlink-at /ro last", "ok"),
];

#[test]
fn a_read_only_volume_refuses_every_call_that_writes() {
    everywhere(|place, guest| {
        let refused: Vec<_> = WRITING.iter().map(|(call, _)| (*call, "EPERM")).collect();
        place.expect(guest, &refused);
        place.expect(
            guest,
            &[
                ("@read /ro/file", "ok ro-text"),
                ("@read-at /ro good", "ok ro-text"),
                ("@stat /ro/file", "ok file 7"),
                ("@readlink /ro/good", "ok file"),
                ("@list /ro", "ok 4"),
                // A link from elsewhere is no way in.
                ("@read /in/to-ro", "EPERM"),
                ("@write-open /in/to-ro", "EPERM"),
                // And beside it there is one that may be written.
                ("@write /in/file x", "ok"),
                ("@read /in/file", "ok x"),
            ],
        );
    });
    for guest in GUESTS {
        Place::new().expect_of(&["PLACE/in:/in", "PLACE/ro:/ro"], guest, WRITING);
    }
}

#[test]
fn a_descriptor_for_reading_does_not_write() {
    everywhere(|place, guest| {
        // In 0.2 a stream for writing is refused by its own type of error, of which the C library makes EIO.
        let not_for_writing = if guest.contains("-p1") { "EBADF" } else { "EIO" };
        let calls = [("@write-read-only /in/file", not_for_writing), ("@truncate-read-only /in/file", "EINVAL")];
        place.expect(guest, &calls);
        place.expect(guest, &[("@read /in/file", "ok in-text"), ("@truncate-read-only /ro/file", "EPERM")]);
        let answers = place.answers(&["PLACE/ro:/ro:ro"], guest, &["@write-read-only /ro/file".to_owned()]);
        assert!(["EPERM", "EBADF"].contains(&&*answers[0]), "{guest}: {answers:?}");
    });
}

#[test]
fn a_folder_that_is_two_volumes_is_read_only_through_one() {
    everywhere(|place, guest| {
        place.expect_of(
            &["PLACE/in:/in", "PLACE/in:/same:ro"],
            guest,
            &[
                ("@write /same/file x", "EPERM"),
                ("@rename /same/file /in/moved", "EPERM"),
                ("@link /same/file /in/linked", "EPERM"),
                ("@rename /in/file /same/moved", "EPERM"),
                ("@link /in/file /same/linked", "EPERM"),
                ("@read /same/file", "ok in-text"),
                ("@write /in/file x", "ok"),
                ("@read /same/file", "ok x"),
            ],
        );
    });
}

/// Swaps each of two paths with the one beside it whose name ends in `-other`, as fast as it can, until it is dropped.
struct Swapping {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapping {
    fn start(paths: [PathBuf; 2]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let others = paths.clone().map(|path| path.with_extension("other"));
            while !told.load(Ordering::Relaxed) {
                for (path, other) in paths.iter().zip(&others) {
                    renameat_with(CWD, path, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "what swaps has failed");
    }
}

/// The guest meets the file or folder as well as the link that leads out, and the link never leads anywhere.
#[test]
fn what_the_host_swaps_meanwhile_does_not_lead_out() {
    everywhere(|place, guest| {
        let inside = place.path("in");
        fs::create_dir(inside.join("turn")).unwrap();
        fs::write(inside.join("turn/secret"), "inside").unwrap();
        symlink("../out", inside.join("turn.other")).unwrap();
        fs::write(inside.join("leaf"), "inside").unwrap();
        symlink("../out/secret", inside.join("leaf.other")).unwrap();
        let calls = [
            "@reads 2000 /in/turn/secret",
            "@reads 2000 /in/leaf",
            "@writes 2000 /in/turn/secret",
            "@writes 2000 /in/leaf",
            "@makes 2000 /in/turn/made",
        ];
        let calls = calls.map(str::to_owned);
        let mut met = vec![String::new(); calls.len()];
        let swapping = Swapping::start([inside.join("turn"), inside.join("leaf")]);
        // A machine with much else to do may give one side all the time of a run.
        for _ in 0..20 {
            for (met, answer) in met.iter_mut().zip(place.answers(&["PLACE/in:/in"], guest, &calls)) {
                met.push_str(&answer);
            }
            if met.iter().all(|met| met.contains("<ok") && met.contains("<EPERM>")) {
                break;
            }
        }
        drop(swapping);
        for met in met {
            assert!(!met.contains("s3cret"), "{guest}: {met}");
            assert!(met.contains("<ok") && met.contains("<EPERM>"), "{guest}, one side was never met: {met}");
        }
    });
}
