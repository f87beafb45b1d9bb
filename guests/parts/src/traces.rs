//! Leaves what a client says all over the memory of the program, and finds what was left there before.
//!
//! What is looked for begins with [`MARKER`], which is nowhere in the program as it is: the search would find itself.

use std::fmt;
use std::hint::black_box;
use std::sync::Mutex;

/// `SECRET=` with every bit of each byte turned over.
const MARKER: [u8; 7] = [!b'S', !b'E', !b'C', !b'R', !b'E', !b'T', !b'='];
const BUFFER_BYTES: usize = 1 << 20;
const HEAP_BYTES: usize = 1 << 20;

static SAID: Mutex<String> = Mutex::new(String::new());
static BUFFER: Mutex<[u8; BUFFER_BYTES]> = Mutex::new([0; BUFFER_BYTES]);

/// What an earlier client has left. Ask before anything is read from the client of now.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces {
    said: String,
    buffer_bytes: usize,
    markers: usize,
    fresh_bytes: usize,
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::none() {
            return f.write_str("nothing found");
        }
        let Self { said, buffer_bytes, markers, fresh_bytes } = self;
        write!(f, "found {said:?}, {buffer_bytes} bytes of the buffer, ")?;
        write!(f, "{markers} markers in memory, {fresh_bytes} bytes in fresh pages")
    }
}

impl Traces {
    fn none() -> Self {
        Self { said: String::new(), buffer_bytes: 0, markers: 0, fresh_bytes: 0 }
    }

    /// Looks everywhere.
    #[must_use]
    pub fn find() -> Self {
        let said = lock(&SAID).clone();
        let buffer_bytes = lock(&BUFFER).iter().filter(|byte| **byte != 0).count();
        let (markers, fresh_bytes) = search();
        Self { said, buffer_bytes, markers, fresh_bytes }
    }
}

/// Leaves `text` in statics and on the heap. How many bytes it has.
pub fn leave(text: &str) -> usize {
    let marked: Vec<u8> = MARKER.iter().map(|byte| !byte).chain(text.bytes()).collect();
    let mut heap = Vec::with_capacity(HEAP_BYTES);
    while heap.len() + marked.len() <= HEAP_BYTES {
        heap.extend_from_slice(&marked);
    }
    lock(&BUFFER).copy_from_slice(&heap[..BUFFER_BYTES]);
    // Never freed, and never optimised away.
    black_box(Box::leak(heap.into_boxed_slice()));
    lock(&SAID).push_str(text);
    text.len()
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().expect("nobody panics in between")
}

/// Reads all memory there is, then asks for more and reads that.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "looks at memory that is no object of this program")]
fn search() -> (usize, usize) {
    use std::arch::wasm32::{memory_grow, memory_size};
    const PAGE_BYTES: usize = 64 * 1024;
    // So much is added to the memory and must be zero.
    const FRESH_PAGES: usize = 16;
    let byte = |address: usize| {
        // SAFETY: below `memory_size` every address can be read, and nothing else runs meanwhile.
        unsafe { (address as *const u8).read_volatile() }
    };
    let end = memory_size(0) * PAGE_BYTES;
    // Nothing is at address 0, and a pointer there is not allowed.
    let begins = (1..end - MARKER.len()).filter(|address| byte(*address) == !MARKER[0]);
    let is_marker = |address: &usize| (1..MARKER.len()).all(|index| byte(address + index) == !MARKER[index]);
    let markers = begins.filter(is_marker).count();
    let grown = memory_grow(0, FRESH_PAGES);
    if grown == usize::MAX {
        return (markers, 0);
    }
    let fresh = grown * PAGE_BYTES..(grown + FRESH_PAGES) * PAGE_BYTES;
    (markers, fresh.filter(|address| byte(*address) != 0).count())
}

#[cfg(not(target_arch = "wasm32"))]
fn search() -> (usize, usize) {
    unimplemented!("only WebAssembly has one memory that a program can look through")
}
