//! Pages that ask other servers.

use crate::text;
use guest_parts::query::Query;
use http_guests::code;
use wstd::http::error::ErrorCode;
use wstd::http::{Body, Client, Error, Request, Response, StatusCode};

/// `/fetch?url=U`: status, type and body of what is there. 502 and the error code if there is nothing.
pub(crate) async fn fetch(query: &Query) -> Result<Response<Body>, Error> {
    let request = match Request::get(query.text("url").unwrap_or_default()).body(Body::empty()) {
        Ok(request) => request,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let (parts, body) = match Client::new().send(request).await {
        Ok(response) => response.into_parts(),
        Err(error) => {
            let code = error.downcast_ref::<ErrorCode>().map(code::name);
            let told = code.map_or_else(|| format!("no error code: {error:#}"), str::to_string);
            return text(StatusCode::BAD_GATEWAY, format!("{told}\n"));
        }
    };
    let mut response = Response::builder().status(parts.status);
    if let Some(value) = parts.headers.get("content-type") {
        response = response.header("content-type", value);
    }
    Ok(response.body(body)?)
}
