//! Real guests that answer requests, asked without a network and without HTTP around them.
//!
//! `cargo xtask test` builds the guests and says where they are. Each is compiled once, with settings that know of no
//! pool, and run in one.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

mod ends;
mod guests;
mod instances;
mod streams;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tokio::sync::oneshot;
use wasi::{
    Denial, DenialReport, GuestSpec, HttpBody, HttpFailure, HttpInstance, HttpProgram, RequestBodyError, Scheme, Start,
    Stdio,
};

/// Nobody is told.
#[derive(Debug)]
struct Nobody;
impl DenialReport for Nobody {
    fn denied(&self, _denial: Denial) {}
}

/// What every instance gets in these tests: nothing.
fn spec() -> GuestSpec {
    GuestSpec {
        args: vec!["guest".to_owned()],
        env: Vec::new(),
        volumes: Vec::new(),
        workdir: None,
        limits: sandbox::Limits::default(),
        host_limits: wasi::HostLimits::default(),
        cpus: None,
        descriptors: wasi::Descriptors::new(10_000),
        deadline: None,
        network: None,
        http: None,
        application: None,
        listeners: Vec::new(),
        report: Arc::new(Nobody),
    }
}

async fn start(program: &HttpProgram) -> HttpInstance {
    program.start(&spec(), Start::with(Stdio::Null)).await.unwrap()
}

type NoBody = http_body_util::combinators::MapErr<Empty<Bytes>, fn(std::convert::Infallible) -> RequestBodyError>;

fn request(method: Method, path: &str) -> Request<NoBody> {
    let body = Empty::new().map_err((|never| match never {}) as fn(std::convert::Infallible) -> RequestBodyError);
    Request::builder().method(method).uri(path).header("host", "example.com").body(body).unwrap()
}

fn get(path: &str) -> Request<NoBody> {
    request(Method::GET, path)
}

/// A request that is being answered.
struct Asked<W> {
    /// The answer's head and body.
    answer: oneshot::Receiver<Response<HttpBody>>,
    /// Drives the guest.
    work: W,
}

fn ask<B>(instance: HttpInstance, request: Request<B>) -> Asked<impl Future<Output = Result<HttpInstance, HttpFailure>>>
where
    B: Body<Data = Bytes, Error = RequestBodyError> + Send + 'static,
{
    let (sender, answer) = oneshot::channel();
    Asked { answer, work: instance.handle(request, Scheme::Http, sender) }
}

/// What a client would have of an answer.
struct Received {
    status: u16,
    data: Vec<u8>,
    /// Why it is not whole.
    error: Option<String>,
}

impl Received {
    fn text(&self) -> &str {
        assert_eq!(self.error, None);
        std::str::from_utf8(&self.data).unwrap()
    }
}

async fn receive(mut body: impl Body<Data = Bytes, Error = impl fmt::Debug> + Unpin) -> (Vec<u8>, Option<String>) {
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => data.extend_from_slice(&bytes),
            Ok(Err(_trailers)) => {}
            Err(error) => return (data, Some(format!("{error:?}"))),
        }
    }
    (data, None)
}

/// Asks, takes what comes, and tells how the guest ended.
async fn exchange<B>(
    instance: HttpInstance,
    request: Request<B>,
) -> (Option<Received>, Result<HttpInstance, HttpFailure>)
where
    B: Body<Data = Bytes, Error = RequestBodyError> + Send + 'static,
{
    let Asked { answer, work } = ask(instance, request);
    let takes = async {
        let (head, body) = answer.await.ok()?.into_parts();
        let (data, error) = receive(body).await;
        Some(Received { status: head.status.as_u16(), data, error })
    };
    tokio::join!(takes, work)
}
