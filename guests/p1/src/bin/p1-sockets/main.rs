//! Exercises the sockets of preview 1, and WasmEdge's calls on them, and checks each answer.
//!
//! `p1-sockets SUBCOMMAND [ARGUMENTS]`:
//!
//! | subcommand | needs | checks |
//! |---|---|---|
//! | `states` | nothing, no grant | every call on sockets that are new, listening, or of the wrong kind |
//! | `tcp` | nothing, no grant | a connection inside the guest: data, peeking, halves, waiting, numbers |
//! | `udp` | nothing, no grant | datagrams inside the guest |
//! | `poll` | nothing, no grant | `poll_oneoff` over sockets, clocks and descriptors that are none |
//! | `poll-input` | input that comes when the guest asks for it | `poll_oneoff` over standard input, sockets and clocks |
//! | `files FD` | a volume with the descriptor FD and a file `f` in it | files beside sockets, and socket calls on files |
//! | `options` | nothing, no grant | socket options |
//! | `names` | nothing, no grant | lookups that need no asking, and one without a grant |
//! | `connect ADDR` | a granted echo server | blocking and non-blocking connections, numbers of addresses |
//! | `refused ADDR` | a grant, nobody listening | the errors of a connection that is refused, and trying again |
//! | `denied ADDR` | no grant | the errors of what is not granted |
//! | `limit` | nothing, no grant | sockets until there are no more |
//!
//! Prints `ok NAME` or `FAIL NAME: got X want Y` for each check; exit code 1 if any failed, 2 if called wrongly.

mod datagrams;
mod files;
mod options;
mod outside;
mod polling;
mod states;
mod stream;

use std::process::ExitCode;

use p1_guests::report::Report;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut report = Report::default();
    let address = |text: &str| text.parse().expect("ADDR is an address with a port");
    match words.as_slice() {
        ["states"] => states::check(&mut report),
        ["tcp"] => stream::check(&mut report),
        ["udp"] => datagrams::check(&mut report),
        ["poll"] => polling::check(&mut report),
        ["poll-input"] => polling::check_input(&mut report),
        ["files", fd] => files::check(&mut report, fd.parse().expect("FD is a number")),
        ["options"] => options::check(&mut report),
        ["names"] => outside::check_names(&mut report),
        ["connect", remote] => outside::check_connect(&mut report, address(remote)),
        ["refused", remote] => outside::check_refused(&mut report, address(remote)),
        ["denied", remote] => outside::check_denied(&mut report, address(remote)),
        ["limit"] => outside::check_limit(&mut report),
        _ => {
            eprintln!("usage: p1-sockets SUBCOMMAND [ARGUMENTS], see the head of its source");
            return ExitCode::from(2);
        }
    }
    if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
