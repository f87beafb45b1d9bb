//! image (skeleton).
