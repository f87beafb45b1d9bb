//! Decides how much one guest may have its host keep and open for it: every number of this crate that bounds a guest.
//!
//! What the engine counts is in [`sandbox::Limits`]. What all of it comes to, and what a guest that meets a limit gets,
//! is a table in `docs/limits.md`.

/// What one guest may have its host keep and open for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Sockets at once, peers of UDP sockets included. More than most services need, and few enough that one guest cannot
    /// use up the descriptors of a process that hosts several.
    pub sockets: usize,
    /// Open files and folders at once. As many as Linux lets a process have that asks for no more.
    pub files: usize,
    /// Folders that are being listed at once: their entries are all in memory. Programs that descend into folders have as
    /// many open as the way is long.
    pub listings: usize,
    /// Random bytes in one call. They are copied, and nobody else has a turn meanwhile: some milliseconds.
    pub random_bytes: u64,
    /// One set of header fields, in bytes, with what the host needs to keep them. Proxies take 8 KiB, this host's own door
    /// 32.
    pub fields_bytes: usize,
    /// All header fields, requests and responses at once, in bytes.
    pub http_bytes: usize,
    /// Requests to the outside under way at once, responses that are still held included.
    pub requests: usize,
    /// Datagrams that were received and not read, of all its sockets, in bytes. What comes then is lost.
    pub datagram_bytes: usize,
    /// What was written to sockets and the kernel has not taken, of all of them, in bytes: about. Streams take less at a
    /// time when there are many.
    pub unsent_bytes: usize,
    /// What one call of preview 1 can wait for: to read and to write, for each descriptor that there may be, and more.
    pub subscriptions: u32,
}

impl Default for HostLimits {
    fn default() -> Self {
        HostLimits {
            sockets: 4096,
            files: 1024,
            listings: 64,
            random_bytes: 4 << 20,
            fields_bytes: 128 << 10,
            http_bytes: 128 << 20,
            requests: 1024,
            datagram_bytes: 32 << 20,
            unsent_bytes: 32 << 20,
            subscriptions: 16 * 1024,
        }
    }
}

/// A limit that ends the guest that meets it, because the interface has no code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    /// [`HostLimits::fields_bytes`].
    #[error("limit reached: {0} bytes in one set of header fields")]
    Fields(usize),
    /// [`HostLimits::http_bytes`].
    #[error("limit reached: {0} bytes of header fields and requests at once")]
    Http(usize),
    /// [`HostLimits::random_bytes`].
    #[error("limit reached: {0} random bytes in one call")]
    Random(u64),
}
