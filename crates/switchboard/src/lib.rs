//! switchboard (skeleton).
