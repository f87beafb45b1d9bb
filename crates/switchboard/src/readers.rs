//! The tasks that read: each turns what comes on one channel into events, and ends with the channel.

use crate::board::Board;
use crate::effects::Writing;
use crate::turns::Party;
use capability::{LimitKind, Refusal, Right};
use channel::{Channel, ReceiveError, Received};
use protocol::message::{Call, Decision, Reply, Request, RequestId, Response};
use std::convert::Infallible;
use std::sync::Arc;
use switchboard_core::{Event, HandleId, TargetId, WatchId};
use tokio::sync::Notify;

/// Reads a handle, in turn with those of other parties.
pub(crate) async fn read_handle(
    board: Arc<Board>,
    (handle, party): (HandleId, Party),
    channel: Arc<Channel<Request, Response>>,
    room: Arc<Notify>,
) {
    while has_room(&board, handle, &room).await {
        let Ok(arrival) = channel.arrival().await else { break };
        let turn = board.turns.take(&party).await;
        let goes_on = arrival.take().is_none_or(|received| hear(&board, handle, received));
        turn.end().await;
        if !goes_on {
            break;
        }
    }
    board.lock().handles.remove(&handle);
    board.apply(Event::HandleClosed(handle), None);
}

/// Makes an event of what came on a handle. Whether it may be read on.
fn hear(board: &Arc<Board>, handle: HandleId, received: Received<Request>) -> bool {
    let event = match received {
        Ok(Some((Request { id, body }, descriptor))) => {
            board.apply(Event::Request { handle, id, body }, descriptor);
            return true;
        }
        Ok(None) => return false,
        // The request is refused, and what it carried is closed; the handle lives on.
        Err(ReceiveError::Invalid { id, request, refusal }) => Event::Refused { handle, id, request, refusal },
        Err(ReceiveError::OutOfDescriptors { id: Some(id) }) => Event::Refused {
            handle,
            id: RequestId(id),
            // No other request carries one.
            request: Right::IngressConnect.name(),
            refusal: Refusal::Limit { limit: LimitKind::Descriptors },
        },
        Err(error) => {
            board.lock().complain(board, handle, &error);
            return false;
        }
    };
    board.apply(event, None);
    true
}

/// Waits until few enough answers wait for the handle. False if the handle was closed meanwhile.
async fn has_room(board: &Board, handle: HandleId, room: &Notify) -> bool {
    loop {
        match board.lock().handles.get(&handle).map(|(peer, _)| peer.has_room()) {
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

/// Sends what waits for a handle, in order and in turn with those of other parties, until nothing does.
pub(crate) async fn write_handle(board: Arc<Board>, (handle, party): (HandleId, Party)) {
    loop {
        let turn = board.turns.take(&party).await;
        let written = board.lock().write_waiting(&board, handle);
        turn.end().await;
        let outcome = match written {
            Ok(Writing::GoesOn) => Ok(()),
            Ok(Writing::Waits(channel)) => channel.writable().await,
            Ok(Writing::IsOver) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(?handle, %error, "an answer could not be sent");
            // Its asker would wait for ever. That the handle is closed tells it, and frees what it held.
            board.lock().handles.remove(&handle);
            return board.apply(Event::HandleClosed(handle), None);
        }
    }
}
