//! Clients that ask as fast as they are answered, and how long each answer took.
//!
//! Blocking sockets and a thread for each client: whatever is compared, the clients cost the same.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What all clients saw in one round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    took: Duration,
    /// Of each answer, in microseconds, shortest first.
    latencies: Vec<u32>,
}

impl Round {
    /// How many answers there were in a second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than can be told apart")]
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The time within which so many of a hundred answers came.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let index = (self.latencies.len() * of_hundred / 100).min(self.latencies.len().saturating_sub(1));
        Duration::from_micros(self.latencies.get(index).copied().unwrap_or(0).into())
    }
}

/// Has `clients` clients ask for `time`.
///
/// # Errors
/// Of the first client that failed. All answers must be right: a wrong one makes every number worthless.
pub(crate) fn run(clients: u8, time: Duration, port: u16) -> io::Result<Round> {
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let gathered: io::Result<Vec<Vec<u32>>> = thread::scope(|scope| {
        let work = |number| {
            let is_over = &is_over;
            scope.spawn(move || ask_until(Echo::new(number, port), is_over))
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

fn ask_until(mut client: Echo, is_over: &AtomicBool) -> io::Result<Vec<u32>> {
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
struct Echo {
    address: (Ipv4Addr, u16),
    said: [u8; 64],
    heard: Vec<u8>,
}

impl Echo {
    /// The client of this number. Each has an address of loopback for its server, so that they do not run out of ports.
    fn new(number: u8, port: u16) -> Self {
        Self {
            address: (Ipv4Addr::new(127, 0, 0, 1 + number), port),
            said: [b'a' + number % 26; 64],
            heard: Vec::new(),
        }
    }

    /// Asks once, and sees that the answer is right.
    fn ask(&mut self) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&self.said)?;
        stream.shutdown(Shutdown::Write)?;
        self.heard.clear();
        stream.read_to_end(&mut self.heard)?;
        if self.heard == self.said { Ok(()) } else { Err(wrong(&self.heard)) }
    }
}

fn wrong(answer: &[u8]) -> io::Error {
    io::Error::other(format!("a wrong answer: {:?}", String::from_utf8_lossy(answer)))
}
