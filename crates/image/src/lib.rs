//! Keeps compiled code, so that a guest is compiled once: the compile cache.
//!
//! [`Cache::open`] takes the directory, [`Cache::source`] a guest's file. [`Source::find`] answers with a file of compiled
//! code if there is a sound entry, [`Source::fill`] has the compiler make one. An entry is found by what the guest's file
//! holds (not by its name) and by the engine's code key. Whatever is wrong with an entry (a flipped byte, a cut, another owner, loose permissions, a
//! symbolic link) makes it no entry: the guest is compiled again. If nothing can be kept, because the home directory
//! cannot be written or the disk is full, the code goes to a private file of this process and [`Origin::Private`] says
//! why.
//!
//! What an unchanged file holds is hashed once, not at every start: a [`Stamp`] of the file (device, inode, size,
//! times) tells whether it is unchanged.
//!
//! Never here: what is inside compiled code, and how it is compiled.
//!
//! ```
//! use std::fs::File;
//! use std::io::{Write, read_to_string};
//!
//! # let dir = tempfile::tempdir()?;
//! # let guest_path = dir.path().join("guest.wasm");
//! # std::fs::write(&guest_path, "guest")?;
//! let cache = image::Cache::open(&dir.path().join("cache"));
//! let mut compilations = 0;
//! for _ in 0..2 {
//!     let guest = File::open(&guest_path)?;
//!     let source = cache.source(&guest)?;
//!     let compile = |guest: &File, mut code: &File| {
//!         compilations += 1;
//!         code.write_all(read_to_string(guest)?.to_uppercase().as_bytes())
//!     };
//!     let entry = source.find("engine-1").map_or_else(|| source.fill("engine-1", compile), Ok)?;
//!     assert_eq!(read_to_string(&entry.file)?, "GUEST");
//! }
//! assert_eq!(compilations, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod digest;
mod dir;
mod seal;
mod stamp;

pub use cache::{Cache, CodeError, Entry, Origin, Source};
pub use dir::KeepError;
pub use stamp::Stamp;
