//! Pages that never answer.

use wasip3::clocks::monotonic_clock::wait_for;

/// `/trap`: fails before there is an answer. Its name must be in the backtrace.
#[inline(never)]
pub(crate) fn trap() -> ! {
    eprintln!("about to trap");
    std::arch::wasm32::unreachable()
}

/// `/spin`: works for ever without a call to the host.
pub(crate) fn spin() -> ! {
    eprintln!("about to spin");
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// `/sleep-forever`: waits for something that does not come in this life.
pub(crate) async fn sleep() -> ! {
    eprintln!("about to sleep");
    loop {
        wait_for(1 << 60).await;
    }
}
