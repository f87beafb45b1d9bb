//! Bytes from a peer: they are a message, or an error that says so. What decodes encodes to a message that decodes to
//! the same, and a refused request can be answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::message::{Call, Decision, Reply, Request, Response, ResponseBody};
use protocol::{DecodeError, EncodeError, ErrorCode, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, Message};
use std::fmt::Debug;

fn check<M: Message + PartialEq + Debug>(bytes: &[u8]) {
    let message = match M::decode(bytes) {
        Ok(message) => message,
        Err(DecodeError::Malformed(_)) => return,
        Err(DecodeError::Invalid(refused)) => {
            assert!(ErrorCode::of_refusal(&refused.refusal).number() < ErrorCode::Fault.number());
            let answer = Response { id: refused.id, body: ResponseBody::Failed(refused.refusal.into()) };
            let bytes = answer.encode().expect("a refusal of a label names one key at most");
            assert_eq!(Response::decode(&bytes), Ok(answer));
            return;
        }
    };
    assert!(message.descriptor_count() <= MAX_DESCRIPTORS);
    match message.encode() {
        Ok(again) => {
            assert!(!again.is_empty() && again.len() <= MAX_MESSAGE_BYTES);
            assert_eq!(M::decode(&again), Ok(message));
        }
        // An error without a code gains one, which may be a few bytes too many.
        Err(error) => assert!(matches!(error, EncodeError::TooLong { bytes: 81_921..=81_984 }), "{error}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<Request>(bytes);
    check::<Response>(bytes);
    check::<Call>(bytes);
    check::<Reply>(bytes);
    check::<Decision>(bytes);
});
