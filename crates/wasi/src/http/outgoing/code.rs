//! Which code a guest sees for a failure.
//!
//! The cause in words stays here: a code is what `wasi:http` has for it, after the proxy statuses of RFC 9209.

use http_client::{ConnectError, RequestError, TlsError};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, IoError, TlsAlertReceivedPayload};

use crate::state::ComponentState;

/// The names of DNS for "there is no such name" and "ask again".
const NO_SUCH_NAME: &str = "NXDOMAIN";
const SERVER_FAILURE: &str = "SERVFAIL";

/// What a guest sees of a request that failed, or of a response that broke off.
pub(super) fn of(error: RequestError) -> Error {
    match error {
        RequestError::UnfitUri => Error::HttpRequestUriInvalid,
        RequestError::UnfitMethod => Error::HttpRequestMethodInvalid,
        RequestError::Connect(error) => of_connect(&error),
        RequestError::Tls(error) => of_tls(error),
        RequestError::FirstByteTimedOut | RequestError::BetweenBytesTimedOut => Error::ConnectionReadTimeout,
        RequestError::ConnectionLost => Error::ConnectionTerminated,
        RequestError::HeadTooLarge => Error::HttpResponseHeaderSectionSize(None),
        RequestError::ResponseIncomplete => Error::HttpResponseIncomplete,
        RequestError::Protocol { .. } => Error::HttpProtocolError,
        // The guest's own: what it has to say of it is among these already.
        RequestError::RequestBody(cause) => cause.downcast().map_or(Error::HttpProtocolError, |cause| *cause),
    }
}

fn of_connect(error: &ConnectError) -> Error {
    let dns = |rcode: &str| Error::DnsError { rcode: Some(rcode.to_owned()), info_code: None };
    match error {
        ConnectError::Denied => Error::HttpRequestDenied,
        ConnectError::NotAHost => Error::HttpRequestUriInvalid,
        ConnectError::NameUnresolvable => dns(NO_SUCH_NAME),
        ConnectError::TemporaryResolverFailure => dns(SERVER_FAILURE),
        ConnectError::NotFound => Error::DestinationNotFound,
        ConnectError::Refused => Error::ConnectionRefused,
        ConnectError::Unreachable => Error::DestinationIpUnroutable,
        ConnectError::TimedOut => Error::ConnectionTimeout,
        ConnectError::LimitReached => Error::ConnectionLimitReached,
        ConnectError::Failed(_) => Error::DestinationUnavailable,
    }
}

fn of_tls(error: TlsError) -> Error {
    match error {
        TlsError::NoRoots => Error::ConfigurationError,
        TlsError::Certificate { .. } => Error::TlsCertificateError,
        TlsError::Alert { id, message } => Error::TlsAlertReceived { alert_id: Some(id), alert_message: Some(message) },
        TlsError::Protocol { .. } => Error::TlsProtocolError,
    }
}

/// Provides `http-error-code` of 0.2, which says what a stream of a body failed with. The one that the engine's library
/// links looks for a code in the error, but what its bodies fail with is an [`Error`]: it would never find any.
///
/// # Errors
///
/// As the linker's.
pub(crate) fn add_error_codes(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = linker.instance(TYPES_0_2).and_then(|mut types| {
        types.func_wrap(
            "http-error-code",
            |store: StoreContextMut<'_, ComponentState>, (error,): (Resource<IoError>,)| {
                let error = store.data().table.get(&error)?;
                let code = error.downcast_ref::<ErrorCode>().cloned();
                Ok((code.or_else(|| error.downcast_ref().map(of_body)),))
            },
        )
    });
    linker.allow_shadowing(false);
    added
}

/// The interface, with the version that the engine's library links.
const TYPES_0_2: &str = "wasi:http/types@0.2.12";

/// The codes that a body can fail with.
fn of_body(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::ConnectionTimeout => ErrorCode::ConnectionTimeout,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpRequestTrailerSectionSize(size) => ErrorCode::HttpRequestTrailerSectionSize(*size),
        Error::HttpResponseHeaderSectionSize(size) => ErrorCode::HttpResponseHeaderSectionSize(*size),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        Error::TlsAlertReceived { alert_id, alert_message } => ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
            alert_id: *alert_id,
            alert_message: alert_message.clone(),
        }),
        Error::TlsProtocolError => ErrorCode::TlsProtocolError,
        _ => ErrorCode::InternalError(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_code() {
        let check = |error: RequestError, expected: &str| {
            let text = format!("{error:?}");
            assert_eq!(format!("{:?}", of(error)), expected, "{text}");
        };
        let connect = |error| RequestError::Connect(error);
        check(RequestError::UnfitUri, "HttpRequestUriInvalid");
        check(RequestError::UnfitMethod, "HttpRequestMethodInvalid");
        check(connect(ConnectError::Denied), "HttpRequestDenied");
        check(connect(ConnectError::NotAHost), "HttpRequestUriInvalid");
        let dns = |rcode: &str| format!("DnsError {{ rcode: Some({rcode:?}), info_code: None }}");
        check(connect(ConnectError::NameUnresolvable), &dns("NXDOMAIN"));
        check(connect(ConnectError::TemporaryResolverFailure), &dns("SERVFAIL"));
        check(connect(ConnectError::NotFound), "DestinationNotFound");
        check(connect(ConnectError::Refused), "ConnectionRefused");
        check(connect(ConnectError::Unreachable), "DestinationIpUnroutable");
        check(connect(ConnectError::TimedOut), "ConnectionTimeout");
        check(connect(ConnectError::LimitReached), "ConnectionLimitReached");
        check(connect(ConnectError::Failed("secret".to_owned())), "DestinationUnavailable");
        check(TlsError::NoRoots.into(), "ConfigurationError");
        let reason = || "secret".to_owned();
        check(TlsError::Certificate { reason: reason() }.into(), "TlsCertificateError");
        check(TlsError::Protocol { reason: reason() }.into(), "TlsProtocolError");
        let alert = TlsError::Alert { id: 48, message: "UnknownCA".to_owned() };
        check(alert.into(), "TlsAlertReceived { alert_id: Some(48), alert_message: Some(\"UnknownCA\") }");
        check(RequestError::FirstByteTimedOut, "ConnectionReadTimeout");
        check(RequestError::BetweenBytesTimedOut, "ConnectionReadTimeout");
        check(RequestError::ConnectionLost, "ConnectionTerminated");
        check(RequestError::HeadTooLarge, "HttpResponseHeaderSectionSize(None)");
        check(RequestError::ResponseIncomplete, "HttpResponseIncomplete");
        check(RequestError::Protocol { reason: reason() }, "HttpProtocolError");
        let own = RequestError::RequestBody(Box::new(Error::HttpRequestBodySize(Some(3))));
        check(own, "HttpRequestBodySize(Some(3))");
    }
}
