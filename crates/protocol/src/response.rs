//! Responses to bytes and back.

use crate::codec::{self, DecodeError, EncodeError, MalformedMessage, Message};
use crate::message::{RequestId, Response, ResponseBody, TargetInfo, TargetKind};
use crate::wire::response::Response as WireBody;
use crate::{address, failure, labels, wire};

impl Message for Response {
    const NAME: &'static str = "response";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        codec::to_bytes(&wire::Response { id: self.id.0, response: Some(to_wire(&self.body)) })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let response: wire::Response = codec::from_bytes(bytes)?;
        let body = codec::required(response.response, "response")?;
        Ok(Self { id: RequestId(response.id), body: from_wire(body)? })
    }

    fn descriptor_count(&self) -> usize {
        match self.body {
            ResponseBody::Handle | ResponseBody::Connected(_) | ResponseBody::Started | ResponseBody::Watching => 1,
            ResponseBody::Delivered(_)
            | ResponseBody::Listing { .. }
            | ResponseBody::Addresses(_)
            | ResponseBody::Failed(_) => 0,
        }
    }

    fn id(&self) -> Option<u64> {
        Some(self.id.0)
    }
}

fn to_wire(body: &ResponseBody) -> WireBody {
    match body {
        ResponseBody::Handle => WireBody::Handle(wire::HandleGranted {}),
        ResponseBody::Connected(union) => WireBody::Connected(wire::Connected { labels: labels::to_wire(union) }),
        ResponseBody::Started => WireBody::Target(wire::TargetStarted {}),
        ResponseBody::Delivered(union) => WireBody::Delivered(wire::Delivered { labels: labels::to_wire(union) }),
        ResponseBody::Listing { targets, last } => {
            WireBody::Listing(wire::Listing { targets: targets.iter().map(target_to_wire).collect(), last: *last })
        }
        ResponseBody::Watching => WireBody::Watching(wire::Watching {}),
        ResponseBody::Addresses(addresses) => WireBody::Addresses(address::list_to_wire(addresses)),
        ResponseBody::Failed(failure) => WireBody::Error(failure::to_wire(failure)),
    }
}

fn from_wire(body: WireBody) -> Result<ResponseBody, MalformedMessage> {
    Ok(match body {
        WireBody::Handle(wire::HandleGranted {}) => ResponseBody::Handle,
        WireBody::Connected(connected) => ResponseBody::Connected(labels::from_wire(&connected.labels)?),
        WireBody::Target(wire::TargetStarted {}) => ResponseBody::Started,
        WireBody::Delivered(delivered) => ResponseBody::Delivered(labels::from_wire(&delivered.labels)?),
        WireBody::Listing(listing) => ResponseBody::Listing {
            targets: listing.targets.iter().map(target_from_wire).collect::<Result<_, MalformedMessage>>()?,
            last: listing.last,
        },
        WireBody::Watching(wire::Watching {}) => ResponseBody::Watching,
        WireBody::Addresses(addresses) => ResponseBody::Addresses(address::list_from_wire(&addresses)?),
        WireBody::Error(error) => ResponseBody::Failed(failure::from_wire(&error)?),
    })
}

fn target_to_wire(target: &TargetInfo) -> wire::Target {
    let kind = match target.kind {
        TargetKind::Server => wire::TargetKind::Server,
        TargetKind::Egress => wire::TargetKind::Egress,
        TargetKind::Resolver => wire::TargetKind::Resolver,
    };
    wire::Target { kind: kind.into(), in_labels: labels::to_wire(&target.in_labels), replicas: target.replicas }
}

fn target_from_wire(target: &wire::Target) -> Result<TargetInfo, MalformedMessage> {
    let kind = match wire::TargetKind::try_from(target.kind) {
        Ok(wire::TargetKind::Server) => TargetKind::Server,
        Ok(wire::TargetKind::Egress) => TargetKind::Egress,
        Ok(wire::TargetKind::Resolver) => TargetKind::Resolver,
        Ok(wire::TargetKind::Unspecified) | Err(_) => return Err(MalformedMessage::Field { field: "kind" }),
    };
    Ok(TargetInfo { kind, in_labels: labels::from_wire(&target.in_labels)?, replicas: target.replicas })
}
