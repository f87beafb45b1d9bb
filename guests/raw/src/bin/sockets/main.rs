//! Exercises every call of `wasi:sockets` 0.2 and checks each answer against the text of the interface.
//!
//! `sockets SUBCOMMAND [HOST PORT]...`, where HOST is an IP address:
//!
//! | subcommand | needs | checks |
//! |---|---|---|
//! | `unconnected` | nothing, no grant | calls in the wrong state, bad addresses, a port that is not granted |
//! | `options` | nothing, no grant | every socket option before a connect: get, set, bad values |
//! | `names` | nothing, no grant | IP literals, `localhost`, bad names, a name without a grant |
//! | `bind` | nothing | local addresses and ports of TCP sockets, states around a bind |
//! | `listen` | nothing | listening and accepting inside the guest |
//! | `backlog` | nothing | more clients than a listener was asked to let wait |
//! | `join` | nothing | the two ends of a connection inside the guest |
//! | `join-outlive` | nothing | streams of such a connection work after their socket was dropped |
//! | `udp` | nothing, no grant | local addresses, ports, states and options of UDP sockets |
//! | `udp-granted` | nothing | the same, but for what a grant changes |
//! | `exchange` | nothing | datagrams inside the guest |
//! | `unpermitted` | nothing | sends a datagram without asking whether it may, which must end the guest |
//! | `lookup NAME...` | nothing | prints the addresses of each name, or the error code |
//! | `connect HOST PORT` | a granted echo server | states, addresses and options while connecting and once connected |
//! | `streams HOST PORT` | a granted echo server | echo, half close, end of stream, shutdown, polling, time-out |
//! | `outlive HOST PORT` | a granted echo server | streams work after their socket was dropped |
//! | `speak HOST PORT` | a granted UDP echo server | datagrams to an outside peer, connected and not |
//! | `refused HOST PORT` | a grant, nobody listening | connection-refused and the closed state after it |
//! | `denied HOST PORT` | no grant | access-denied and the closed state after it |
//! | `unheard HOST PORT` | a grant, nobody bound | what a UDP socket learns of that, connected and not |
//! | `udp-denied HOST PORT` | no grant | access-denied for that peer alone |
//!
//! An echo server sends back each byte, and closes its side once it read the end of ours.
//! Prints `ok NAME` or `FAIL NAME: got X want Y` for each check; exit code 1 if any failed, 2 if called wrongly.

mod binding;
mod connected;
mod datagrams;
mod exchange;
mod failed;
mod joined;
mod listening;
mod names;
mod options;
mod outside;
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
        ["bind"] => binding::check(&mut report),
        ["listen"] => listening::check(&mut report),
        ["backlog"] => listening::check_backlog(&mut report),
        ["join"] => joined::check(&mut report),
        ["join-outlive"] => joined::check_outlive(&mut report),
        ["udp"] => udp::check(&mut report),
        ["udp-granted"] => {
            report = Report::with_grants();
            udp::check(&mut report);
        }
        ["exchange"] => exchange::check(&mut report),
        ["unpermitted"] => outside::send_unpermitted(),
        ["lookup", names @ ..] => names::show_all(names),
        ["speak", host, port] => outside::check(&mut report, tcp::address(host, port)),
        ["unheard", host, port] => outside::check_unheard(&mut report, tcp::address(host, port)),
        ["udp-denied", host, port] => outside::check_denied(&mut report, tcp::address(host, port)),
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
