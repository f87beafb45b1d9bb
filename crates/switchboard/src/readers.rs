//! The tasks that read: each turns what comes on one channel into events, and ends with the channel.

use crate::board::Board;
use capability::{LimitKind, Refusal};
use channel::{Channel, ReceiveError};
use protocol::message::{Call, Decision, Reply, Request, RequestId, Response};
use std::convert::Infallible;
use std::sync::Arc;
use switchboard_core::{Event, HandleId, TargetId, WatchId};
use tokio::sync::Notify;

pub(crate) async fn read_handle(
    board: Arc<Board>,
    handle: HandleId,
    channel: Arc<Channel<Request, Response>>,
    room: Arc<Notify>,
) {
    while has_room(&board, handle, &room).await {
        match channel.receive().await {
            Ok(Some((request, descriptor))) => {
                board.apply(Event::Request { handle, id: request.id, body: request.body }, descriptor);
            }
            Ok(None) => break,
            // The request is refused, and what it carried is closed; the handle lives on.
            Err(ReceiveError::Invalid { id, refusal }) => board.refuse(handle, id, refusal),
            Err(ReceiveError::OutOfDescriptors { id: Some(id) }) => {
                board.refuse(handle, RequestId(id), Refusal::Limit { limit: LimitKind::Descriptors });
            }
            Err(error) => {
                tracing::warn!(?handle, %error, "handle closed: its other end broke the protocol");
                break;
            }
        }
    }
    board.lock().handles.remove(&handle);
    board.apply(Event::HandleClosed(handle), None);
}

/// Waits until few enough answers wait for the handle. False if the handle was closed meanwhile.
async fn has_room(board: &Board, handle: HandleId, room: &Notify) -> bool {
    loop {
        match board.lock().handles.get(&handle).map(|peer| peer.has_room()) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        room.notified().await;
    }
}

pub(crate) async fn read_target(board: Arc<Board>, target: TargetId, channel: Arc<Channel<Reply, Call>>) {
    loop {
        match channel.receive().await {
            Ok(Some((Reply { id, body }, descriptor))) => {
                board.apply(Event::Replied { target, call: id, body }, descriptor);
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(?target, %error, "target closed: it broke the protocol");
                break;
            }
        }
    }
    board.lock().targets.remove(&target);
    board.apply(Event::TargetClosed(target), None);
}

/// A watcher has nothing to say: whatever comes, the channel is done.
pub(crate) async fn read_watch(board: Arc<Board>, watch: WatchId, channel: Arc<Channel<Infallible, Decision>>) {
    let _ = channel.receive().await;
    board.lock().watches.remove(&watch);
    board.apply(Event::WatchClosed(watch), None);
}

/// Sends what waits for a handle, in order, until nothing does.
pub(crate) async fn write_handle(board: Arc<Board>, handle: HandleId) {
    loop {
        let (channel, next) = {
            let mut state = board.lock();
            let Some(peer) = state.handles.get_mut(&handle) else { return };
            (peer.channel.clone(), peer.next_waiting())
        };
        let Some((message, descriptor)) = next else { break };
        if let Err(error) = channel.send(&message, descriptor.as_ref().map(std::os::fd::AsFd::as_fd)).await {
            tracing::debug!(?handle, %error, "an answer could not be sent");
            // Its asker would wait for ever. That the handle is closed tells it, and frees what it held.
            board.lock().handles.remove(&handle);
            return board.apply(Event::HandleClosed(handle), None);
        }
    }
    let drained = board.lock().handles.get_mut(&handle).map(|peer| peer.drained());
    for event in drained.into_iter().flatten() {
        board.apply(event, None);
    }
}
