//! Exercises every call of `wasi:sockets` 0.3 and checks each answer against the text of the interface.
//!
//! `sockets SUBCOMMAND [HOST PORT]`, where HOST is an IP address:
//!
//! | subcommand | needs | checks |
//! |---|---|---|
//! | `unconnected` | nothing, no grant | calls in the wrong state, bad addresses |
//! | `bind` | nothing, no grant | which addresses can be bound, and once |
//! | `listen` | nothing, no grant | listening, and what a listening socket refuses |
//! | `loopback` | nothing, no grant | connections between sockets of this program |
//! | `options` | nothing, no grant | every option of both kinds of socket: get, set, bad values, inheritance |
//! | `names` | nothing, no grant | IP literals, `localhost`, bad names, a name without a grant |
//! | `udp` | nothing, no grant | UDP sockets in every state, and datagrams between sockets of this program |
//! | `limit MOST` | nothing, no grant | as many sockets as the host admits, at most MOST, and that one more is refused |
//! | `connect HOST PORT` | a granted echo server | states, addresses and options while connecting and once connected |
//! | `streams HOST PORT` | a granted echo server | echo, ends of streams, waiting, cancelling, megabytes |
//! | `outlive HOST PORT` | a granted echo server | streams work after their socket was dropped |
//! | `refused HOST PORT` | a grant, nobody listening | connection-refused and the closed state after it |
//! | `unreachable HOST PORT` | a grant, no way there | remote-unreachable, of both kinds of socket |
//! | `orphaned HOST PORT` | a granted echo server | prints `ready`, and after a line of input: nobody is there to be asked any more |
//! | `denied HOST PORT` | no grant | access-denied and the closed state after it |
//! | `denied-bind HOST PORT` | no grant, a wildcard address | access-denied for both kinds of socket |
//! | `denied-udp HOST PORT` | no grant | access-denied for each datagram and for connect |
//! | `reset HOST PORT` | a granted server that resets | connection-reset and connection-broken |
//! | `udp-refused HOST PORT` | a grant for UDP, nobody there | connection-refused |
//! | `udp-peer HOST PORT` | a granted UDP echo server | connected and unconnected datagrams of all sizes |
//!
//! An echo server sends back each byte, and closes its side once it read the end of ours.
//! Prints `ok NAME` or `FAIL NAME: got X want Y` for each check; fails if any failed or it was called wrongly.

mod bind;
mod connected;
mod datagrams;
mod failed;
mod listening;
mod loopback;
mod names;
mod options;
mod streams;
mod unconnected;

use p3_guests::{Report, arguments, fail, parse};

struct Sockets;

impl wasip3::exports::cli::run::Guest for Sockets {
    async fn run() -> Result<(), ()> {
        let arguments = arguments();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut report = Report::default();
        match words.as_slice() {
            ["unconnected"] => unconnected::check(&mut report).await,
            ["bind"] => bind::check(&mut report),
            ["listen"] => listening::check(&mut report).await,
            ["loopback"] => loopback::check(&mut report).await,
            ["options"] => options::check_unconnected(&mut report).await,
            ["names"] => names::check(&mut report).await,
            ["udp"] => datagrams::check(&mut report).await,
            ["limit", most] => unconnected::check_limit(&mut report, most.parse().expect("MOST is a number")),
            ["connect", host, port] => connected::check(&mut report, parse(host, port)).await,
            ["streams", host, port] => streams::check(&mut report, parse(host, port)).await,
            ["outlive", host, port] => streams::check_outlive(&mut report, parse(host, port)).await,
            ["refused", host, port] => failed::check(&mut report, parse(host, port), "connection-refused").await,
            ["unreachable", host, port] => {
                failed::check(&mut report, parse(host, port), "remote-unreachable").await;
                datagrams::check_unreachable(&mut report, parse(host, port)).await;
            }
            ["orphaned", host, port] => failed::check_orphaned(&mut report, parse(host, port)).await,
            ["denied", host, port] => failed::check(&mut report, parse(host, port), "access-denied").await,
            ["denied-bind", host, port] => bind::check_denied(&mut report, parse(host, port)),
            ["denied-udp", host, port] => datagrams::check_denied(&mut report, parse(host, port)).await,
            ["reset", host, port] => streams::check_reset(&mut report, parse(host, port)).await,
            ["udp-refused", host, port] => datagrams::check_refused(&mut report, parse(host, port)).await,
            ["udp-peer", host, port] => datagrams::check_peer(&mut report, parse(host, port)).await,
            _ => return fail("usage: sockets SUBCOMMAND [HOST PORT], see the head of its source"),
        }
        if report.failed() { Err(()) } else { Ok(()) }
    }
}

wasip3::cli::command::export!(Sockets);
