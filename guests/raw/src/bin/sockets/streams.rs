//! The two streams of a connection: bytes, ends, shutdown, and waiting.

use crate::report::Report;
use crate::tcp::{Connection, connect};
use std::net::SocketAddr;
use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::tcp::ShutdownType;

const MILLISECOND_NS: u64 = 1_000_000;
/// More than one socket buffer, so that writing has to wait for reading.
const LARGE_BYTES: usize = 4 << 20;

/// Every check of this file but [`check_outlive`].
pub fn check(report: &mut Report, address: SocketAddr) {
    echo(report, connect(address));
    silence(report, connect(address));
    half_close(report, connect(address));
    shutdown_receive(report, connect(address));
    shutdown_both(report, connect(address));
    large(report, connect(address));
    end_by_drop(report, connect(address));
}

/// The socket is dropped first; its streams go on. The interface does not tie their lives together.
pub fn check_outlive(report: &mut Report, address: SocketAddr) {
    let Connection { input, output, socket } = connect(address);
    drop(socket);
    report.equal("outlive-write", write(&output, b"still here"), Ok(()));
    report.equal("outlive-read", read_exactly(&input, 10), b"still here".to_vec());
    drop(output);
    drop(input);
}

fn echo(report: &mut Report, connection: Connection) {
    let Connection { input, output, .. } = &connection;
    report.equal("echo-check-write", output.check_write().map(|permit| permit > 0).map_err(code), Ok(true));
    report.equal("echo-write", write(output, b"one"), Ok(()));
    report.equal("echo-read", read_exactly(input, 3), b"one".to_vec());
    report.equal("echo-read-0", input.read(0).map_err(code), Ok(Vec::new()));
    report.equal("echo-write-again", write(output, b"two"), Ok(()));
    let pollable = input.subscribe();
    pollable.block();
    report.equal("echo-readable", pollable.ready(), true);
    drop(pollable);
    report.equal("echo-skip", input.blocking_skip(3).map_err(code), Ok(3));
}

/// Nobody says anything: reading answers nothing, and a clock ends the wait.
fn silence(report: &mut Report, connection: Connection) {
    let Connection { input, .. } = &connection;
    report.equal("silence-read", input.read(16).map_err(code), Ok(Vec::new()));
    let readable = input.subscribe();
    report.equal("silence-not-ready", readable.ready(), false);
    let clock = subscribe_duration(50 * MILLISECOND_NS);
    let before = now();
    let ready = poll(&[&readable, &clock]);
    let waited = now() - before;
    report.equal("silence-clock-rings", ready, vec![1]);
    report.equal("silence-not-too-early", waited >= 50 * MILLISECOND_NS, true);
    drop(clock);
    // Data beats a clock that is far away.
    report.equal("silence-write", write(&connection.output, b"noise"), Ok(()));
    let clock = subscribe_duration(60_000 * MILLISECOND_NS);
    report.equal("silence-data-rings", poll(&[&clock, &readable]), vec![1]);
}

/// After we shut our side down the server may still answer, then ends its own.
fn half_close(report: &mut Report, connection: Connection) {
    let Connection { input, output, socket } = &connection;
    report.equal("half-close-write", write(output, b"last words"), Ok(()));
    report.ok("half-close-send", socket.shutdown(ShutdownType::Send));
    report.ok("half-close-send-again", socket.shutdown(ShutdownType::Send));
    report.equal("half-close-check-write", output.check_write().map_err(code), Err("closed"));
    report.equal("half-close-read", read_exactly(input, 10), b"last words".to_vec());
    report.equal("half-close-end", input.blocking_read(16).map_err(code), Err("closed"));
    report.equal("half-close-end-again", input.read(16).map_err(code), Err("closed"));
    let pollable = input.subscribe();
    report.equal("half-close-end-is-ready", pollable.ready(), true);
    drop(pollable);
}

fn shutdown_receive(report: &mut Report, connection: Connection) {
    let Connection { input, output, socket } = &connection;
    report.ok("shutdown-receive", socket.shutdown(ShutdownType::Receive));
    report.ok("shutdown-receive-again", socket.shutdown(ShutdownType::Receive));
    report.equal("shutdown-receive-read", input.read(16).map_err(code), Err("closed"));
    report.equal("shutdown-receive-write", write(output, b"still sending"), Ok(()));
}

fn shutdown_both(report: &mut Report, connection: Connection) {
    let Connection { input, output, socket } = &connection;
    report.ok("shutdown-both", socket.shutdown(ShutdownType::Both));
    report.equal("shutdown-both-read", input.read(16).map_err(code), Err("closed"));
    report.equal("shutdown-both-write", output.check_write().map_err(code), Err("closed"));
    report.ok("shutdown-both-again", socket.shutdown(ShutdownType::Both));
}

/// Megabytes each way at once, with writing and reading in turn as the host permits.
fn large(report: &mut Report, connection: Connection) {
    let Connection { input, output, socket } = &connection;
    let data: Vec<u8> = (0..LARGE_BYTES).map(|index| (index % 251) as u8).collect();
    let mut sent = 0;
    let mut received = Vec::with_capacity(LARGE_BYTES);
    let readable = input.subscribe();
    let writable = output.subscribe();
    while received.len() < LARGE_BYTES {
        if sent < LARGE_BYTES {
            poll(&[&readable, &writable]);
            sent += write_permitted(output, &data[sent..]);
            if sent == LARGE_BYTES {
                report.ok("large-shutdown-send", socket.shutdown(ShutdownType::Send));
            }
        } else {
            readable.block();
        }
        match input.read(64 * 1024) {
            Ok(bytes) => received.extend(bytes),
            Err(_) => break,
        }
    }
    drop(readable);
    drop(writable);
    report.equal("large-sent", sent, LARGE_BYTES);
    report.equal("large-received", received.len(), LARGE_BYTES);
    report.equal("large-same", received == data, true);
}

/// Dropping everything closes the connection: a new one works at once, and nothing hangs.
fn end_by_drop(report: &mut Report, connection: Connection) {
    let Connection { input, output, socket } = connection;
    report.equal("drop-write", write(&output, b"bye"), Ok(()));
    drop(output);
    report.equal("drop-read", read_exactly(&input, 3), b"bye".to_vec());
    drop(input);
    report.equal("drop-streams-socket-stays", socket.remote_address().is_ok(), true);
}

pub(crate) fn write_permitted(output: &OutputStream, data: &[u8]) -> usize {
    let permit = output.check_write().expect("the connection stands") as usize;
    let length = permit.min(data.len());
    if length > 0 {
        output.write(&data[..length]).expect("what was permitted");
    }
    length
}

pub(crate) fn write(output: &OutputStream, bytes: &[u8]) -> Result<(), &'static str> {
    output.blocking_write_and_flush(bytes).map_err(code)
}

pub(crate) fn read_exactly(input: &InputStream, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        match input.blocking_read((length - bytes.len()) as u64) {
            Ok(more) => bytes.extend(more),
            Err(_) => break,
        }
    }
    bytes
}

pub(crate) fn code(error: StreamError) -> &'static str {
    match error {
        StreamError::Closed => "closed",
        StreamError::LastOperationFailed(_) => "last-operation-failed",
    }
}
