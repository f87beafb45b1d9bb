//! The two halves of a connection: order, back pressure, the end of the stream, errors.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError};

use crate::sockets::connection::{Connection, Reader, Writer};
use crate::sockets::pending::Tasks;

/// More than any kernel buffer here takes at once.
const MUCH: usize = 8 << 20;

struct Ends {
    reader: Reader,
    writer: Writer,
    connection: Arc<Connection>,
    tasks: Tasks,
    peer: UnixStream,
}

fn ends() -> Ends {
    let (ours, peer) = UnixStream::pair().unwrap();
    let tasks = Tasks::default();
    let connection = Arc::new(Connection::new(ours.into(), &tasks, None).unwrap());
    Ends { reader: Reader::new(&connection), writer: Writer::new(&connection), connection, tasks, peer }
}

async fn is_ready(stream: &mut impl Pollable) -> bool {
    tokio::time::timeout(Duration::from_millis(30), stream.ready()).await.is_ok()
}

/// Writes until the stream takes nothing more, and returns how much it took.
fn fill(writer: &mut Writer) -> usize {
    let mut taken = 0;
    loop {
        match writer.check_write().unwrap() {
            0 => return taken,
            permit => {
                writer.write(Bytes::from(vec![b'x'; permit])).unwrap();
                taken += permit;
            }
        }
    }
}

fn io_error(error: StreamError) -> std::io::ErrorKind {
    let StreamError::LastOperationFailed(error) = error else { panic!("{error}") };
    error.downcast_ref::<std::io::Error>().unwrap().kind()
}

#[tokio::test]
async fn reading_gives_what_is_there_and_then_nothing() {
    let mut ends = ends();
    assert_eq!(ends.reader.read(10).unwrap(), "");
    assert!(!is_ready(&mut ends.reader).await);
    ends.peer.write_all(b"hello").unwrap();
    assert!(is_ready(&mut ends.reader).await);
    assert_eq!(ends.reader.read(0).unwrap(), "");
    assert_eq!(ends.reader.read(3).unwrap(), "hel");
    assert!(is_ready(&mut ends.reader).await);
    assert_eq!(ends.reader.read(10).unwrap(), "lo");
    assert!(!is_ready(&mut ends.reader).await, "readiness must not outlive the data");
    assert_eq!(ends.reader.read(10).unwrap(), "");
}

#[tokio::test]
async fn reading_waits() {
    let Ends { mut reader, mut peer, .. } = ends();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        peer.write_all(b"late").unwrap();
        peer
    });
    assert_eq!(reader.blocking_read(10).await.unwrap(), "late");
    drop(late.join().unwrap());
    assert!(matches!(reader.blocking_read(10).await, Err(StreamError::Closed)));
}

#[tokio::test]
async fn the_end_of_the_stream_comes_after_the_data() {
    let mut ends = ends();
    ends.peer.write_all(b"last").unwrap();
    drop(ends.peer);
    assert!(is_ready(&mut ends.reader).await);
    assert_eq!(ends.reader.read(10).unwrap(), "last");
    assert!(is_ready(&mut ends.reader).await);
    for _ in 0..2 {
        assert!(matches!(ends.reader.read(10), Err(StreamError::Closed)));
    }
}

#[tokio::test]
async fn a_closed_read_half_reads_nothing_more() {
    let mut ends = ends();
    ends.peer.write_all(b"unread").unwrap();
    ends.connection.close_reading();
    assert!(is_ready(&mut ends.reader).await);
    assert!(matches!(ends.reader.read(10), Err(StreamError::Closed)));
    ends.writer.write("still".into()).unwrap();
    let mut bytes = [0; 5];
    ends.peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"still");
}

#[tokio::test]
async fn writing_stops_when_the_peer_does_not_read() {
    let mut ends = ends();
    assert!(is_ready(&mut ends.writer).await);
    let taken = fill(&mut ends.writer);
    assert!(!is_ready(&mut ends.writer).await);
    assert!(matches!(ends.writer.write("x".into()), Err(StreamError::Trap(_))));
    ends.writer.flush().unwrap();
    let mut received = vec![0; taken];
    let mut peer = ends.peer.try_clone().unwrap();
    let reading = std::thread::spawn(move || peer.read_exact(&mut received).map(|()| received));
    ends.writer.ready().await;
    assert!(ends.writer.check_write().unwrap() > 0);
    assert!(reading.join().unwrap().unwrap().iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn much_arrives_whole_and_in_order() {
    let Ends { mut reader, mut writer, peer, .. } = ends();
    let sent: Vec<u8> = (0..MUCH).map(|at| (at / 7) as u8).collect();
    // The peer sends back what it gets.
    let (mut from, mut to) = (peer.try_clone().unwrap(), peer);
    let echo = std::thread::spawn(move || {
        std::io::copy(&mut from, &mut to).unwrap();
        to.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut rest = Bytes::from(sent.clone());
    let mut received = Vec::new();
    loop {
        tokio::select! {
            permit = writer.write_ready(), if !rest.is_empty() => {
                let chunk = rest.split_to(permit.unwrap().min(rest.len()));
                writer.write(chunk).unwrap();
                if rest.is_empty() {
                    // The guest's side is done; the end must come after the data.
                    writer.flush().unwrap();
                }
            }
            data = reader.blocking_read(100_000) => match data {
                Ok(data) => received.extend_from_slice(&data),
                Err(StreamError::Closed) => break,
                Err(other) => panic!("{other}"),
            },
        }
        if received.len() == sent.len() {
            break;
        }
    }
    drop((reader, writer));
    echo.join().unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn a_write_half_that_is_closed_or_dropped_sends_everything_and_then_the_end() {
    for by_drop in [false, true] {
        let Ends { reader, mut writer, connection, tasks, mut peer } = ends();
        let taken = fill(&mut writer);
        if by_drop {
            drop(writer);
        } else {
            connection.close_writing();
            assert!(matches!(writer.check_write(), Err(StreamError::Closed)));
            assert!(matches!(writer.write("x".into()), Err(StreamError::Closed)));
        }
        // The guest forgets the socket altogether.
        drop((reader, connection));
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).map(|_| received.len())
        });
        tasks.finish().await;
        assert_eq!(reading.join().unwrap().unwrap(), taken);
    }
}

#[tokio::test]
async fn half_a_close_leaves_the_other_half() {
    let mut ends = ends();
    ends.writer.write("question".into()).unwrap();
    ends.connection.close_writing();
    let mut question = String::new();
    ends.peer.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    ends.peer.write_all(b"answer").unwrap();
    assert_eq!(ends.reader.blocking_read(100).await.unwrap(), "answer");
    assert!(matches!(ends.writer.write("more".into()), Err(StreamError::Closed)));
}

#[tokio::test]
async fn writing_to_a_peer_that_is_gone_is_closed() {
    let mut ends = ends();
    drop(ends.peer);
    assert!(matches!(ends.writer.write("x".into()), Err(StreamError::Closed)));
    assert!(matches!(ends.writer.check_write(), Err(StreamError::Closed)));
    assert!(is_ready(&mut ends.writer).await);
}

#[tokio::test]
async fn a_peer_that_goes_during_a_write_is_told() {
    let mut ends = ends();
    fill(&mut ends.writer);
    drop(ends.peer);
    ends.writer.ready().await;
    match ends.writer.check_write() {
        Err(StreamError::Closed) => {}
        Err(error) => assert_eq!(io_error(error), std::io::ErrorKind::ConnectionReset),
        Ok(permit) => panic!("may write {permit} bytes to nobody"),
    }
    assert!(matches!(ends.writer.check_write(), Err(StreamError::Closed)));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "only TCP has resets")]
async fn a_reset_is_an_error_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let peer = listener.accept().unwrap().0;
    let tasks = Tasks::default();
    let connection = Arc::new(Connection::new(ours.into(), &tasks, None).unwrap());
    let (mut reader, _writer) = (Reader::new(&connection), Writer::new(&connection));
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    drop(peer);
    reader.ready().await;
    assert_eq!(io_error(reader.read(10).unwrap_err()), std::io::ErrorKind::ConnectionReset);
    assert!(matches!(reader.read(10), Err(StreamError::Closed)));
}
