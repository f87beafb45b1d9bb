//! Loops for ever without a call to the host: only a time limit of the engine can end it.

fn main() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
