//! fdpass (skeleton).
