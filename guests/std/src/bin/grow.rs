//! Allocates memory until there is no more, then says how much it got: shows where a memory limit lies.
//!
//! Prints `grew to N MiB` and exits with 0; being refused memory is an answer, not a crash.

const STEP: usize = 1 << 20;

fn main() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if blocks.try_reserve(1).is_err() || block.try_reserve_exact(STEP).is_err() {
            break;
        }
        // Touched, so that the memory is really there and not only promised.
        block.resize(STEP, 1);
        blocks.push(block);
    }
    let count = blocks.len();
    drop(blocks);
    println!("grew to {count} MiB");
}
