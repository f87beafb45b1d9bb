//! Leaves what a client says all over the memory of the program, and finds what was left there before.
//!
//! What is looked for stands behind a marker, which is nowhere in the program as it is: the search would find itself.

use crate::memory;
use std::fmt;
use std::hint::black_box;
use std::sync::Mutex;

/// With every bit turned over. Any word of eight bytes would do.
const MARKER: u64 = !u64::from_le_bytes(*b"SECRETS=");
/// More than an engine may keep and clear by hand.
const BUFFER_WORDS: usize = (1 << 20) / size_of::<u64>();

static SAID: Mutex<String> = Mutex::new(String::new());
static BUFFER: Mutex<[u64; BUFFER_WORDS]> = Mutex::new([0; BUFFER_WORDS]);

/// What an earlier client has left. Ask before anything is read from the client of now.
#[derive(Debug, PartialEq, Eq)]
pub struct Traces {
    said: String,
    buffer_words: usize,
    markers: usize,
    fresh_words: usize,
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::none() {
            return f.write_str("nothing found");
        }
        let Self { said, buffer_words, markers, fresh_words } = self;
        write!(f, "found {said:?}, {buffer_words} words of the buffer, ")?;
        write!(f, "{markers} markers in memory, {fresh_words} words in fresh pages")
    }
}

impl Traces {
    fn none() -> Self {
        Self { said: String::new(), buffer_words: 0, markers: 0, fresh_words: 0 }
    }

    /// Looks everywhere.
    #[must_use]
    pub fn find() -> Self {
        let said = lock(&SAID).clone();
        let buffer_words = lock(&BUFFER).iter().filter(|word| **word != 0).count();
        let (markers, fresh_words) = (memory::count_of(!MARKER), memory::used_words_of_fresh_pages());
        Self { said, buffer_words, markers, fresh_words }
    }
}

/// Leaves `text` in statics and on the heap, many times. How many bytes it has.
pub fn leave(text: &str) -> usize {
    let mut padded = [0; 64];
    padded.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    let words = padded.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    let marked: Vec<u64> = std::iter::once(!MARKER).chain(words).collect();
    let mut heap = Vec::with_capacity(BUFFER_WORDS + marked.len());
    while heap.len() < BUFFER_WORDS {
        heap.extend_from_slice(&marked);
    }
    lock(&BUFFER).copy_from_slice(&heap[..BUFFER_WORDS]);
    // Never freed, and never optimised away.
    black_box(Box::leak(heap.into_boxed_slice()));
    lock(&SAID).push_str(text);
    text.len()
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().expect("nobody panics in between")
}
