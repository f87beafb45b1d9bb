//! Decides whether there is room for one more header field, request or body of a guest.
//!
//! wasmtime-wasi-http bounds one set of fields, but not how many there are, nor the words beside them: a guest could have
//! its host keep gigabytes. So the calls that bring something are linked here over the library's, which they use: each
//! tells first what it may bring. What a guest drops is not told to anybody; when the sum of what it brought is over the
//! limit, everything that it still has is counted anew.

use std::any::Any;

use http::HeaderMap;
use http_client::Client;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceTable,
};
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p2::types::{HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::p2::{HeaderError, body::HostOutgoingBody};
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{FieldMap, FieldMapError, WasiHttpCtxView, WasiHttpView};

use super::MAX_WRITE_BYTES;
use crate::limits::LimitReached;
use crate::state::ComponentState;

/// The interfaces, with the versions that the engine's library links.
const TYPES_0_2: &str = "wasi:http/types@0.2.12";
const TYPES_0_3: &str = "wasi:http/types@0.3.0";

/// What a field, a request or a body costs besides its words, in bytes.
const OVERHEAD_BYTES: usize = 128;

/// What a request may bring besides its own words: the head and the trailers of its response. No request goes out without
/// an authority, so this is counted with it.
const RESPONSE_BYTES: usize = 2 * Client::MAX_HEAD_BYTES;

/// What the header fields, requests and bodies of one guest come to.
#[derive(Debug)]
pub(crate) struct Room {
    max_bytes: usize,
    fields_bytes: usize,
    /// At least as much as there is.
    bytes: usize,
}

impl Room {
    pub(super) fn new(max_bytes: usize, fields_bytes: usize) -> Room {
        Room { max_bytes, fields_bytes, bytes: 0 }
    }

    /// Takes room for something new.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(OVERHEAD_BYTES);
        if self.bytes > self.max_bytes { Err(LimitReached::Http(self.max_bytes)) } else { Ok(()) }
    }

    /// Before something new comes: whether everything must be counted first.
    fn is_doubtful(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes).saturating_add(OVERHEAD_BYTES) > self.max_bytes
    }
}

impl ComponentState {
    /// Takes room for something new, after a look at what is there if need be.
    pub(crate) fn take_http_room(&mut self, bytes: usize) -> Result<(), LimitReached> {
        let room = &mut self.http.hooks.room;
        if room.is_doubtful(bytes) {
            room.bytes = self.table.iter_mut().map(|resource| cost(resource)).sum();
        }
        room.take(bytes)
    }
}

/// What a resource keeps in memory, if it is one of these.
fn cost(resource: &(dyn Any + Send)) -> usize {
    let resource: &dyn Any = resource;
    let mut bytes = 0;
    if let Some(fields) = resource.downcast_ref::<FieldMap>() {
        bytes = fields_cost(fields);
    } else if let Some(request) = resource.downcast_ref::<HostOutgoingRequest>() {
        let words = [&request.authority, &request.path_with_query].into_iter().flatten().map(String::len);
        let body = if request.body.is_some() { MAX_WRITE_BYTES } else { 0 };
        bytes = fields_cost(&request.headers) + words.sum::<usize>() + method_cost(&request.method) + body;
    } else if let Some(response) = resource.downcast_ref::<HostOutgoingResponse>() {
        bytes = fields_cost(&response.headers) + if response.body.is_some() { MAX_WRITE_BYTES } else { 0 };
    } else if resource.is::<HostOutgoingBody>() {
        bytes = MAX_WRITE_BYTES;
    } else if let Some(response) = resource.downcast_ref::<HostIncomingResponse>() {
        bytes = fields_cost(&response.headers);
    } else if let Some(request) = resource.downcast_ref::<Request>() {
        let authority = request.authority.as_ref().map_or(0, |authority| authority.as_str().len());
        let path = request.path_with_query.as_ref().map_or(0, |path| path.as_str().len());
        bytes = fields_cost(&request.headers) + authority + path + request.method.as_str().len();
    } else if let Some(response) = resource.downcast_ref::<Response>() {
        bytes = fields_cost(&response.headers);
    }
    if bytes > 0 { bytes + OVERHEAD_BYTES } else { 0 }
}

fn fields_cost(fields: &HeaderMap) -> usize {
    let names: usize = fields.keys().map(|name| name.as_str().len() + OVERHEAD_BYTES).sum();
    names + fields.values().map(|value| value.len() + OVERHEAD_BYTES).sum::<usize>()
}

fn method_cost(method: &p2::Method) -> usize {
    match method {
        p2::Method::Other(name) => name.len(),
        _ => 0,
    }
}

fn entries_cost(entries: &[(String, Vec<u8>)]) -> usize {
    entries.iter().map(|(name, value)| name.len() + value.len() + 2 * OVERHEAD_BYTES).sum()
}

fn values_cost(name: &str, values: &[Vec<u8>]) -> usize {
    name.len() + OVERHEAD_BYTES + values.iter().map(|value| value.len() + OVERHEAD_BYTES).sum::<usize>()
}

fn text_cost(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

/// Links a call over the library's: what it brings, and how it is done then.
fn over<P, R>(
    types: &mut LinkerInstance<'_, ComponentState>,
    name: &str,
    cost: fn(&ResourceTable, &P) -> usize,
    call: fn(&mut WasiHttpCtxView<'_>, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentType + Lower + 'static,
{
    types.func_wrap(name, move |mut store: StoreContextMut<'_, ComponentState>, arguments: P| {
        let state = store.data_mut();
        state.take_http_room(cost(&state.table, &arguments))?;
        let fields_bytes = state.http.hooks.room.fields_bytes;
        match call(&mut state.http(), arguments) {
            Err(error) if is_too_large(&error) => Err(LimitReached::Fields(fields_bytes).into()),
            outcome => Ok((outcome?,)),
        }
    })
}

fn is_too_large(error: &wasmtime::Error) -> bool {
    use FieldMapError::{TooManyFields, TotalSizeTooBig};
    matches!(error.downcast_ref(), Some(TotalSizeTooBig | TooManyFields))
}

/// What becomes of an error that the interface has a code for, and of one that it has none for.
fn code<T>(outcome: Result<T, HeaderError>) -> wasmtime::Result<Result<T, p2::HeaderError>> {
    match outcome {
        Ok(done) => Ok(Ok(done)),
        Err(error) => error.downcast().map(Err),
    }
}

/// The calls of 0.2.
pub(crate) fn add_0_2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    use p2::{HostFields, HostOutgoingRequest, HostOutgoingResponse};
    type Fields = Resource<FieldMap>;
    type Request = Resource<p2::OutgoingRequest>;
    type Response = Resource<p2::OutgoingResponse>;
    let types = &mut linker.instance(TYPES_0_2)?;
    over(
        types,
        "[static]fields.from-list",
        |_, (entries,): &(Vec<(String, Vec<u8>)>,)| entries_cost(entries),
        |http, (entries,)| code(http.from_list(entries)),
    )?;
    over(
        types,
        "[method]fields.set",
        |_, (_, name, values): &(Fields, String, Vec<Vec<u8>>)| values_cost(name, values),
        |http, (fields, name, values)| code(http.set(fields, name, values)),
    )?;
    over(
        types,
        "[method]fields.append",
        |_, (_, name, value): &(Fields, String, Vec<u8>)| name.len() + value.len(),
        |http, (fields, name, value)| code(http.append(fields, name, value)),
    )?;
    over(
        types,
        "[method]fields.clone",
        |table, (fields,): &(Fields,)| table.get(fields).map_or(0, |fields| fields_cost(fields)),
        |http, (fields,)| HostFields::clone(http, fields),
    )?;
    over(
        types,
        "[method]outgoing-request.set-method",
        |_, (_, method): &(Request, p2::Method)| method_cost(method),
        |http, (request, method)| http.set_method(request, method),
    )?;
    over(
        types,
        "[method]outgoing-request.set-path-with-query",
        |_, (_, path): &(Request, Option<String>)| text_cost(path.as_ref()),
        |http, (request, path)| http.set_path_with_query(request, path),
    )?;
    over(
        types,
        "[method]outgoing-request.set-authority",
        |_, (_, authority): &(Request, Option<String>)| RESPONSE_BYTES + text_cost(authority.as_ref()),
        |http, (request, authority)| http.set_authority(request, authority),
    )?;
    over(
        types,
        "[method]outgoing-request.body",
        |_, _: &(Request,)| MAX_WRITE_BYTES,
        |http, (request,)| HostOutgoingRequest::body(http, request),
    )?;
    over(
        types,
        "[method]outgoing-response.body",
        |_, _: &(Response,)| MAX_WRITE_BYTES,
        |http, (response,)| HostOutgoingResponse::body(http, response),
    )
}

/// The calls of 0.3. Bodies are streams there, and stay with the guest.
pub(crate) fn add_0_3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    use p3::{HostFields, HostRequest};
    type Fields = Resource<FieldMap>;
    type Asked = Resource<Request>;
    fn code<T>(
        outcome: Result<T, wasmtime_wasi::TrappableError<p3::HeaderError>>,
    ) -> wasmtime::Result<Result<T, p3::HeaderError>> {
        match outcome {
            Ok(done) => Ok(Ok(done)),
            Err(error) => error.downcast().map(Err),
        }
    }
    let types = &mut linker.instance(TYPES_0_3)?;
    over(
        types,
        "[static]fields.from-list",
        |_, (entries,): &(Vec<(String, Vec<u8>)>,)| entries_cost(entries),
        |http, (entries,)| code(http.from_list(entries)),
    )?;
    over(
        types,
        "[method]fields.set",
        |_, (_, name, values): &(Fields, String, Vec<Vec<u8>>)| values_cost(name, values),
        |http, (fields, name, values)| code(http.set(fields, name, values)),
    )?;
    over(
        types,
        "[method]fields.append",
        |_, (_, name, value): &(Fields, String, Vec<u8>)| name.len() + value.len(),
        |http, (fields, name, value)| code(http.append(fields, name, value)),
    )?;
    over(
        types,
        "[method]fields.clone",
        |table, (fields,): &(Fields,)| table.get(fields).map_or(0, |fields| fields_cost(fields)),
        |http, (fields,)| HostFields::clone(http, fields),
    )?;
    over(
        types,
        "[method]request.set-method",
        |_, (_, method): &(Asked, p3::Method)| match method {
            p3::Method::Other(name) => name.len(),
            _ => 0,
        },
        |http, (request, method)| http.set_method(request, method),
    )?;
    over(
        types,
        "[method]request.set-path-with-query",
        |_, (_, path): &(Asked, Option<String>)| text_cost(path.as_ref()),
        |http, (request, path)| http.set_path_with_query(request, path),
    )?;
    over(
        types,
        "[method]request.set-authority",
        |_, (_, authority): &(Asked, Option<String>)| RESPONSE_BYTES + text_cost(authority.as_ref()),
        |http, (request, authority)| http.set_authority(request, authority),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_until_there_is_none() {
        let mut room = Room::new(10 * OVERHEAD_BYTES, 0);
        assert!(!room.is_doubtful(0));
        (0..5).for_each(|_| room.take(OVERHEAD_BYTES).unwrap());
        assert!(room.is_doubtful(0));
        assert_eq!(room.take(0), Err(LimitReached::Http(10 * OVERHEAD_BYTES)));
        assert_eq!(Room::new(usize::MAX - 1, 0).take(usize::MAX), Err(LimitReached::Http(usize::MAX - 1)));
    }

    #[test]
    fn every_resource_costs_what_it_keeps() {
        let check = |resource: Box<dyn Any + Send>, at_least: usize| {
            let cost = cost(&*resource);
            assert!((at_least..at_least + 1000).contains(&cost), "{cost} instead of {at_least}");
        };
        let fields = || {
            let mut fields = FieldMap::new_mutable(1 << 20);
            let value = http::HeaderValue::from_bytes(&[b'x'; 5000]).unwrap();
            fields.append_raw(http::header::COOKIE, value).unwrap();
            fields
        };
        check(Box::new(fields()), 5000);
        let body = || {
            let (writer, reader) =
                HostOutgoingBody::new(wasmtime_wasi_http::p2::body::StreamContext::Request, None, 1, 1);
            (writer, Some(reader))
        };
        let request = |body| HostOutgoingRequest {
            method: p2::Method::Other("M".repeat(1000)),
            scheme: None,
            authority: Some("a".repeat(2000)),
            path_with_query: Some("/".repeat(3000)),
            headers: fields(),
            body,
        };
        check(Box::new(request(None)), 11_000);
        check(Box::new(request(body().1)), 11_000 + MAX_WRITE_BYTES);
        check(Box::new(body().0), MAX_WRITE_BYTES);
        let status = http::StatusCode::OK;
        check(Box::new(HostOutgoingResponse { status, headers: fields(), body: body().1 }), 5000 + MAX_WRITE_BYTES);
        check(Box::new(HostIncomingResponse { status: 200, headers: fields(), body: None }), 5000);
        assert_eq!(cost(&String::from("something else")), 0);
    }
}
