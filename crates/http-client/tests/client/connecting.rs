//! Connections that are not made, or are of another kind.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use http_client::{Client, Connect, ConnectError, Connecting, RequestError, Trust};

use crate::world::fetch;

/// Answers every question alike.
struct Answers<F>(F);

impl<F: Fn() -> Result<OwnedFd, ConnectError> + Send + Sync + 'static> Connect for Answers<F> {
    fn connect(&self, _: &str, _: u16) -> Connecting {
        let answer = (self.0)();
        Box::pin(async { answer })
    }
}

fn client(answer: impl Fn() -> Result<OwnedFd, ConnectError> + Send + Sync + 'static) -> Client {
    Client::new(Arc::new(Answers(answer)), Trust::nothing())
}

#[tokio::test]
async fn what_was_answered_is_told() {
    for error in [
        ConnectError::Denied,
        ConnectError::NotAHost,
        ConnectError::NameUnresolvable,
        ConnectError::TemporaryResolverFailure,
        ConnectError::NotFound,
        ConnectError::Refused,
        ConnectError::Unreachable,
        ConnectError::TimedOut,
        ConnectError::LimitReached,
        ConnectError::Failed("for want of a nail".to_owned()),
    ] {
        let answer = error.clone();
        let Err(RequestError::Connect(told)) = fetch(&client(move || Err(answer.clone())), "http://db/").await else {
            panic!("{error}")
        };
        assert_eq!(told, error);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "plays the egress")]
async fn a_socket_of_the_internet_will_do() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut far, _) = listener.accept().unwrap();
        // Heard to its end: closed with something unread, the connection would be reset.
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
    });
    let client = client(move || Ok(TcpStream::connect(address).unwrap().into()));
    assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    server.join().unwrap();
}

#[tokio::test]
async fn what_is_no_socket_is_told() {
    let client = client(|| Ok(std::io::pipe().unwrap().0.into()));
    let failed = fetch(&client, "http://db/").await;
    assert!(matches!(failed, Err(RequestError::Connect(ConnectError::Failed(_)))), "{failed:?}");
}
