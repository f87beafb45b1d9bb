//! wasi (skeleton).
