//! edge (skeleton).
