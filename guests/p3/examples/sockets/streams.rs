//! The two streams of a connection: bytes, ends, outcomes, waiting, and giving up waiting.

use p3_guests::{Connection, Report, read_exactly, read_to_end, send_all};
use std::net::SocketAddr;
use std::pin::pin;
use wasip3::wit_bindgen::rt::async_support::StreamResult;

/// More than one socket buffer, so that writing has to wait for reading.
const LARGE_BYTES: usize = 4 << 20;

/// Every check of this file that needs an echo server.
pub async fn check(report: &mut Report, address: SocketAddr) {
    echo(report, connect(address).await).await;
    readiness(report, connect(address).await).await;
    cancelled_read(report, connect(address).await).await;
    cancelled_write(report, connect(address).await).await;
    half_close(report, connect(address).await).await;
    receive_dropped(report, connect(address).await).await;
    never_received(report, address).await;
    large(report, connect(address).await).await;
    at_once(report, address).await;
}

/// The socket is dropped first; its streams go on.
pub async fn check_outlive(report: &mut Report, address: SocketAddr) {
    let Connection { socket, mut input, received, mut output, sent } = connect(address).await;
    drop(socket);
    report.equal("outlive-write", send_all(&mut output, b"still here").await, true);
    report.equal("outlive-read", read_exactly(&mut input, 10).await, b"still here".to_vec());
    drop(output);
    report.equal("outlive-end", read_to_end(&mut input).await, Vec::new());
    report.ok("outlive-sent", sent.await);
    report.ok("outlive-received", received.await);
}

/// The server resets the connection once it has read something.
pub async fn check_reset(report: &mut Report, address: SocketAddr) {
    let Connection { socket, mut input, received, mut output, sent } = connect(address).await;
    report.equal("reset-write", send_all(&mut output, b"reset me").await, true);
    report.equal("reset-read", read_to_end(&mut input).await, Vec::new());
    report.code("reset-received", received.await, "connection-reset");
    // The reset has been told once; what comes after it finds no connection.
    while send_all(&mut output, b"anybody?").await {}
    report.one_of("reset-sent", sent.await, &["connection-broken", "connection-reset"]);
    report.code("reset-connect-again", socket.connect(p3_guests::wire(address)).await, "invalid-state");
}

async fn connect(address: SocketAddr) -> Connection {
    Connection::to(address).await.expect("the connect works")
}

async fn echo(report: &mut Report, mut connection: Connection) {
    for text in [&b"one"[..], b"two", b"three"] {
        report.equal("echo-write", send_all(&mut connection.output, text).await, true);
        report.equal("echo-read", read_exactly(&mut connection.input, text.len()).await, text.to_vec());
    }
}

/// Reading and writing nothing waits until there is something to read, and room to write.
async fn readiness(report: &mut Report, mut connection: Connection) {
    let (result, _) = connection.output.write(Vec::new()).await;
    report.equal("ready-write", result, StreamResult::Complete(0));
    {
        let mut wait = pin!(connection.input.read(Vec::new()));
        report.equal("ready-read-waits", futures::poll!(wait.as_mut()).is_pending(), true);
        report.equal("ready-read-cancelled", wait.cancel().0, StreamResult::Cancelled);
    }
    report.equal("ready-send", send_all(&mut connection.output, b"something").await, true);
    let (result, nothing) = connection.input.read(Vec::new()).await;
    report.equal("ready-read", (result, nothing.len()), (StreamResult::Complete(0), 0));
    report.equal("ready-nothing-lost", read_exactly(&mut connection.input, 9).await, b"something".to_vec());
    drop(connection.output);
    // The end is something to read, too.
    let (result, _) = connection.input.read(Vec::new()).await;
    let end = read_to_end(&mut connection.input).await;
    report.equal("ready-end", (result != StreamResult::Cancelled, end), (true, Vec::new()));
    report.ok("ready-received", connection.received.await);
}

/// Waiting for bytes can be given up; none is lost by that.
async fn cancelled_read(report: &mut Report, mut connection: Connection) {
    {
        let mut wait = pin!(connection.input.read(Vec::with_capacity(16)));
        report.equal("cancel-read-waits", futures::poll!(wait.as_mut()).is_pending(), true);
        let (result, nothing) = wait.cancel();
        report.equal("cancel-read", (result, nothing.len()), (StreamResult::Cancelled, 0));
    }
    report.equal("cancel-read-write", send_all(&mut connection.output, b"late").await, true);
    report.equal("cancel-read-then", read_exactly(&mut connection.input, 4).await, b"late".to_vec());
}

/// A write that waits for room can be given up, and tells how much had gone.
async fn cancelled_write(report: &mut Report, connection: Connection) {
    let Connection { mut input, mut output, sent, .. } = connection;
    let mut taken = 0;
    // Nobody reads what the server sends back, so at some time it stops reading, and then we cannot write.
    loop {
        let mut write = pin!(output.write(vec![7; LARGE_BYTES]));
        let (result, left) = match futures::poll!(write.as_mut()) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => {
                wasip3::clocks::monotonic_clock::wait_for(50_000_000).await;
                match futures::poll!(write.as_mut()) {
                    std::task::Poll::Ready(result) => result,
                    std::task::Poll::Pending => write.cancel(),
                }
            }
        };
        taken += LARGE_BYTES - left.remaining();
        if result == StreamResult::Cancelled {
            break;
        }
    }
    drop(output);
    let (back, sent) = futures::join!(read_to_end(&mut input), sent.into_future());
    report.equal("cancel-write-all-came", back.len(), taken);
    report.ok("cancel-write-sent", sent);
}

/// After we ended our side the server may still answer, then ends its own.
async fn half_close(report: &mut Report, connection: Connection) {
    let Connection { socket, mut input, received, mut output, sent } = connection;
    report.equal("half-close-write", send_all(&mut output, b"last words").await, true);
    drop(output);
    report.ok("half-close-sent", sent.await);
    report.equal("half-close-read", read_to_end(&mut input).await, b"last words".to_vec());
    report.ok("half-close-received", received.await);
    report.ok("half-close-socket-stays", socket.get_remote_address());
}

/// Who reads no more can still write.
async fn receive_dropped(report: &mut Report, connection: Connection) {
    let Connection { input, received, mut output, .. } = connection;
    drop(input);
    report.ok("receive-dropped-received", received.await);
    report.equal("receive-dropped-write", send_all(&mut output, b"still sending").await, true);
}

/// Nobody has to receive, nor to wait for outcomes.
async fn never_received(report: &mut Report, address: SocketAddr) {
    let Connection { mut output, received, sent, .. } = connect(address).await;
    drop((received, sent));
    report.equal("no-futures-write", send_all(&mut output, b"whatever").await, true);
}

/// Megabytes each way at once.
async fn large(report: &mut Report, connection: Connection) {
    let Connection { mut input, received, mut output, sent, .. } = connection;
    let data: Vec<u8> = (0..LARGE_BYTES).map(|index| (index % 251) as u8).collect();
    let send = async {
        let all = send_all(&mut output, &data).await;
        drop(output);
        all
    };
    let (all, back, sent, received) =
        futures::join!(send, read_to_end(&mut input), sent.into_future(), received.into_future());
    report.equal("large-write", all, true);
    report.equal("large-length", back.len(), LARGE_BYTES);
    report.equal("large-same", back == data, true);
    report.ok("large-sent", sent);
    report.ok("large-received", received);
}

/// Several connections at once, each with its own bytes.
async fn at_once(report: &mut Report, address: SocketAddr) {
    let talk = async |number: u8| {
        let mut connection = connect(address).await;
        let data = vec![number; 100_000];
        let (_, back) =
            futures::join!(send_all(&mut connection.output, &data), read_exactly(&mut connection.input, data.len()));
        usize::from(back == data)
    };
    let right: usize = futures::future::join_all((0..20).map(talk)).await.into_iter().sum();
    report.equal("at-once", right, 20);
}
