//! client (skeleton).
