//! The two ends of a connection inside this guest: bytes, ends and breaks, as between two hosts.

use crate::report::Report;
use crate::streams::{code, read_exactly, write, write_permitted};
use crate::tcp::{Connection, LOOPBACKS, pair};
use std::net::SocketAddr;
use wasip2::io::poll::poll;
use wasip2::sockets::tcp::ShutdownType;

/// More than all buffers between the two ends together.
const LARGE_BYTES: usize = 8 << 20;

/// Every check of this file but [`check_outlive`].
pub fn check(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        half_close(report, name, any);
        shutdown_receive(report, name, any);
        shutdown_both(report, name, any);
        large(report, name, any);
        end_by_drop(report, name, any);
        break_by_drop(report, name, any);
    }
}

/// The sockets are dropped first; the streams go on. The interface does not tie their lives together.
pub fn check_outlive(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        socket_dropped_first(report, name, any);
    }
}

fn half_close(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("half-close-{name}-{what}");
    let (client, server) = pair(any);
    report.equal(&label("write"), write(&client.output, b"last words"), Ok(()));
    report.ok(&label("send"), client.socket.shutdown(ShutdownType::Send));
    report.ok(&label("send-again"), client.socket.shutdown(ShutdownType::Send));
    report.equal(&label("check-write"), client.output.check_write().map_err(code), Err("closed"));
    report.equal(&label("read"), read_exactly(&server.input, 10), b"last words".to_vec());
    report.equal(&label("end"), server.input.blocking_read(1).map_err(code), Err("closed"));
    report.equal(&label("end-again"), server.input.read(1).map_err(code), Err("closed"));
    report.equal(&label("answer"), write(&server.output, b"answer"), Ok(()));
    report.equal(&label("answered"), read_exactly(&client.input, 6), b"answer".to_vec());
    report.equal(&label("addresses-stay"), client.socket.remote_address().is_ok(), true);
}

fn shutdown_receive(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    report.ok(&format!("shutdown-receive-{name}"), client.socket.shutdown(ShutdownType::Receive));
    report.equal(&format!("shutdown-receive-{name}-read"), client.input.read(16).map_err(code), Err("closed"));
    report.equal(&format!("shutdown-receive-{name}-write"), write(&client.output, b"sending"), Ok(()));
    report.equal(&format!("shutdown-receive-{name}-read-there"), read_exactly(&server.input, 7), b"sending".to_vec());
}

fn shutdown_both(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    report.ok(&format!("shutdown-both-{name}"), client.socket.shutdown(ShutdownType::Both));
    report.equal(&format!("shutdown-both-{name}-read"), client.input.read(16).map_err(code), Err("closed"));
    report.equal(&format!("shutdown-both-{name}-write"), client.output.check_write().map_err(code), Err("closed"));
    report.equal(&format!("shutdown-both-{name}-end"), server.input.blocking_read(1).map_err(code), Err("closed"));
}

/// A writer has to wait for the reader, and nothing is lost.
fn large(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    let data: Vec<u8> = (0..LARGE_BYTES).map(|index| (index % 251) as u8).collect();
    let (mut sent, mut stopped) = (0, false);
    while !stopped && sent < LARGE_BYTES {
        let before = sent;
        sent += write_permitted(&client.output, &data[sent..]);
        stopped = sent == before;
    }
    report.equal(&format!("large-{name}-writer-waits"), stopped, true);
    let mut received = Vec::with_capacity(LARGE_BYTES);
    let (writable, readable) = (client.output.subscribe(), server.input.subscribe());
    while received.len() < LARGE_BYTES {
        if sent < LARGE_BYTES {
            poll(&[&writable, &readable]);
            sent += write_permitted(&client.output, &data[sent..]);
        } else {
            readable.block();
        }
        match server.input.read(256 * 1024) {
            Ok(bytes) => received.extend(bytes),
            Err(_) => break,
        }
    }
    drop((writable, readable));
    report.equal(&format!("large-{name}-same"), received == data, true);
}

fn socket_dropped_first(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    let Connection { input, output, socket } = client;
    drop(socket);
    report.equal(&format!("outlive-{name}-write"), write(&output, b"to"), Ok(()));
    report.equal(&format!("outlive-{name}-read"), read_exactly(&server.input, 2), b"to".to_vec());
    report.equal(&format!("outlive-{name}-back"), write(&server.output, b"fro"), Ok(()));
    report.equal(&format!("outlive-{name}-read-back"), read_exactly(&input, 3), b"fro".to_vec());
}

fn end_by_drop(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    report.equal(&format!("drop-{name}-write"), write(&client.output, b"bye"), Ok(()));
    drop(client);
    report.equal(&format!("drop-{name}-read"), read_exactly(&server.input, 3), b"bye".to_vec());
    report.equal(&format!("drop-{name}-end"), server.input.blocking_read(1).map_err(code), Err("closed"));
}

/// Who writes to an end that is gone learns it, sooner or later.
fn break_by_drop(report: &mut Report, name: &str, any: SocketAddr) {
    let (client, server) = pair(any);
    drop(server);
    let chunk = [0; 4096];
    let failed = (0..10_000).any(|_| write(&client.output, &chunk).is_err());
    report.equal(&format!("broken-{name}-write-fails"), failed, true);
    report.equal(&format!("broken-{name}-stays-so"), write(&client.output, &chunk).is_err(), true);
}
