//! The streams of a TCP socket as 0.3 has them: arriving sockets, received bytes, bytes to send.
//!
//! Bytes go straight between the guest's memory and the socket. A stream that ends tells its outcome to the future that
//! the guest got with it. All three live on when the socket resource is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::component::{Destination, Resource, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::p3::bindings::sockets::types::{ErrorCode, TcpSocket as Theirs};

use crate::sockets::connection::{Reader, Writer};
use crate::sockets::fault::Fault;
use crate::sockets::listener::Listener;
use crate::sockets::p2::{SocketsView, theirs};

/// What is read at once if the reader does not say how much it takes.
const DEFAULT_READ_BYTES: usize = 64 * 1024;

/// How a stream ended.
pub(super) type Outcome = Result<(), ErrorCode>;

/// One half of a connection as long as its stream goes on, and who is told how it ended.
pub(super) struct Half<S> {
    open: Option<(S, oneshot::Sender<Outcome>)>,
}

impl<S> Half<S> {
    /// A half, and the future for its outcome. It always gets one.
    pub(super) fn new(stream: S) -> (Half<S>, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Half { open: Some((stream, sender)) }, receiver)
    }

    fn end(&mut self, outcome: Result<(), Fault>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some((stream, sender)) = self.open.take() {
            // First the end of the stream, then word of it.
            drop(stream);
            // The guest may have dropped the future.
            let _ = sender.send(outcome.map_err(ErrorCode::from));
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<S> Drop for Half<S> {
    /// The guest ended the stream.
    fn drop(&mut self) {
        let _ = self.end(Ok(()));
    }
}

/// What to answer while there is nothing: wait, unless the guest wants to stop waiting.
fn nothing(finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending }
}

/// What to answer to a guest that asks for nothing but whether there is something.
fn readiness(ready: Poll<()>, finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    match ready {
        Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
        Poll::Pending => nothing(finish),
    }
}

impl<D> StreamProducer<D> for Half<Reader> {
    type Item = u8;
    type Buffer = bytes::BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((reader, _)) = &mut self.open else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return readiness(reader.poll_readable(cx), finish);
        }
        let mut destination = destination.as_direct(store, DEFAULT_READ_BYTES);
        match reader.poll_read(cx, destination.remaining()) {
            Poll::Ready(Ok(0)) => self.end(Ok(())),
            Poll::Ready(Ok(count)) => {
                destination.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(fault)) => self.end(Err(fault)),
            Poll::Pending => nothing(finish),
        }
    }
}

impl<D> StreamConsumer<D> for Half<Writer> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((writer, _)) = &mut self.open else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let mut source = source.as_direct(store);
        if source.remaining().is_empty() {
            return readiness(writer.poll_writable(cx), finish);
        }
        match writer.poll_write(cx, source.remaining()) {
            Poll::Ready(Ok(count)) => {
                source.mark_read(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(fault)) => self.end(Err(fault)),
            Poll::Pending => nothing(finish),
        }
    }
}

/// The sockets that arrive at a listening one. It has no end.
pub(super) struct Arrivals<D> {
    pub(super) listener: Arc<Listener>,
    /// The way to the table in which the guest finds them.
    pub(super) view: for<'a> fn(&'a mut D) -> SocketsView<'a>,
}

impl<D: 'static> StreamProducer<D> for Arrivals<D> {
    type Item = Resource<Theirs>;
    type Buffer = Option<Self::Item>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return readiness(self.listener.poll_acceptable(cx), finish);
        }
        let Poll::Ready(socket) = self.listener.poll_accept(cx) else { return nothing(finish) };
        let socket = (self.view)(store.data_mut()).table.push(socket)?;
        destination.set_buffer(Some(theirs(&socket)));
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
