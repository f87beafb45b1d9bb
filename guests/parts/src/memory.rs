//! The whole memory of a program, as no object of it.
#![expect(unsafe_code, reason = "reads memory that is no object of the program")]

use std::arch::wasm32::{memory_grow, memory_size};

const PAGE_BYTES: usize = 64 * 1024;
/// So much is added to the memory.
const FRESH_PAGES: usize = 16;

/// How many words of memory are `wanted`.
#[must_use]
pub fn count_of(wanted: u64) -> usize {
    // Nothing is at address 0, and a pointer there is not allowed.
    (8..memory_size(0) * PAGE_BYTES).step_by(8).filter(|address| word(*address) == wanted).count()
}

/// Asks for more memory, and tells how many words of it are not zero, as they should be.
#[must_use]
pub fn used_words_of_fresh_pages() -> usize {
    let begin = memory_grow(0, FRESH_PAGES);
    if begin == usize::MAX {
        return 0;
    }
    let fresh = begin * PAGE_BYTES..(begin + FRESH_PAGES) * PAGE_BYTES;
    fresh.step_by(8).filter(|address| word(*address) != 0).count()
}

fn word(address: usize) -> u64 {
    // SAFETY: both callers stay below `memory_size`, where every address can be read, and go in steps of eight from a
    // multiple of eight. Nothing else runs meanwhile.
    unsafe { (address as *const u64).read_volatile() }
}
