//! One request: is it fit, what does the handler say, and what is sent.

use crate::activity::Activity;
use crate::answer::{self, AnswerBody};
use crate::clock;
use crate::exchange::Exchange;
use crate::fields::{check_coding, strip_request};
use crate::handler::{Handler, RequestInfo, Scheme};
use crate::limits::Limits;
use crate::record::{AccessLog, AccessRecord, Outcome, RequestLine};
use crate::request_body::{BodyFault, RequestBody};
use crate::request_id::{REQUEST_ID, RequestId, RequestIds};
use crate::streams::Latest;
use crate::target;
use http::header::{CONNECTION, HeaderName, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What all requests of one connection have in common.
pub(crate) struct Service<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) log: Arc<dyn AccessLog>,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) limits: Limits,
    pub(crate) scheme: Scheme,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) activity: Arc<Activity>,
}

/// An answer and whether the connection should end with it.
struct Verdict<B> {
    response: Response<AnswerBody<B>>,
    closes: bool,
}

impl<H: Handler> Service<H> {
    /// Answers `request`. Dropping the future breaks the request off. `latest` is told which exchange it is.
    pub(crate) fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
        latest: Option<&Latest>,
    ) -> impl Future<Output = Result<Response<AnswerBody<H::Body>>, Infallible>> + Send + use<H> {
        let service = Arc::clone(self);
        let (parts, incoming) = request.into_parts();
        let id = service.id(&parts.headers);
        let record = service.record(&parts, id.clone());
        let exchange = Exchange::begin(Arc::clone(&service.log), Arc::clone(&service.activity), record);
        if let Some(latest) = latest {
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&exchange);
        }
        async move {
            let version = parts.version;
            let Verdict { mut response, closes } = service.answer(parts, incoming, &id, &exchange).await;
            // HTTP/1.0 is spoken, too, if that is all the client understands.
            *response.version_mut() = Version::HTTP_11;
            response.headers_mut().insert(REQUEST_ID, id.to_value());
            if closes && version != Version::HTTP_2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            exchange.answer(response.status());
            Ok(response)
        }
    }

    async fn answer(
        &self,
        mut parts: Parts,
        incoming: Incoming,
        id: &RequestId,
        exchange: &Arc<Exchange>,
    ) -> Verdict<H::Body> {
        let method = parts.method.clone();
        let activity = Arc::clone(&self.activity);
        let (body, fate) = RequestBody::new(incoming, self.limits.body_idle_time, activity);
        let instead = |status| answer::plain(status, &method, exchange);
        if let Err(status) = self.make_fit(&mut parts, id) {
            return Verdict { response: instead(status), closes: true };
        }
        let info = RequestInfo { id: id.clone(), scheme: self.scheme, client: self.client, server: self.server };
        let answered = self.handler.handle(Request::from_parts(parts, body), info).await;
        let fault = fate.fault();
        let response = match answered {
            Ok(response) => answer::fit(response, &method, exchange).unwrap_or_else(|unfit| {
                tracing::warn!(reason = %unfit, request = %id, "answer not sent");
                instead(StatusCode::INTERNAL_SERVER_ERROR)
            }),
            // The handler could not but fail: the fault is the client's.
            Err(failure) => instead(match fault {
                Some(BodyFault::TimedOut) => StatusCode::REQUEST_TIMEOUT,
                Some(BodyFault::Malformed | BodyFault::BrokenOff) => StatusCode::BAD_REQUEST,
                None => failure.status(),
            }),
        };
        Verdict { response, closes: fault.is_some() }
    }

    /// Holds a request against the limits and the rules, and makes it what a handler expects.
    fn make_fit(&self, parts: &mut Parts, id: &RequestId) -> Result<(), StatusCode> {
        if parts.headers.len() > self.limits.head_fields {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let path_bytes = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
        if path_bytes > self.limits.target_bytes {
            return Err(StatusCode::URI_TOO_LONG);
        }
        check_coding(&parts.headers)?;
        strip_request(&mut parts.headers);
        target::settle(parts, self.scheme, self.server)?;
        parts.headers.insert(REQUEST_ID, id.to_value());
        // What the library keeps there, an upgrade for one, is not for handlers.
        parts.extensions.clear();
        Ok(())
    }

    /// The id that the client gave, if it gave one that can be kept.
    fn id(&self, headers: &HeaderMap) -> RequestId {
        let mut given = headers.get_all(REQUEST_ID).iter();
        match (given.next().and_then(RequestId::kept), given.next()) {
            (Some(id), None) => id,
            _ => self.ids.make(),
        }
    }

    fn record(&self, parts: &Parts, id: RequestId) -> AccessRecord {
        let target = match parts.version {
            Version::HTTP_2 if parts.method != Method::CONNECT => {
                parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
            }
            _ => parts.uri.to_string(),
        };
        let line = RequestLine { method: parts.method.clone(), target, version: parts.version };
        AccessRecord {
            line: Some(line),
            user_agent: text(&parts.headers, USER_AGENT),
            referer: text(&parts.headers, REFERER),
            ..self.blank_record(id)
        }
    }

    fn blank_record(&self, id: RequestId) -> AccessRecord {
        AccessRecord {
            when: clock::now(),
            client: self.client,
            id,
            line: None,
            status: AccessRecord::CLIENT_GONE,
            sent_bytes: 0,
            duration: Duration::ZERO,
            user_agent: None,
            referer: None,
            outcome: Outcome::BrokenOff,
        }
    }

    /// Records that a head which was never understood was refused with `status`. Returns the id it has in the log.
    pub(crate) fn record_refusal(&self, status: StatusCode) -> RequestId {
        let id = self.ids.make();
        let (status, outcome) = (status.as_u16(), Outcome::Complete);
        self.log.record(AccessRecord { status, outcome, ..self.blank_record(id.clone()) });
        id
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
