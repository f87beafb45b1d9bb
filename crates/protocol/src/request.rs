//! Requests to bytes and back.

use crate::codec::{self, DecodeError, EncodeError, Message, RefusedRequest};
use crate::message::{Request, RequestBody, RequestId};
use crate::wire::request::Request as WireBody;
use crate::{datagrams, grant, labels, wire};
use capability::{LimitKind, Refusal, Right};

impl Message for Request {
    const NAME: &'static str = "request";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        if let RequestBody::IngressConnect { datagrams, .. } = &self.body
            && !datagrams::fit(datagrams)
        {
            return Err(EncodeError::Datagrams);
        }
        codec::to_bytes(&wire::Request { id: self.id.0, request: Some(to_wire(&self.body)) })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let request: wire::Request = codec::from_bytes(bytes)?;
        let id = RequestId(request.id);
        let body = codec::required(request.request, "request")?;
        let request = name(&body);
        match from_wire(body) {
            Ok(body) => Ok(Self { id, body }),
            Err(refusal) => Err(RefusedRequest { id, request, refusal }.into()),
        }
    }

    fn descriptor_count(&self) -> usize {
        match self.body {
            RequestBody::IngressConnect { .. } => 1,
            RequestBody::Constrain(_)
            | RequestBody::ClientConnect(_)
            | RequestBody::ServerStart(_)
            | RequestBody::EgressStart(_)
            | RequestBody::ResolverStart(_)
            | RequestBody::List(_)
            | RequestBody::Watch(_)
            | RequestBody::Resolve(_) => 0,
        }
    }

    fn id(&self) -> Option<u64> {
        Some(self.id.0)
    }
}

fn to_wire(body: &RequestBody) -> WireBody {
    match body {
        RequestBody::Constrain(constraint) => WireBody::Constrain(grant::constraint_to_wire(constraint)),
        RequestBody::ClientConnect(out_labels) => {
            WireBody::ClientConnect(wire::ClientConnect { out_labels: labels::to_wire(out_labels) })
        }
        RequestBody::ServerStart(in_labels) => {
            WireBody::ServerStart(wire::ServerStart { in_labels: labels::to_wire(in_labels) })
        }
        RequestBody::IngressConnect { labels, datagrams } => WireBody::IngressConnect(wire::IngressConnect {
            out_labels: labels::to_wire(labels),
            datagrams: datagrams.clone(),
        }),
        RequestBody::EgressStart(in_labels) => {
            WireBody::EgressStart(wire::EgressStart { in_labels: labels::to_wire(in_labels) })
        }
        RequestBody::ResolverStart(in_labels) => {
            WireBody::ResolverStart(wire::ResolverStart { in_labels: labels::to_wire(in_labels) })
        }
        RequestBody::List(out_labels) => WireBody::List(wire::List { out_labels: labels::to_wire(out_labels) }),
        RequestBody::Watch(out_labels) => WireBody::Watch(wire::Watch { out_labels: labels::to_wire(out_labels) }),
        RequestBody::Resolve(out_labels) => {
            WireBody::Resolve(wire::Resolve { out_labels: labels::to_wire(out_labels) })
        }
    }
}

/// What [`RequestBody::name`] says, of a request that may be none.
fn name(body: &WireBody) -> &'static str {
    match body {
        WireBody::Constrain(_) => RequestBody::CONSTRAIN,
        WireBody::ClientConnect(_) => Right::ClientConnect.name(),
        WireBody::ServerStart(_) => Right::ServerStart.name(),
        WireBody::IngressConnect(_) => Right::IngressConnect.name(),
        WireBody::EgressStart(_) => Right::EgressStart.name(),
        WireBody::ResolverStart(_) => Right::ResolverStart.name(),
        WireBody::List(_) => Right::List.name(),
        WireBody::Watch(_) => Right::Watch.name(),
        WireBody::Resolve(_) => RequestBody::RESOLVE,
    }
}

fn from_wire(body: WireBody) -> Result<RequestBody, Refusal> {
    Ok(match body {
        WireBody::Constrain(constrain) => RequestBody::Constrain(grant::constraint_from_wire(&constrain)?),
        WireBody::ClientConnect(ask) => RequestBody::ClientConnect(labels::from_request(&ask.out_labels)?),
        WireBody::ServerStart(ask) => RequestBody::ServerStart(labels::from_request(&ask.in_labels)?),
        WireBody::IngressConnect(ask) if !datagrams::fit(&ask.datagrams) => {
            return Err(Refusal::Limit { limit: LimitKind::Datagrams });
        }
        WireBody::IngressConnect(ask) => {
            let labels = labels::from_request(&ask.out_labels)?;
            RequestBody::IngressConnect { labels, datagrams: ask.datagrams }
        }
        WireBody::EgressStart(ask) => RequestBody::EgressStart(labels::from_request(&ask.in_labels)?),
        WireBody::ResolverStart(ask) => RequestBody::ResolverStart(labels::from_request(&ask.in_labels)?),
        WireBody::List(ask) => RequestBody::List(labels::from_request(&ask.out_labels)?),
        WireBody::Watch(ask) => RequestBody::Watch(labels::from_request(&ask.out_labels)?),
        WireBody::Resolve(ask) => RequestBody::Resolve(labels::from_request(&ask.out_labels)?),
    })
}
