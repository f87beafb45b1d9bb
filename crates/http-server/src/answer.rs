//! What is sent for an answer of a handler, or instead of one.

use crate::exchange::{BodyEnd, Exchange, Piece};
use crate::fields::{strip_answer, strip_trailers};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Why an answer of a handler cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the handler answered with an interim status")]
    Interim,
    #[error("the handler gave a content-length that is no length, or several")]
    Length,
    #[error("the handler gave a body of another length than its content-length")]
    Mismatch,
}

/// Why the body of an answer broke the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFailure {
    #[error("the body of the answer failed")]
    Handler(#[source] Box<dyn Error + Send + Sync>),
    #[error("the body of the answer is longer than its content-length")]
    TooLong,
    #[error("the body of the answer is shorter than its content-length")]
    TooShort,
}

/// The body of an answer.
pub(crate) struct AnswerBody<B> {
    content: Content<B>,
    /// How much is still to come, if that is known.
    left: Option<u64>,
    exchange: Arc<Exchange>,
}

enum Content<B> {
    Handler(Pin<Box<B>>),
    Text(Bytes),
    Empty,
}

/// The answer of a handler to a request with `method`, made fit to be sent.
///
/// Where HTTP allows no body there is none. `content-length` stays as it is after `HEAD` and with 304.
pub(crate) fn fit<B>(
    response: Response<B>,
    method: &Method,
    exchange: &Arc<Exchange>,
) -> Result<Response<AnswerBody<B>>, Unfit>
where
    B: Body<Data = Bytes>,
{
    let (mut head, body) = response.into_parts();
    if head.status.is_informational() {
        return Err(Unfit::Interim);
    }
    strip_answer(&mut head.headers);
    head.extensions.clear();
    let declared = declared_length(&head.headers)?;
    let given = body.size_hint().exact();
    if is_bodiless(method, head.status) {
        match head.status {
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => {
                head.headers.remove(CONTENT_LENGTH);
            }
            // An empty body says nothing: the handler may know that nobody wants it.
            _ => {
                if let (None, Some(length @ 1..), true) = (declared, given, *method == Method::HEAD) {
                    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                }
            }
        }
        return Ok(Response::from_parts(head, AnswerBody::empty(exchange)));
    }
    let given = if body.is_end_stream() { Some(0) } else { given };
    if let (Some(declared), Some(given)) = (declared, given)
        && declared != given
    {
        return Err(Unfit::Mismatch);
    }
    let body = if body.is_end_stream() {
        AnswerBody::empty(exchange)
    } else {
        AnswerBody {
            content: Content::Handler(Box::pin(body)),
            left: declared.or(given),
            exchange: Arc::clone(exchange),
        }
    };
    Ok(Response::from_parts(head, body))
}

/// The answer instead of a handler's: `status` and its name, and nothing else.
pub(crate) fn plain<B>(status: StatusCode, method: &Method, exchange: &Arc<Exchange>) -> Response<AnswerBody<B>> {
    let text = plain_text(status);
    let length = text.len() as u64;
    let mut response = if *method == Method::HEAD {
        Response::new(AnswerBody::empty(exchange))
    } else {
        let content = Content::Text(text);
        Response::new(AnswerBody { content, left: Some(length), exchange: Arc::clone(exchange) })
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PLAIN_TEXT);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub(crate) const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The body of a plain answer.
pub(crate) fn plain_text(status: StatusCode) -> Bytes {
    format!("{status}\n").into()
}

fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Unfit> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unfit::Length);
    }
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or(Unfit::Length)
}

impl<B> AnswerBody<B> {
    fn empty(exchange: &Arc<Exchange>) -> Self {
        exchange.end_body(BodyEnd::Whole);
        Self { content: Content::Empty, left: Some(0), exchange: Arc::clone(exchange) }
    }

    fn fail(&mut self, failure: BodyFailure) -> Poll<Option<Result<Frame<Piece>, BodyFailure>>> {
        self.content = Content::Empty;
        self.exchange.end_body(BodyEnd::Failed);
        Poll::Ready(Some(Err(failure)))
    }
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = Piece;
    type Error = BodyFailure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, BodyFailure>>> {
        let this = &mut *self;
        let body = match &mut this.content {
            Content::Handler(body) => body,
            Content::Text(text) => {
                let piece = this.exchange.piece(std::mem::take(text));
                (this.content, this.left) = (Content::Empty, Some(0));
                this.exchange.end_body(BodyEnd::Whole);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            Content::Empty => return Poll::Ready(None),
        };
        let frame = match ready!(body.as_mut().poll_frame(cx)) {
            None if this.left.is_some_and(|left| left > 0) => return this.fail(BodyFailure::TooShort),
            None => {
                this.content = Content::Empty;
                this.exchange.end_body(BodyEnd::Whole);
                return Poll::Ready(None);
            }
            Some(Err(error)) => return this.fail(BodyFailure::Handler(error.into())),
            Some(Ok(frame)) => frame,
        };
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(_) if this.left.is_some_and(|left| left > 0) => return this.fail(BodyFailure::TooShort),
            Err(frame) => {
                // There are no frames but of data and trailers.
                let mut trailers = frame.into_trailers().unwrap_or_default();
                strip_trailers(&mut trailers);
                this.exchange.end_body(BodyEnd::Whole);
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        };
        if let Some(left) = &mut this.left {
            match left.checked_sub(bytes.len() as u64) {
                Some(rest) => *left = rest,
                None => return this.fail(BodyFailure::TooLong),
            }
        }
        // After the last byte that it may have, HTTP/1.1 does not ask again.
        let is_whole = match this.left {
            Some(left) => left == 0,
            None => body.is_end_stream(),
        };
        if is_whole {
            this.exchange.end_body(BodyEnd::Whole);
        }
        Poll::Ready(Some(Ok(Frame::data(this.exchange.piece(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Handler(body) => self.left.unwrap_or(0) == 0 && body.is_end_stream(),
            Content::Text(_) => false,
            Content::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (self.left, &self.content) {
            (Some(left), _) => SizeHint::with_exact(left),
            (None, Content::Handler(body)) => body.size_hint(),
            (None, _) => SizeHint::with_exact(0),
        }
    }
}
