//! Prints what calls answered, with chosen ports under names of their own.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

/// What was shown so far.
#[derive(Default)]
pub struct Tour {
    section: String,
    ports: Vec<u16>,
}

impl Tour {
    /// Begins a section: its name stands before each line.
    pub fn section(&mut self, name: &str) {
        self.section = name.to_string();
    }

    /// One line.
    pub fn say(&self, name: &str, what: impl Display) {
        println!("{} {name}: {what}", self.section);
    }

    /// A call that answers with nothing more than success.
    pub fn done<T>(&self, name: &str, result: &io::Result<T>) {
        self.say(name, result.as_ref().map_or_else(kind, |_| "ok".to_string()));
    }

    /// A call that answers with something to show.
    pub fn show<T: Display>(&self, name: &str, result: io::Result<T>) {
        self.say(name, result.map_or_else(|error| kind(&error), |value| value.to_string()));
    }

    /// A call that answers with an address.
    pub fn address(&mut self, name: &str, result: io::Result<SocketAddr>) {
        let shown = result.map_or_else(|error| kind(&error), |address| self.name(address));
        self.say(name, shown);
    }

    /// An address with the name of its port.
    pub fn name(&mut self, address: SocketAddr) -> String {
        let port = address.port();
        let number = self.ports.iter().position(|known| *known == port).unwrap_or_else(|| {
            self.ports.push(port);
            self.ports.len() - 1
        });
        let port = if port == 0 { "0".to_string() } else { format!("P{}", number + 1) };
        match address {
            SocketAddr::V4(v4) => format!("{}:{port}", v4.ip()),
            SocketAddr::V6(v6) => format!("[{}]:{port}", v6.ip()),
        }
    }
}

/// What kind of failure it was.
pub fn kind(error: &io::Error) -> String {
    // What the standard library knows no kind for is told by its number.
    match (format!("{:?}", error.kind()).as_str(), error.raw_os_error()) {
        ("Uncategorized", Some(number)) => format!("failed {number}"),
        (kind, _) => format!("failed {kind}"),
    }
}
