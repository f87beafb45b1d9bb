//! manifest (skeleton).
