//! HTTP connections that others accepted: TLS, limits, time limits, one record for each request.
//!
//! A [`FrontDoor`] is given connected sockets, one call of [`FrontDoor::serve`] each. In it hyper speaks HTTP; the modules
//! here decide what a client may do and for how long, which requests are fit for a [`Handler`], which of its answers are
//! fit for a client, and what is written down. The path of a connection: [`FrontDoor`] (`door`), its socket (`transport`),
//! its first bytes (`opening`), its version (`versions`), its time (`drive`); that of a request: `service`, `target` and
//! `fields`, [`RequestBody`], the handler, `answer`, [`AccessRecord`].
//!
//! It never listens, connects, or reads a file, and knows nothing of guests.
//!
//! # Example
//!
//! ```
//! use http_server::{AccessLog, AccessRecord, Failure, FrontDoor, Handler, Limits, RequestBody, RequestInfo};
//! use std::io::{Read, Write};
//! use std::sync::Arc;
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     type Body = http_body_util::Full<bytes::Bytes>;
//!     async fn handle(
//!         &self,
//!         request: http::Request<RequestBody>,
//!         _: RequestInfo,
//!     ) -> Result<http::Response<Self::Body>, Failure> {
//!         Ok(http::Response::new(format!("you asked for {}", request.uri()).into()))
//!     }
//! }
//!
//! struct Print;
//!
//! impl AccessLog for Print {
//!     fn record(&self, record: AccessRecord) {
//!         println!("{}", record.common_log());
//!     }
//! }
//!
//! let (mut client, server) = std::os::unix::net::UnixStream::pair()?;
//! client.write_all(b"GET /a HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n")?;
//! let door = FrontDoor::new(Arc::new(Hello), Arc::new(Print), None, Limits::default());
//! let (_stop, drain) = tokio::sync::watch::channel(false);
//! let (here, there) = ("127.0.0.1:80".parse()?, "127.0.0.1:40000".parse()?);
//! tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!     door.serve(server.into(), there, here, drain).await;
//! });
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.ends_with("\r\n\r\nyou asked for http://example.com/a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod activity;
mod answer;
mod clock;
mod door;
mod drive;
mod exchange;
mod fields;
mod handler;
mod limits;
mod opening;
mod record;
mod request_body;
mod request_id;
mod service;
mod stall;
mod streams;
mod target;
mod tls;
mod transport;
mod versions;

pub use door::FrontDoor;
pub use handler::{Failure, Handler, RequestInfo, Scheme};
pub use limits::Limits;
pub use record::{AccessLog, AccessRecord, Outcome, RequestLine};
pub use request_body::{BodyError, RequestBody};
pub use request_id::RequestId;
pub use tls::{TlsConfigError, tls_config};

#[cfg(test)]
mod tests;
