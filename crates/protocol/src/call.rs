//! What crosses a target channel, to bytes and back: calls and replies.

use crate::codec::{self, DecodeError, EncodeError, MalformedMessage, Message};
use crate::message::{Call, CallId, Reply, ReplyBody};
use crate::wire::call::Call as WireCall;
use crate::wire::reply::Reply as WireReply;
use crate::{address, datagrams, failure, labels, wire};

impl Message for Call {
    const NAME: &'static str = "call";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let (id, call) = match self {
            Self::Connection { datagrams, .. } if !datagrams::fit(datagrams) => return Err(EncodeError::Datagrams),
            Self::Connection { labels, datagrams } => {
                let labels = labels::to_wire(labels);
                (0, WireCall::Connection(wire::Connection { labels, datagrams: datagrams.clone() }))
            }
            Self::Dial { id, labels, scope } => {
                let labels = labels::to_wire(labels);
                let scope = address::scope_to_wire(scope);
                (id.0, WireCall::Dial(wire::Dial { labels, scope }))
            }
            Self::Lookup { id, labels } => {
                let labels = labels::to_wire(labels);
                (id.0, WireCall::Lookup(wire::Lookup { labels }))
            }
            Self::Cancel { id } => (id.0, WireCall::Cancel(wire::Cancel {})),
        };
        codec::to_bytes(&wire::Call { id, call: Some(call) })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let call: wire::Call = codec::from_bytes(bytes)?;
        let id = CallId(call.id);
        Ok(match codec::required(call.call, "call")? {
            WireCall::Connection(connection) if !datagrams::fit(&connection.datagrams) => {
                return Err(MalformedMessage::Field { field: "datagrams" }.into());
            }
            WireCall::Connection(connection) => {
                Self::Connection { labels: labels::from_wire(&connection.labels)?, datagrams: connection.datagrams }
            }
            WireCall::Dial(dial) => Self::Dial {
                id,
                labels: labels::from_wire(&dial.labels)?,
                scope: address::scope_from_wire(&dial.scope)?,
            },
            WireCall::Lookup(lookup) => Self::Lookup { id, labels: labels::from_wire(&lookup.labels)? },
            WireCall::Cancel(wire::Cancel {}) => Self::Cancel { id },
        })
    }

    fn descriptor_count(&self) -> usize {
        match self {
            Self::Connection { .. } => 1,
            Self::Dial { .. } | Self::Lookup { .. } | Self::Cancel { .. } => 0,
        }
    }

    fn id(&self) -> Option<u64> {
        match self {
            Self::Connection { .. } => None,
            Self::Dial { id, .. } | Self::Lookup { id, .. } | Self::Cancel { id } => Some(id.0),
        }
    }
}

impl Message for Reply {
    const NAME: &'static str = "reply";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let reply = match &self.body {
            ReplyBody::Dialled(reached) => WireReply::Dialled(wire::Dialled { labels: labels::to_wire(reached) }),
            ReplyBody::Addresses(addresses) => WireReply::Addresses(address::list_to_wire(addresses)),
            ReplyBody::Failed(failure) => WireReply::Error(failure::to_wire(failure)),
        };
        codec::to_bytes(&wire::Reply { id: self.id.0, reply: Some(reply) })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reply: wire::Reply = codec::from_bytes(bytes)?;
        let id = CallId(reply.id);
        let body = body(codec::required(reply.reply, "reply")?)?;
        Ok(Self { id, body })
    }

    fn descriptor_count(&self) -> usize {
        match self.body {
            ReplyBody::Dialled(_) => 1,
            ReplyBody::Addresses(_) | ReplyBody::Failed(_) => 0,
        }
    }

    fn id(&self) -> Option<u64> {
        Some(self.id.0)
    }
}

fn body(reply: WireReply) -> Result<ReplyBody, MalformedMessage> {
    Ok(match reply {
        WireReply::Dialled(dialled) => ReplyBody::Dialled(labels::from_wire(&dialled.labels)?),
        WireReply::Addresses(addresses) => ReplyBody::Addresses(address::list_from_wire(&addresses)?),
        WireReply::Error(error) => ReplyBody::Failed(failure::from_wire(&error)?),
    })
}
