//! Socket options: what was set is what is read, zero is refused, and nothing else ever fails.

use p3_guests::Report;
use wasip3::sockets::types::{IpAddressFamily, TcpSocket, UdpSocket};

const SECOND_NS: u64 = 1_000_000_000;

/// Every option on sockets that are not connected.
pub async fn check_unconnected(report: &mut Report) {
    for (name, family) in [("v4", IpAddressFamily::Ipv4), ("v6", IpAddressFamily::Ipv6)] {
        let socket = TcpSocket::create(family).expect("a socket");
        report.value(&format!("{name}-keep-alive-default"), socket.get_keep_alive_enabled(), false);
        check(report, name, &socket);
        report.code(&format!("{name}-backlog-0"), socket.set_listen_backlog_size(0), "invalid-argument");
        report.ok(&format!("{name}-backlog-1"), socket.set_listen_backlog_size(1));
        report.ok(&format!("{name}-backlog-max"), socket.set_listen_backlog_size(u64::MAX));
        udp(report, &format!("udp-{name}"), &UdpSocket::create(family).expect("a socket"));
    }
}

/// Every option of a TCP socket that may be set at any time.
pub fn check(report: &mut Report, name: &str, socket: &TcpSocket) {
    keep_alive(report, name, socket);
    let label = |what: &str| format!("{name}-{what}");
    report.value(&label("hop-limit-default"), socket.get_hop_limit().map(|hops| hops > 0), true);
    report.code(&label("hop-limit-0"), socket.set_hop_limit(0), "invalid-argument");
    for hops in [1, 255, 42] {
        report.ok(&label(&format!("hop-limit-set-{hops}")), socket.set_hop_limit(hops));
        report.value(&label(&format!("hop-limit-get-{hops}")), socket.get_hop_limit(), hops);
    }
    report.code(&label("receive-buffer-0"), socket.set_receive_buffer_size(0), "invalid-argument");
    report.code(&label("send-buffer-0"), socket.set_send_buffer_size(0), "invalid-argument");
    for size in [1, u64::MAX, 64 * 1024] {
        report.ok(&label(&format!("receive-buffer-{size}")), socket.set_receive_buffer_size(size));
        report.ok(&label(&format!("send-buffer-{size}")), socket.set_send_buffer_size(size));
    }
    // A host may round up, but what it was asked for last must be there.
    report.value(&label("receive-buffer"), socket.get_receive_buffer_size().map(|n| n >= 64 * 1024), true);
    report.value(&label("send-buffer"), socket.get_send_buffer_size().map(|n| n >= 64 * 1024), true);
}

fn keep_alive(report: &mut Report, name: &str, socket: &TcpSocket) {
    let label = |what: &str| format!("{name}-keep-alive-{what}");
    report.ok(&label("on"), socket.set_keep_alive_enabled(true));
    report.value(&label("is-on"), socket.get_keep_alive_enabled(), true);
    report.ok(&label("off"), socket.set_keep_alive_enabled(false));
    report.value(&label("is-off"), socket.get_keep_alive_enabled(), false);

    report.code(&label("idle-0"), socket.set_keep_alive_idle_time(0), "invalid-argument");
    report.ok(&label("idle-max"), socket.set_keep_alive_idle_time(u64::MAX));
    report.ok(&label("idle-1ns"), socket.set_keep_alive_idle_time(1));
    report.value(&label("idle-never-0"), socket.get_keep_alive_idle_time().map(|ns| ns > 0), true);
    report.ok(&label("idle-set"), socket.set_keep_alive_idle_time(5 * SECOND_NS));
    report.value(&label("idle-get"), socket.get_keep_alive_idle_time(), 5 * SECOND_NS);

    report.code(&label("interval-0"), socket.set_keep_alive_interval(0), "invalid-argument");
    report.ok(&label("interval-max"), socket.set_keep_alive_interval(u64::MAX));
    report.ok(&label("interval-1ns"), socket.set_keep_alive_interval(1));
    report.value(&label("interval-never-0"), socket.get_keep_alive_interval().map(|ns| ns > 0), true);
    report.ok(&label("interval-set"), socket.set_keep_alive_interval(7 * SECOND_NS));
    report.value(&label("interval-get"), socket.get_keep_alive_interval(), 7 * SECOND_NS);

    report.code(&label("count-0"), socket.set_keep_alive_count(0), "invalid-argument");
    report.ok(&label("count-max"), socket.set_keep_alive_count(u32::MAX));
    report.ok(&label("count-set"), socket.set_keep_alive_count(3));
    report.value(&label("count-get"), socket.get_keep_alive_count(), 3);
}

/// Every option of a UDP socket.
pub fn udp(report: &mut Report, name: &str, socket: &UdpSocket) {
    let label = |what: &str| format!("{name}-{what}");
    report.value(&label("hop-limit-default"), socket.get_unicast_hop_limit().map(|hops| hops > 0), true);
    report.code(&label("hop-limit-0"), socket.set_unicast_hop_limit(0), "invalid-argument");
    for hops in [1, 255, 42] {
        report.ok(&label(&format!("hop-limit-set-{hops}")), socket.set_unicast_hop_limit(hops));
        report.value(&label(&format!("hop-limit-get-{hops}")), socket.get_unicast_hop_limit(), hops);
    }
    report.code(&label("receive-buffer-0"), socket.set_receive_buffer_size(0), "invalid-argument");
    report.code(&label("send-buffer-0"), socket.set_send_buffer_size(0), "invalid-argument");
    for size in [1, u64::MAX, 64 * 1024] {
        report.ok(&label(&format!("receive-buffer-{size}")), socket.set_receive_buffer_size(size));
        report.ok(&label(&format!("send-buffer-{size}")), socket.set_send_buffer_size(size));
    }
    report.value(&label("receive-buffer"), socket.get_receive_buffer_size().map(|n| n >= 64 * 1024), true);
    report.value(&label("send-buffer"), socket.get_send_buffer_size().map(|n| n >= 64 * 1024), true);
}
