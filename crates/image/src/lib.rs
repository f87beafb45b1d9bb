//! Keeps compiled code, so that a guest is compiled once: the compile cache.
//!
//! [`Cache::open`] takes the directory, [`Cache::code`] answers a guest's file with a file of compiled code, calling the
//! compiler only if there is no sound entry. An entry is found by what the guest's file holds (not by its name) and by
//! the engine's code key. Whatever is wrong with an entry (a flipped byte, a cut, another owner, loose permissions, a
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
//! use std::io::{Read, Write, read_to_string};
//!
//! # let dir = tempfile::tempdir()?;
//! # let guest_path = dir.path().join("guest.wasm");
//! # std::fs::write(&guest_path, "guest")?;
//! let cache = image::Cache::open(&dir.path().join("cache"));
//! let mut compilations = 0;
//! for _ in 0..2 {
//!     let entry = cache.code(&File::open(&guest_path)?, "engine-1", image::Reuse::Allowed, |guest, mut code| {
//!         compilations += 1;
//!         code.write_all(read_to_string(guest)?.to_uppercase().as_bytes())
//!     })?;
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

pub use cache::{Cache, CodeError, Entry, Origin, Reuse};
pub use dir::KeepError;
pub use stamp::Stamp;
