//! benches (skeleton).
