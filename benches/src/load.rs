//! Clients that ask as fast as they are answered, and how long each answer took.
//!
//! Blocking sockets and a thread for each client: whatever is compared, the clients cost the same.

#![expect(
    clippy::disallowed_methods,
    reason = "clients of the servers that are measured, and the clock of the measurement"
)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Something that can be asked again and again.
pub trait Client {
    /// Asks once, and sees that the answer is right.
    ///
    /// # Errors
    /// As the connection says, or that the answer was wrong.
    fn ask(&mut self) -> io::Result<()>;
}

/// What all clients saw in one round.
#[derive(Clone, Debug)]
pub struct Round {
    took: Duration,
    /// Of each answer, in microseconds, shortest first.
    latencies: Vec<u32>,
}

impl Round {
    /// How many answers there were in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than can be told apart")]
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The time within which so many of a hundred answers came.
    #[must_use]
    pub fn percentile(&self, of_hundred: usize) -> Duration {
        let index = (self.latencies.len() * of_hundred / 100).min(self.latencies.len().saturating_sub(1));
        Duration::from_micros(self.latencies.get(index).copied().unwrap_or(0).into())
    }
}

/// Has `clients` clients ask for `time`, each made by `make` from its number.
///
/// # Errors
/// Of the first client that failed. All answers must be right: a wrong one makes every number worthless.
pub fn run<C: Client>(clients: u8, time: Duration, make: impl Fn(u8) -> io::Result<C> + Sync) -> io::Result<Round> {
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let gathered: io::Result<Vec<Vec<u32>>> = thread::scope(|scope| {
        let work = |number| {
            let (make, is_over) = (&make, &is_over);
            scope.spawn(move || ask_until(make(number)?, is_over))
        };
        let threads: Vec<_> = (0..clients).map(work).collect();
        thread::sleep(time);
        is_over.store(true, Ordering::Relaxed);
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|ended| ended.unwrap_or_else(|_panic| Err(io::Error::other("a client panicked")))).collect()
    });
    let took = began.elapsed();
    let mut latencies = gathered?.concat();
    latencies.sort_unstable();
    Ok(Round { took, latencies })
}

fn ask_until(mut client: impl Client, is_over: &AtomicBool) -> io::Result<Vec<u32>> {
    let mut latencies = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        client.ask()?;
        latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// Connects, says something, hears it again, and sees the end: a new connection each time.
#[derive(Debug)]
pub struct Echo {
    address: (Ipv4Addr, u16),
    said: [u8; 64],
    heard: Vec<u8>,
}

impl Echo {
    /// The client of this number. Each has an address of loopback for its server, so that they do not run out of ports.
    #[must_use]
    pub fn new(number: u8, port: u16) -> Self {
        Self {
            address: (Ipv4Addr::new(127, 0, 0, 1 + number), port),
            said: [b'a' + number % 26; 64],
            heard: Vec::new(),
        }
    }
}

impl Client for Echo {
    fn ask(&mut self) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&self.said)?;
        stream.shutdown(Shutdown::Write)?;
        self.heard.clear();
        stream.read_to_end(&mut self.heard)?;
        if self.heard == self.said { Ok(()) } else { Err(wrong(&self.heard)) }
    }
}

/// Asks for `/` on one connection of HTTP/1.1, and gets the same each time.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    read: Vec<u8>,
    first: Option<Vec<u8>>,
}

impl Http {
    /// Connects to this port of loopback.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new(), first: None })
    }

    fn read_to(&mut self, length: usize) -> io::Result<()> {
        while self.read.len() < length {
            self.read_more()?;
        }
        Ok(())
    }

    /// Reads a body in chunks, which begins here, and takes the framing out of it: where the pieces end is chance.
    fn join_chunks(&mut self, body_at: usize) -> io::Result<()> {
        let mut at = body_at;
        loop {
            let line_end = loop {
                match find(&self.read[at..], b"\r\n") {
                    Some(end) => break at + end,
                    None => self.read_more()?,
                }
            };
            let line = String::from_utf8_lossy(&self.read[at..line_end]);
            let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            self.read_to(line_end + 2 + length + 2)?;
            self.read.drain(at..line_end + 2);
            at += length;
            self.read.drain(at..at + 2);
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(wrong(&self.read)),
            count => {
                self.read.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

impl Client for Http {
    fn ask(&mut self) -> io::Result<()> {
        self.stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        self.read.clear();
        let body_at = loop {
            match find(&self.read, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read_more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.read[..body_at]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            return Err(wrong(&self.read));
        }
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        match length.map(|length| length.trim().parse::<usize>()) {
            Some(Ok(length)) => self.read_to(body_at + length)?,
            Some(Err(_)) => return Err(wrong(&self.read)),
            None => self.join_chunks(body_at)?,
        }
        let body = &self.read[body_at..];
        match &self.first {
            None => self.first = Some(body.to_vec()),
            Some(first) if first == body => {}
            Some(_) => return Err(wrong(&self.read)),
        }
        Ok(())
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn wrong(answer: &[u8]) -> io::Error {
    io::Error::other(format!("a wrong answer: {:?}", String::from_utf8_lossy(answer)))
}
