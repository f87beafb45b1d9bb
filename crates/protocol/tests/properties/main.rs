//! What holds for every message: it comes back as it was, and no bytes make the decoder fail in any other way than by
//! saying so.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

mod arbitrary;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::message::{Call, Decision, Reply, Request, Response};
use protocol::{MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, Message};
use std::fmt::Debug;

fn comes_back<M: Message + PartialEq + Debug>(message: &M) -> Result<(), TestCaseError> {
    let bytes = message.encode().unwrap();
    prop_assert!(!bytes.is_empty(), "an empty packet would look like a closed socket");
    prop_assert!(bytes.len() <= MAX_MESSAGE_BYTES);
    prop_assert!(message.descriptor_count() <= MAX_DESCRIPTORS);
    let decoded = M::decode(&bytes).unwrap();
    prop_assert_eq!(decoded.id(), message.id());
    prop_assert_eq!(&decoded, message);
    Ok(())
}

/// Whatever decodes is a message like any other: it encodes, and comes back.
fn decodes_soundly<M: Message + PartialEq + Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    match M::decode(bytes) {
        Ok(message) => comes_back(&message),
        Err(_) => Ok(()),
    }
}

fn all_decode_soundly(bytes: &[u8]) -> Result<(), TestCaseError> {
    decodes_soundly::<Request>(bytes)?;
    decodes_soundly::<Response>(bytes)?;
    decodes_soundly::<Call>(bytes)?;
    decodes_soundly::<Reply>(bytes)?;
    decodes_soundly::<Decision>(bytes)
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        arbitrary::request().prop_map(|message| message.encode().unwrap()),
        arbitrary::response().prop_map(|message| message.encode().unwrap()),
        arbitrary::call().prop_map(|message| message.encode().unwrap()),
        arbitrary::reply().prop_map(|message| message.encode().unwrap()),
        arbitrary::decision().prop_map(|message| message.encode().unwrap()),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_back(message in arbitrary::request()) {
        comes_back(&message)?;
    }

    #[test]
    fn a_response_comes_back(message in arbitrary::response()) {
        comes_back(&message)?;
    }

    #[test]
    fn a_call_comes_back(message in arbitrary::call()) {
        comes_back(&message)?;
    }

    #[test]
    fn a_reply_comes_back(message in arbitrary::reply()) {
        comes_back(&message)?;
    }

    #[test]
    fn a_decision_comes_back(message in arbitrary::decision()) {
        comes_back(&message)?;
    }

    #[test]
    fn random_bytes_decode_soundly(bytes in vec(any::<u8>(), 0..300)) {
        all_decode_soundly(&bytes)?;
    }

    #[test]
    fn damaged_messages_decode_soundly(
        mut bytes in some_bytes(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        keep_whole in any::<bool>(),
    ) {
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if !keep_whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        all_decode_soundly(&bytes)?;
    }
}
