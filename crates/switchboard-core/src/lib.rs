//! switchboard-core (skeleton).
