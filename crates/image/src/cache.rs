//! Decides whether there is sound compiled code for a guest, and keeps what is made.
//!
//! Three kinds of file lie in the directory, all small but the first:
//!
//! - `KEY.code`, compiled code; KEY sums up what the guest's file holds and the engine's code key;
//! - `KEY.seal`, a [`Seal`] for it;
//! - `STAMP.source`, a [`Seal`] for a guest's file, found by its stamp, which says what the file holds.
//!
//! Two processes that fill the same entry write the same code under different temporary names. If the code of one ends
//! beside the seal of the other, the stamp does not fit, and the next reader hashes once more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::digest::Digest;
use crate::dir::{KeepError, PrivateDir};
use crate::seal::{self, Seal};
use crate::stamp::Stamp;

/// How much is copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// The compile cache of one user.
#[derive(Debug)]
pub struct Cache {
    dir: Result<PrivateDir, KeepError>,
}

/// Compiled code, ready to be mapped.
#[derive(Debug)]
pub struct Entry {
    /// A file that only this user could have written.
    pub file: File,
    /// Where it came from.
    pub origin: Origin,
}

/// Where compiled code came from.
#[derive(Debug)]
pub enum Origin {
    /// It was in the cache.
    Cached,
    /// It was compiled now and is in the cache for the next time.
    Compiled,
    /// It was compiled now and is gone with this process, because nothing can be kept.
    Private {
        /// Why not, in one line.
        why: String,
    },
}

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CodeError<E: std::error::Error + 'static> {
    /// The guest's file cannot be read.
    #[error("cannot read the guest")]
    Source(#[source] io::Error),
    /// The compiler failed.
    #[error(transparent)]
    Compile(E),
    /// There is not even memory for the code.
    #[error("cannot keep the compiled code in memory")]
    Memory(#[source] io::Error),
}

impl Cache {
    /// Opens the cache in `path`, making it if it is missing. What is wrong with it is told when code is asked for.
    #[must_use]
    pub fn open(path: &Path) -> Cache {
        Cache { dir: PrivateDir::open(path) }
    }

    /// Looks at the guest in `source`.
    ///
    /// # Errors
    ///
    /// The guest cannot be read. A cache that cannot be used is no error.
    pub fn source<'a>(&'a self, source: &'a File) -> io::Result<Source<'a>> {
        let cached = match &self.dir {
            Ok(dir) => Ok((dir, source_sum(dir, source)?)),
            Err(why) => Err(why),
        };
        Ok(Source { file: source, cached })
    }
}

/// A guest's file, and what the cache knows of it.
#[derive(Debug)]
pub struct Source<'a> {
    file: &'a File,
    /// Where its code lies, and what the file holds.
    cached: Result<(&'a PrivateDir, Digest), &'a KeepError>,
}

impl Source<'_> {
    /// Finds compiled code that is sound.
    #[must_use]
    pub fn find(&self, code_key: &str) -> Option<Entry> {
        let (dir, sum) = self.cached.as_ref().ok()?;
        let file = sound_entry(dir, &entry_key(sum, code_key))?;
        Some(Entry { file, origin: Origin::Cached })
    }

    /// Has `compile` write the code, and keeps it in place of what may be there.
    ///
    /// `compile` gets the guest and the file to write to, both at their beginning, and is called at most once.
    ///
    /// # Errors
    ///
    /// The guest cannot be read, `compile` fails, or there is no memory. A cache that cannot be used is no error.
    pub fn fill<E: std::error::Error + 'static>(
        &self,
        code_key: &str,
        compile: impl FnOnce(&File, &File) -> Result<(), E>,
    ) -> Result<Entry, CodeError<E>> {
        let code = compiled(self.file, compile)?;
        let (dir, sum) = match &self.cached {
            Ok(cached) => cached,
            Err(why) => return Ok(private(code, why)),
        };
        Ok(match keep(dir, &entry_key(sum, code_key), &code) {
            Ok(file) => Entry { file, origin: Origin::Compiled },
            Err(why) => private(code, &why),
        })
    }
}

/// What an entry is found by.
fn entry_key(sum: &Digest, code_key: &str) -> String {
    Digest::of_bytes(format!("{sum}\n{code_key}").as_bytes()).to_string()
}

fn private(file: File, why: &KeepError) -> Entry {
    Entry { file, origin: Origin::Private { why: one_line(why) } }
}

/// An error and its causes.
fn one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What the guest's file holds; read only if its stamp is new.
fn source_sum(dir: &PrivateDir, source: &File) -> io::Result<Digest> {
    let stamp = Stamp::of(source)?;
    let name = format!("{}.source", Digest::of_bytes(stamp.to_string().as_bytes()));
    if let Some(seal) = read_seal(dir, &name)
        && seal.stamp == Some(stamp)
    {
        return Ok(seal.sum);
    }
    // Asked before reading: a write after this moment shows in the stamp.
    let settled = stamp.is_settled();
    let sum = Digest::of_file(source)?;
    if settled && Stamp::of(source)? == stamp {
        // Not kept is only slower next time.
        let _ = write_seal(dir, &name, Seal { sum, stamp: Some(stamp) });
    }
    Ok(sum)
}

/// An entry that holds what was compiled, or nothing.
fn sound_entry(dir: &PrivateDir, key: &str) -> Option<File> {
    let seal = read_seal(dir, &seal_name(key))?;
    let file = dir.open_file(&code_name(key))?;
    let stamp = Stamp::of(&file).ok()?;
    if seal.stamp == Some(stamp) {
        return Some(file);
    }
    let settled = stamp.is_settled();
    if Digest::of_file(&file).ok()? != seal.sum {
        return None;
    }
    // Not kept is only slower next time.
    let _ = write_seal(dir, &seal_name(key), Seal { stamp: settled.then_some(stamp), ..seal });
    Some(file)
}

/// Has the code written to a file of this process alone.
fn compiled<E: std::error::Error + 'static>(
    source: &File,
    compile: impl FnOnce(&File, &File) -> Result<(), E>,
) -> Result<File, CodeError<E>> {
    let code = memory_file().map_err(CodeError::Memory)?;
    io::Seek::rewind(&mut &*source).map_err(CodeError::Source)?;
    compile(source, &code).map_err(CodeError::Compile)?;
    io::Seek::rewind(&mut &code).map_err(CodeError::Memory)?;
    Ok(code)
}

fn memory_file() -> io::Result<File> {
    let fd = memfd_create("compiled-code", MemfdFlags::CLOEXEC)?;
    fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    Ok(fd.into())
}

/// Puts code into the cache.
fn keep(dir: &PrivateDir, key: &str, code: &File) -> Result<File, KeepError> {
    let sum = Digest::of_file(code);
    let file = dir.put(&code_name(key), |file| copy(code, file))?;
    if let (Ok(sum), Ok(stamp)) = (sum, Stamp::of(&file)) {
        let stamp = stamp.settle().then_some(stamp);
        // Without a seal the code is compiled again next time.
        write_seal(dir, &seal_name(key), Seal { sum, stamp })?;
    }
    io::Seek::rewind(&mut &file).map_err(|error| KeepError::Io { path: key.into(), error })?;
    Ok(file)
}

fn copy(from: &File, to: &mut File) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let count = from.read_at(&mut chunk, offset)?;
        if count == 0 {
            return Ok(());
        }
        io::Write::write_all(to, &chunk[..count])?;
        offset += count as u64;
    }
}

fn read_seal(dir: &PrivateDir, name: &str) -> Option<Seal> {
    Seal::parse(&dir.read_small(name, seal::MAX_BYTES)?)
}

fn write_seal(dir: &PrivateDir, name: &str, seal: Seal) -> Result<(), KeepError> {
    dir.put(name, |file| io::Write::write_all(file, seal.to_text().as_bytes())).map(drop)
}

fn code_name(key: &str) -> String {
    format!("{key}.code")
}

fn seal_name(key: &str) -> String {
    format!("{key}.seal")
}
