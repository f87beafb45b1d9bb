//! HTTP requests over connections that others make: TLS, a pool, time limits, and what went wrong.
//!
//! A [`Client`] never opens a socket. It asks its [`Connect`] for one, by name or address and port, speaks TLS over it if
//! the request is for `https`, HTTP/2 if the server offers it there and HTTP/1.1 otherwise, and keeps the connection for the
//! next request to the same authority. Whoever wants other authority takes another client: connections are never shared
//! between two.
//!
//! What it is told is what it does. No proxy, no redirect, no cookie, no decompression, nothing from the environment but
//! where the machine keeps the certificates it trusts ([`Trust::platform`]).
//!
//! ```
//! # use std::io::{Read, Write};
//! # use std::os::fd::OwnedFd;
//! # use std::os::unix::net::UnixStream;
//! # use std::sync::Arc;
//! use bytes::Bytes;
//! use http_body_util::{BodyExt, Empty};
//! use http_client::{Client, Connect, Connecting, Timeouts, Trust};
//!
//! /// Leads every request to a thread that says hello.
//! struct Hello;
//!
//! impl Connect for Hello {
//!     fn connect(&self, _host: &str, _port: u16) -> Connecting {
//!         let (near, mut far) = UnixStream::pair().unwrap();
//!         std::thread::spawn(move || {
//!             far.read(&mut [0; 1024]).unwrap();
//!             far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
//!         });
//!         Box::pin(async { Ok(OwnedFd::from(near)) })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let client = Client::new(Arc::new(Hello), Trust::platform());
//! let request = http::Request::get("http://db:8080/").body(Empty::<Bytes>::new()).unwrap();
//! let response = client.send(request, Timeouts::default()).await.unwrap();
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
//! # });
//! ```
//!
//! Never here: a socket that this crate made, other crates of ours, and anything about guests.

mod address;
mod body;
mod classify;
mod client;
mod connect;
mod connector;
mod error;
mod stream;
mod tasks;
mod trust;
mod upload;

pub use body::ResponseBody;
pub use client::{Client, Timeouts};
pub use connect::{Connect, ConnectError, Connecting};
pub use connector::{LONGEST_CONNECT, MAX_CONNECTIONS};
pub use error::{RequestError, TlsError};
pub use trust::{Trust, TrustError};
