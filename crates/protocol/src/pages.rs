//! Cuts a long listing into responses that each fit into a message.

use crate::MAX_MESSAGE_BYTES;
use crate::message::{RequestId, Response, ResponseBody, TargetInfo};
use crate::response::target_to_wire;
use prost::Message;

/// Room for what a response holds besides targets: its number, the `last` mark, and the tags and lengths around.
const ENVELOPE_BYTES: usize = 64;
/// The tag and the length of one target: 1 byte, and 3 that count up to 2097151.
const TARGET_FRAME_BYTES: usize = 4;

/// The responses that list these targets: at least one, the last of them marked so, each short enough to be sent.
#[must_use]
pub fn listing_pages(id: RequestId, targets: Vec<TargetInfo>) -> Vec<Response> {
    let mut pages = Vec::new();
    let mut page = Vec::new();
    let mut page_bytes = ENVELOPE_BYTES;
    for target in targets {
        let target_bytes = target_to_wire(&target).encoded_len() + TARGET_FRAME_BYTES;
        if page_bytes + target_bytes > MAX_MESSAGE_BYTES {
            pages.push(response(id, std::mem::take(&mut page), false));
            page_bytes = ENVELOPE_BYTES;
        }
        page_bytes += target_bytes;
        page.push(target);
    }
    pages.push(response(id, page, true));
    pages
}

fn response(id: RequestId, targets: Vec<TargetInfo>, last: bool) -> Response {
    Response { id, body: ResponseBody::Listing { targets, last } }
}
