//! Takes from its host whatever it can get, as `raw/src/bin/hostile.rs` does, and in the ways of preview 1:
//!
//! | words | what is done |
//! |---|---|
//! | `random BYTES` | asks for so many random bytes |
//! | `poll N` | waits for N things with one call |
//! | `yield` | computes for ever, and lets others have a turn each time |
//! | `renumber PATH N` | opens a file N times, and puts each under the number of the one before |
#![expect(unsafe_code, reason = "a foreign call, with a length that is too large")]

use guest_parts::hostile;
use p1_guests::calls::{close, renumber};
use p1_guests::poll::{Want, poll};
use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};

fn main() {
    let words = hostile::words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let told = match hostile::ordinary(&words) {
        Some(told) => told,
        None => beyond(&words),
    };
    println!("{told}");
}

fn beyond(words: &[&str]) -> String {
    let number = |text: &str| text.parse::<usize>().expect("a number");
    match words {
        ["random", bytes] => random(number(bytes)),
        ["poll", count] => match poll(&vec![Want::After(1, 0); number(count)]) {
            Ok(happened) => format!("{} ready", happened.len()),
            Err(errno) => format!("{errno:?}"),
        },
        ["yield"] => loop {
            std::thread::yield_now();
        },
        ["renumber", path, times] => {
            let kept = File::open(path).expect("the file").into_raw_fd() as u32;
            for _ in 0..number(times) {
                let file = File::open(path).expect("the file");
                let number = file.as_raw_fd() as u32;
                // It has another number from now on.
                std::mem::forget(file);
                renumber(number, kept).expect("both are open");
            }
            close(kept).expect("it is open");
            "done".to_owned()
        }
        _ => panic!("see the head of the source for the words"),
    }
}

fn random(bytes: usize) -> String {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn random_get(start: *mut u8, length: usize) -> u32;
    }
    // Nothing is there to hold so many; that they are made is what it is about.
    let mut start = [0];
    format!("error {}", unsafe { random_get(start.as_mut_ptr(), bytes) })
}
