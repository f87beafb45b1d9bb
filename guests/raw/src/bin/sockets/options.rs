//! Socket options: what was set is what is read, zero is refused, and nothing else ever fails.

use crate::report::Report;
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

const SECOND_NS: u64 = 1_000_000_000;

/// Every option on sockets that are not connected.
pub fn check_unconnected(report: &mut Report) {
    for (name, family) in [("v4", IpAddressFamily::Ipv4), ("v6", IpAddressFamily::Ipv6)] {
        let socket = create_tcp_socket(family).expect("a TCP socket");
        report.equal(&format!("{name}-keep-alive-default"), socket.keep_alive_enabled(), Ok(false));
        check(report, name, &socket);
        backlog(report, name, &socket);
    }
}

/// Every option that may be set at any time.
pub fn check(report: &mut Report, name: &str, socket: &TcpSocket) {
    keep_alive(report, name, socket);
    hop_limit(report, name, socket);
    buffers(report, name, socket);
}

fn keep_alive(report: &mut Report, name: &str, socket: &TcpSocket) {
    let label = |what: &str| format!("{name}-keep-alive-{what}");
    report.ok(&label("on"), socket.set_keep_alive_enabled(true));
    report.equal(&label("is-on"), socket.keep_alive_enabled(), Ok(true));
    report.ok(&label("off"), socket.set_keep_alive_enabled(false));
    report.equal(&label("is-off"), socket.keep_alive_enabled(), Ok(false));

    report.error(&label("idle-0"), socket.set_keep_alive_idle_time(0), "invalid-argument");
    report.ok(&label("idle-max"), socket.set_keep_alive_idle_time(u64::MAX));
    report.ok(&label("idle-1ns"), socket.set_keep_alive_idle_time(1));
    report.equal(&label("idle-never-0"), socket.keep_alive_idle_time().map(|ns| ns > 0), Ok(true));
    report.ok(&label("idle-set"), socket.set_keep_alive_idle_time(5 * SECOND_NS));
    report.equal(&label("idle-get"), socket.keep_alive_idle_time(), Ok(5 * SECOND_NS));

    report.error(&label("interval-0"), socket.set_keep_alive_interval(0), "invalid-argument");
    report.ok(&label("interval-max"), socket.set_keep_alive_interval(u64::MAX));
    report.ok(&label("interval-1ns"), socket.set_keep_alive_interval(1));
    report.equal(&label("interval-never-0"), socket.keep_alive_interval().map(|ns| ns > 0), Ok(true));
    report.ok(&label("interval-set"), socket.set_keep_alive_interval(7 * SECOND_NS));
    report.equal(&label("interval-get"), socket.keep_alive_interval(), Ok(7 * SECOND_NS));

    report.error(&label("count-0"), socket.set_keep_alive_count(0), "invalid-argument");
    report.ok(&label("count-max"), socket.set_keep_alive_count(u32::MAX));
    report.ok(&label("count-set"), socket.set_keep_alive_count(3));
    report.equal(&label("count-get"), socket.keep_alive_count(), Ok(3));
}

fn hop_limit(report: &mut Report, name: &str, socket: &TcpSocket) {
    report.equal(&format!("{name}-hop-limit-default"), socket.hop_limit().map(|hops| hops > 0), Ok(true));
    report.error(&format!("{name}-hop-limit-0"), socket.set_hop_limit(0), "invalid-argument");
    for hops in [1, 255, 42] {
        report.ok(&format!("{name}-hop-limit-set-{hops}"), socket.set_hop_limit(hops));
        report.equal(&format!("{name}-hop-limit-get-{hops}"), socket.hop_limit(), Ok(hops));
    }
}

fn buffers(report: &mut Report, name: &str, socket: &TcpSocket) {
    let label = |what: &str| format!("{name}-{what}");
    report.error(&label("receive-buffer-0"), socket.set_receive_buffer_size(0), "invalid-argument");
    report.error(&label("send-buffer-0"), socket.set_send_buffer_size(0), "invalid-argument");
    for size in [1, u64::MAX, 64 * 1024] {
        report.ok(&label(&format!("receive-buffer-set-{size}")), socket.set_receive_buffer_size(size));
        report.ok(&label(&format!("send-buffer-set-{size}")), socket.set_send_buffer_size(size));
    }
    // A host may round up, but what it was asked for last must be there.
    report.equal(&label("receive-buffer-get"), socket.receive_buffer_size().map(|n| n >= 64 * 1024), Ok(true));
    report.equal(&label("send-buffer-get"), socket.send_buffer_size().map(|n| n >= 64 * 1024), Ok(true));
}

fn backlog(report: &mut Report, name: &str, socket: &TcpSocket) {
    report.error(&format!("{name}-backlog-0"), socket.set_listen_backlog_size(0), "invalid-argument");
    report.ok(&format!("{name}-backlog-max"), socket.set_listen_backlog_size(u64::MAX));
}
