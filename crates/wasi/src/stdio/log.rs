//! Standard error as a log has it: whole lines, of a bounded length.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamResult};

/// A line that is longer is told in pieces of this size, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// So much may be written at once, in bytes.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// Takes what a guest says, a line at a time. Called from the guest's thread, so it must not block for long.
pub trait GuestLog: Send + Sync + fmt::Debug {
    /// A line without its end. The bytes are the guest's own: they may be no text, and hold control characters.
    fn line(&self, line: &[u8]);
}

/// One stream into a log. Clones write to the same line.
#[derive(Clone, Debug)]
pub(super) struct LogStream(Arc<Lines>);

#[derive(Debug)]
struct Lines {
    log: Arc<dyn GuestLog>,
    /// What was written of a line that has not ended.
    begun: Mutex<Vec<u8>>,
}

impl LogStream {
    pub(super) fn new(log: Arc<dyn GuestLog>) -> LogStream {
        LogStream(Arc::new(Lines { log, begun: Mutex::default() }))
    }
}

impl Lines {
    fn begun(&self) -> MutexGuard<'_, Vec<u8>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, data: &[u8]) {
        let mut begun = self.begun();
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_end) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            for piece in text.chunks(MAX_LINE_BYTES) {
                if begun.len() + piece.len() > MAX_LINE_BYTES {
                    self.log.line(&std::mem::take(&mut *begun));
                }
                begun.extend_from_slice(piece);
            }
            if is_end {
                self.log.line(&std::mem::take(&mut *begun));
            }
        }
    }
}

impl Drop for Lines {
    /// A last line without an end is a line too.
    fn drop(&mut self) {
        let begun = std::mem::take(&mut *self.begun());
        if !begun.is_empty() {
            self.log.line(&begun);
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE_BYTES)
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.write(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Vec<u8>>>);
    impl GuestLog for Kept {
        fn line(&self, line: &[u8]) {
            self.0.lock().unwrap().push(line.to_vec());
        }
    }

    fn lines(writes: &[&[u8]]) -> Vec<Vec<u8>> {
        let kept = Arc::new(Kept::default());
        let stream = LogStream::new(Arc::clone(&kept) as Arc<dyn GuestLog>);
        writes.iter().for_each(|data| stream.0.write(data));
        drop(stream);
        std::mem::take(&mut *kept.0.lock().unwrap())
    }

    #[test]
    fn lines_are_whole_however_they_were_written() {
        assert_eq!(lines(&[b"a", b"b\nc", b"\n\nd"]), [&b"ab"[..], b"c", b"", b"d"]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_long_line_is_told_in_pieces() {
        let long = vec![b'x'; 2 * MAX_LINE_BYTES + 1];
        let told = lines(&[&long[..100], &long[100..], b"\n"]);
        assert!(told.iter().all(|line| line.len() <= MAX_LINE_BYTES));
        assert_eq!(told.concat(), long);
    }
}
