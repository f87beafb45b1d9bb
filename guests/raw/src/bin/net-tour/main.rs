//! A walk through the network of one guest, which prints what every call answers.
//!
//! `net-tour [PART]...`, where PART is `tcp`, `udp`, `names`, `calls`; all of them without.
//!
//! Everything happens on loopback, between sockets of this guest, so that the same walk under another host must print the
//! same. What the C library of guests leaves to chance, or hosts may choose, is not in it: how a connect with a time-out
//! fails, whether a connection that is dropped with data unread ends or breaks, connecting a UDP socket a second time,
//! and which families `localhost` has. Ports that the system chose are called `P1`, `P2` and so on, in the order in which they are first shown.

mod calls;
mod names;
mod tcp;
mod tour;
mod udp;

use tour::Tour;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let mut tour = Tour::default();
    for (name, part) in
        [("tcp", tcp::walk as fn(&mut Tour)), ("udp", udp::walk), ("names", names::walk), ("calls", calls::walk)]
    {
        if chosen.is_empty() || chosen.iter().any(|word| word == name) {
            part(&mut tour);
        }
    }
}
