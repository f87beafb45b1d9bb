//! Decisions, as a watch channel carries them, to bytes and back.

use crate::codec::{self, DecodeError, EncodeError, MalformedMessage, Message};
use crate::message::Decision;
use crate::{failure, labels, wire};
use std::time::Duration;

impl Message for Decision {
    const NAME: &'static str = "decision";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if self.request.is_empty() {
            return Err(EncodeError::Unnamed);
        }
        codec::to_bytes(&wire::Decision {
            request: self.request.clone(),
            from: labels::to_wire(&self.from),
            to: labels::to_wire(&self.to),
            refused: self.failure.as_ref().map(failure::to_wire),
            microseconds: self.took.as_micros().try_into().unwrap_or(u64::MAX),
            lost: self.lost,
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let decision: wire::Decision = codec::from_bytes(bytes)?;
        if decision.request.is_empty() {
            return Err(MalformedMessage::Field { field: "request" }.into());
        }
        Ok(Self {
            from: labels::from_wire(&decision.from)?,
            to: labels::from_wire(&decision.to)?,
            failure: decision.refused.as_ref().map(failure::from_wire).transpose()?,
            took: Duration::from_micros(decision.microseconds),
            lost: decision.lost,
            request: decision.request,
        })
    }

    fn descriptor_count(&self) -> usize {
        0
    }

    fn id(&self) -> Option<u64> {
        None
    }
}
