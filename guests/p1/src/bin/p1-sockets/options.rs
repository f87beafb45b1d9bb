//! Socket options, by WasmEdge's numbers.

use p1_guests::calls;
use p1_guests::report::Report;
use p1_guests::sockets::{self, DATAGRAM, STREAM, V4, option, option_bytes, set_option};

use crate::stream::pair;

const ON: &[u8] = &[1, 0, 0, 0];
const OFF: &[u8] = &[0, 0, 0, 0];

pub(crate) fn check(report: &mut Report) {
    let tcp = sockets::socket(V4, STREAM).expect("a socket");
    let udp = sockets::socket(V4, DATAGRAM).expect("a socket");
    let (near, far, _) = pair(V4, "127.0.0.1:0");
    for (kind, fd) in [("new", tcp), ("datagram", udp), ("connected", near)] {
        kept(report, kind, fd);
        timeouts(report, kind, fd);
        unknown(report, kind, fd);
    }
    report.same("kind of a stream", option(tcp, 0, 1), Ok(2));
    report.same("kind of datagrams", option(udp, 0, 1), Ok(1));
    report.same("does not listen", option(tcp, 0, 13), Ok(0));
    report.ok("listen", sockets::listen(tcp, 1));
    report.same("listens", option(tcp, 0, 13), Ok(1));
    report.fails("no delay of datagrams", option(udp, 6, 15), "NOTSUP");
    report.fails("set no delay of datagrams", set_option(udp, 6, 15, ON), "NOTSUP");
    for fd in [tcp, near] {
        report.ok("no delay", set_option(fd, 6, 15, ON));
        report.same("no delay is told", option(fd, 6, 15), Ok(1));
        report.ok("keep alive", set_option(fd, 0, 7, ON));
        report.same("keep alive is told", option(fd, 0, 7), Ok(1));
    }
    for fd in [tcp, udp, near, far] {
        report.ok("close", calls::close(fd));
    }
}

fn kept(report: &mut Report, kind: &str, fd: u32) {
    for (name, number) in [("reuse address", 0), ("broadcast", 4)] {
        report.same(&format!("{kind}: {name}"), option(fd, 0, number), Ok(0));
        report.ok(&format!("{kind}: set {name}"), set_option(fd, 0, number, ON));
        report.same(&format!("{kind}: {name} is told"), option(fd, 0, number), Ok(1));
        report.ok(&format!("{kind}: unset {name}"), set_option(fd, 0, number, OFF));
        report.fails(&format!("{kind}: {name} is four bytes"), set_option(fd, 0, number, &[1, 0]), "INVAL");
        report.fails(&format!("{kind}: {name} has no room"), option_bytes(fd, 0, number, 3), "INVAL");
    }
    for (name, number) in [("send buffer", 5), ("receive buffer", 6)] {
        report.ok(&format!("{kind}: set {name}"), set_option(fd, 0, number, &30_000_i32.to_le_bytes()));
        report.same(
            &format!("{kind}: {name} is at least that"),
            option(fd, 0, number).map(|size| size >= 30_000),
            Ok(true),
        );
    }
    for (name, number, value) in [("do not route", 3, 0), ("out of band", 8, 0), ("low water", 10, 1)] {
        report.same(&format!("{kind}: {name}"), option(fd, 0, number), Ok(value));
        report.ok(&format!("{kind}: {name} as it is"), set_option(fd, 0, number, &value.to_le_bytes()));
        report.fails(
            &format!("{kind}: {name} otherwise"),
            set_option(fd, 0, number, &7_i32.to_le_bytes()),
            "NOPROTOOPT",
        );
    }
    report.same(&format!("{kind}: linger"), option_bytes(fd, 0, 9, 16), Ok(vec![0; 8]));
    report.ok(&format!("{kind}: no linger"), set_option(fd, 0, 9, &[0; 8]));
    report.fails(&format!("{kind}: set linger"), set_option(fd, 0, 9, &[1, 0, 0, 0, 1, 0, 0, 0]), "NOPROTOOPT");
    report.same(&format!("{kind}: device"), option_bytes(fd, 0, 14, 16), Ok(Vec::new()));
    report.fails(&format!("{kind}: set device"), set_option(fd, 0, 14, b"lo"), "PERM");
    report.same(&format!("{kind}: no error"), option(fd, 0, 2), Ok(0));
}

fn timeouts(report: &mut Report, kind: &str, fd: u32) {
    let time = |seconds: i64, microseconds: i64| [seconds.to_le_bytes(), microseconds.to_le_bytes()].concat();
    for (name, number) in [("receive time-out", 11), ("send time-out", 12)] {
        report.same(&format!("{kind}: no {name}"), option_bytes(fd, 0, number, 16), Ok(time(0, 0)));
        report.ok(&format!("{kind}: set {name}"), set_option(fd, 0, number, &time(2, 250_000)));
        report.same(&format!("{kind}: {name}"), option_bytes(fd, 0, number, 16), Ok(time(2, 250_000)));
        report.ok(&format!("{kind}: unset {name}"), set_option(fd, 0, number, &time(0, 0)));
        report.fails(&format!("{kind}: too many microseconds"), set_option(fd, 0, number, &time(0, 1_000_000)), "DOM");
        report.fails(&format!("{kind}: half a {name}"), set_option(fd, 0, number, &[0; 8]), "INVAL");
    }
}

fn unknown(report: &mut Report, kind: &str, fd: u32) {
    for (level, number) in [(0, 15), (0, 99), (6, 1), (7, 0)] {
        report.fails(&format!("{kind}: option {number} of level {level}"), option(fd, level, number), "NOPROTOOPT");
        report.fails(
            &format!("{kind}: set option {number} of level {level}"),
            set_option(fd, level, number, ON),
            "NOPROTOOPT",
        );
    }
    for (name, number) in [("kind", 1), ("error", 2), ("listens", 13)] {
        report.fails(&format!("{kind}: set {name}"), set_option(fd, 0, number, ON), "NOPROTOOPT");
    }
}
