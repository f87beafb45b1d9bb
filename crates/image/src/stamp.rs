//! Decides whether a file is the one it was when it was last hashed, without reading it.
//!
//! A write changes a file's times, and nobody can set the time of a change back. But the times move in steps of some
//! milliseconds: a write in the same step as an earlier one leaves no trace. So a stamp only counts once the clock has
//! left the step of the file's last change ([`Stamp::is_settled`]).

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The slowest step of file times: Linux's coarse clock at 100 Hz, doubled.
const TIME_STEP: Duration = Duration::from_millis(20);

/// What identifies one state of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Takes the stamp of an open file.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn of(file: &File) -> io::Result<Stamp> {
        file.metadata().map(|meta| Stamp::of_metadata(&meta))
    }

    pub(crate) fn of_metadata(meta: &Metadata) -> Stamp {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether any later write to the file must show in a new stamp.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        #[expect(clippy::disallowed_methods, reason = "compared with the times of files, which are this clock's")]
        let now = SystemTime::now();
        let Ok(since) = now.duration_since(UNIX_EPOCH) else {
            return false;
        };
        since.as_nanos().cast_signed() > nanoseconds(self.changed) + TIME_STEP.as_nanos().cast_signed()
    }

    /// Waits until the stamp is settled. `false`: it will not be, because the file's times are not this clock's.
    #[must_use]
    pub fn settle(&self) -> bool {
        for _ in 0..4 {
            if self.is_settled() {
                return true;
            }
            std::thread::sleep(TIME_STEP / 2);
        }
        self.is_settled()
    }

    /// Reads what `Display` wrote, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Stamp> {
        let mut parts = text.split(' ');
        let stamp = Stamp {
            device: parts.next()?.parse().ok()?,
            inode: parts.next()?.parse().ok()?,
            size: parts.next()?.parse().ok()?,
            modified: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
            changed: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
        };
        (stamp.to_string() == text).then_some(stamp)
    }
}

fn nanoseconds((seconds, nanoseconds): (i64, i64)) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp { device, inode, size, modified, changed } = self;
        write!(f, "{device} {inode} {size} {} {} {} {}", modified.0, modified.1, changed.0, changed.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_was() {
        let stamp = Stamp::of(&File::open("/proc/self/exe").unwrap()).unwrap();
        let text = stamp.to_string();
        assert_eq!(Stamp::parse(&text), Some(stamp));
        for bad in
            ["", "1 2 3", &format!("{text} "), &format!("{text} 1"), &format!("+{text}"), &text[..text.len() / 2]]
        {
            assert_eq!(Stamp::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_write_shows_once_the_stamp_is_settled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a").unwrap();
        let before = Stamp::of(file.as_file()).unwrap();
        assert!(before.settle());
        assert_eq!(Stamp::of(file.as_file()).unwrap(), before);
        std::fs::write(file.path(), "b").unwrap();
        assert_ne!(Stamp::of(file.as_file()).unwrap(), before);
    }
}
