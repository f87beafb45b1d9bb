//! Events for the switchboard's core: whatever comes, every request is answered once, no right or label widens, and
//! nothing is left behind. The harness, with all that it checks, is that of the core's own tests.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the core's tests add up what happened in many plays")]
#[path = "../../crates/switchboard-core/tests/core/harness.rs"]
mod harness;

fuzz_target!(|bytes: &[u8]| {
    let (steps, _) = bytes.as_chunks();
    let _ = harness::play(steps).all_above(0);
});
