//! Where packets are received: one buffer a thread, so that ten thousand idle channels hold none.

use protocol::MAX_MESSAGE_BYTES;
use std::cell::RefCell;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_MESSAGE_BYTES].into());
}

/// Runs `receive` with this thread's buffer. `receive` must not call this again; it neither waits nor calls back, as it
/// only receives a packet and decodes it.
pub(crate) fn with_bytes<T>(receive: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| receive(buffer))
}
