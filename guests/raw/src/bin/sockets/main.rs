//! Exercises every call of `wasi:sockets` 0.2 and checks each answer against the text of the interface.
//!
//! `sockets SUBCOMMAND [HOST PORT]...`, where HOST is an IP address:
//!
//! | subcommand | needs | checks |
//! |---|---|---|
//! | `unconnected` | nothing, no grant | calls in the wrong state, bad addresses, bind and listen refused |
//! | `options` | nothing, no grant | every socket option before a connect: get, set, bad values |
//! | `names` | nothing, no grant | IP literals, `localhost`, bad names, a name without a grant |
//! | `udp` | nothing, no grant | UDP sockets are refused |
//! | `connect HOST PORT` | a granted echo server | states, addresses and options while connecting and once connected |
//! | `streams HOST PORT` | a granted echo server | echo, half close, end of stream, shutdown, polling, time-out |
//! | `outlive HOST PORT` | a granted echo server | streams work after their socket was dropped |
//! | `refused HOST PORT` | a grant, nobody listening | connection-refused and the closed state after it |
//! | `denied HOST PORT` | no grant | access-denied and the closed state after it |
//!
//! An echo server sends back each byte, and closes its side once it read the end of ours.
//! Prints `ok NAME` or `FAIL NAME: got X want Y` for each check; exit code 1 if any failed, 2 if called wrongly.

mod connected;
mod failed;
mod names;
mod options;
mod report;
mod streams;
mod tcp;
mod udp;
mod unconnected;

use report::Report;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut report = Report::default();
    match words.as_slice() {
        ["unconnected"] => unconnected::check(&mut report),
        ["options"] => options::check_unconnected(&mut report),
        ["names"] => names::check(&mut report),
        ["udp"] => udp::check(&mut report),
        ["connect", host, port] => connected::check(&mut report, tcp::address(host, port)),
        ["streams", host, port] => streams::check(&mut report, tcp::address(host, port)),
        ["outlive", host, port] => streams::check_outlive(&mut report, tcp::address(host, port)),
        ["refused", host, port] => failed::check(&mut report, tcp::address(host, port), "connection-refused"),
        ["denied", host, port] => failed::check(&mut report, tcp::address(host, port), "access-denied"),
        _ => {
            eprintln!("usage: sockets SUBCOMMAND [HOST PORT], see the head of its source");
            return ExitCode::from(2);
        }
    }
    if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
