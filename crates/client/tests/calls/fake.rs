//! A switchboard that answers what the test says, over a real socket and the real codec.

use capability::Labels;
use channel::Channel;
use client::Handle;
use protocol::message::{Request, RequestBody, RequestId, Response, ResponseBody};
use std::io::{PipeReader, Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Descriptors are counted for the whole process, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn count_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs a test alone on a runtime of its own, and holds it to the descriptors that were there before.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let _alone: MutexGuard<'_, ()> = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime of a process makes descriptors that stay, if another crate of the build wants signals of it.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let before = count_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test()).await.unwrap() });
    drop(runtime);
    assert_eq!(count_descriptors(), before);
}

/// The far end of a handle.
pub(crate) struct Switchboard {
    pub(crate) channel: Channel<Request, Response>,
}

/// A handle and its switchboard.
pub(crate) fn ends() -> (Handle, Switchboard) {
    let (near, far) = fdpass::pair().unwrap();
    let channel = Channel::new(far).unwrap();
    (Handle::new(near).unwrap(), Switchboard { channel })
}

impl Switchboard {
    /// The next request, with what it carries.
    pub(crate) async fn request(&self) -> (RequestId, RequestBody, Option<OwnedFd>) {
        let (request, descriptor) = self.channel.receive().await.unwrap().unwrap();
        (request.id, request.body, descriptor)
    }

    pub(crate) async fn respond(&self, id: RequestId, body: ResponseBody, descriptor: Option<OwnedFd>) {
        let descriptor = descriptor.as_ref().map(AsFd::as_fd);
        self.channel.send(&Response { id, body }, descriptor).await.unwrap();
    }

    /// Answers one request, and says what it asked.
    pub(crate) async fn answer(&self, body: ResponseBody, descriptor: Option<OwnedFd>) -> RequestBody {
        let (id, asked, _) = self.request().await;
        self.respond(id, body, descriptor).await;
        asked
    }
}

/// A descriptor to pass, and the end that tells whether it was closed.
pub(crate) fn passenger() -> (OwnedFd, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    (writer.into(), reader)
}

pub(crate) fn is_closed(reader: &mut PipeReader) -> bool {
    matches!(reader.read(&mut [0]), Ok(0))
}

pub(crate) fn labels(value: &str) -> Labels {
    Labels::try_from_pairs([("service", value)]).unwrap()
}
