//! Streams of bytes: sending all of something, and reading just so much.

use std::net::SocketAddr;
use wasip3::sockets::types::{ErrorCode, TcpSocket};
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::{family, wire};

/// Most programs never read more than this at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A connected socket with both of its streams and their outcomes.
#[derive(Debug)]
pub struct Connection {
    /// The socket they belong to.
    pub socket: TcpSocket,
    /// What the peer sends.
    pub input: StreamReader<u8>,
    /// How that ended.
    pub received: FutureReader<Result<(), ErrorCode>>,
    /// What the peer is sent.
    pub output: StreamWriter<u8>,
    /// How that ended.
    pub sent: FutureReader<Result<(), ErrorCode>>,
}

impl Connection {
    /// Opens both streams of a connected socket.
    #[must_use]
    pub fn of(socket: TcpSocket) -> Connection {
        let (input, received) = socket.receive();
        let (output, data) = wasip3::wit_stream::new();
        let sent = socket.send(data);
        Connection { socket, input, received, output, sent }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// What the interface says.
    pub async fn to(address: SocketAddr) -> Result<Connection, ErrorCode> {
        let socket = TcpSocket::create(family(address))?;
        socket.connect(wire(address)).await?;
        Ok(Connection::of(socket))
    }
}

/// Sends all of it, and tells whether the stream took it.
pub async fn send_all(output: &mut StreamWriter<u8>, data: &[u8]) -> bool {
    output.write_all(data.to_vec()).await.is_empty()
}

/// Reads until there are so many bytes, or the stream ends.
pub async fn read_exactly(input: &mut StreamReader<u8>, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let (result, more) = input.read(Vec::with_capacity((length - bytes.len()).min(CHUNK_BYTES))).await;
        bytes.extend(more);
        if result == StreamResult::Dropped {
            break;
        }
    }
    bytes
}

/// Reads until the stream ends.
pub async fn read_to_end(input: &mut StreamReader<u8>) -> Vec<u8> {
    read_exactly(input, usize::MAX).await
}
