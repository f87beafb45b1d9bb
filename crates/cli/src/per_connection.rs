//! `cord run --per-connection`: a fresh instance for each connection, as inetd gives a fresh process.

use crate::broker::Broker;
use crate::exit::Fault;
use crate::guest::Guest;
use crate::log::{GuestLines, Log, about_guest, readable};
use crate::parts::Signals;
use crate::{code, run, workers};
use anyhow::Context;
use capability::Labels;
use client::Connection;
use manifest::Crowd;
use manifest::flags::ServedAs;
use rustix::net::{SocketAddrAny, getpeername, getsockname};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use wasi::{Exit, GuestLog, GuestSpec, Program, Start, Stdio, StdioConnection};
use workers::{Handles, Serve};

/// Serves until a signal.
pub(crate) fn run(mut guest: Guest, crowd: &Crowd) -> Result<ExitCode, Fault> {
    let (engine, code, instances) = code::load_for_many(&guest, crowd.max_instances)?;
    let program = Program::new(&engine, &code).map_err(|error| guest.cannot_run(error))?;
    let (slots, ids) = (Arc::new(Semaphore::new(instances as usize)), Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::ours)?;
    let ended = runtime.block_on(async {
        let signals = Signals::new().context("cannot wait for signals")?;
        let mut broker = Broker::start(guest.plan(), ServedAs::Connections)?;
        let handles = handles(&mut broker, &guest, workers::count(instances)).await?;
        let doors = broker.let_go();
        guest.jail(&code)?;
        program.take_turns().map_err(Fault::ours)?;
        let program = Arc::new(program);
        let log = Log::start("log", io::stderr()).context("cannot start the log")?;
        let lines = Arc::new(GuestLines::new(log, crowd.log_rate_bytes));
        let told = Arc::clone(&lines);
        let ended = workers::run(signals, doors, handles, crowd.drain_time, move |network| {
            Ok(Connections {
                program: Arc::clone(&program),
                spec: guest.spec(network, Vec::new())?,
                slots: Arc::clone(&slots),
                ids: Arc::clone(&ids),
                lines: Arc::clone(&lines),
            })
        })
        .await;
        told.flush();
        ended
    });
    runtime.shutdown_background();
    ended
}

/// What each worker needs.
pub(crate) async fn handles(broker: &mut Broker, guest: &Guest, workers: usize) -> Result<Vec<Handles>, Fault> {
    let plan = guest.plan();
    let mut handles = Vec::with_capacity(workers);
    for _ in 0..workers {
        let server = broker.server_handle().await?;
        let guest = if plan.grants.is_empty() { None } else { Some(broker.guest_handle(plan).await?) };
        handles.push(Handles { server, guest });
    }
    Ok(handles)
}

/// The connections of one worker.
struct Connections {
    program: Arc<Program>,
    spec: GuestSpec,
    /// One permit for each instance that may be alive, whichever worker runs it.
    slots: Arc<Semaphore>,
    /// How many connections there were.
    ids: Arc<AtomicU64>,
    lines: Arc<GuestLines>,
}

impl Serve for Connections {
    async fn serve(self: Arc<Self>, connection: Connection, _draining: watch::Receiver<bool>) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let ends = Ends::of(&connection);
        let name = match ends.client {
            Some(client) => format!("[{id}] {client}"),
            None => format!("[{id}]"),
        };
        let env = environment(&ends, &connection.labels);
        let connection = match StdioConnection::new(connection.socket) {
            Ok(connection) => Arc::new(connection),
            Err(error) => return self.lines.log().line(format!("cord: {name}: the connection is of no use: {error}")),
        };
        let log = Arc::new(Errors { id, lines: Arc::clone(&self.lines) });
        let stdio = Stdio::Connection { connection: Arc::clone(&connection), log };
        let ended = self.program.run(&self.spec, Start { env, ..Start::with(stdio) }).await;
        let (trouble, is_broken) = match ended {
            Ok(exit) => (trouble(&exit, self.spec.deadline), !matches!(exit, Exit::Code(_))),
            Err(error) => (Some(format!("no instance for it: {:#}", anyhow::Error::new(error))), true),
        };
        if let Some(trouble) = trouble {
            for line in trouble.lines() {
                self.lines.log().line(format!("cord: {name}: {}", about_guest(line)));
            }
        }
        // Not closed, it is reset.
        if !is_broken {
            connection.close().await;
        }
    }

    fn admission(&self) -> &Arc<Semaphore> {
        &self.slots
    }
}

/// What is told of an instance's end, if anything.
fn trouble(exit: &Exit, timeout: Option<Duration>) -> Option<String> {
    match exit {
        Exit::Code(0) => None,
        Exit::Code(code) => Some(format!("exited with code {code}")),
        Exit::Trap(trap) => Some(format!("the guest trapped: {trap}")),
        Exit::TimedOut => Some(format!("the guest was ended: {}", run::too_long(timeout))),
    }
}

/// The standard error of one instance.
#[derive(Debug)]
struct Errors {
    id: u64,
    lines: Arc<GuestLines>,
}

impl GuestLog for Errors {
    fn line(&self, line: &[u8]) {
        self.lines.line(format!("cord: [{}] {}", self.id, readable(line)));
    }
}

/// Both ends of a connection, as the kernel knows them. A Unix socket has none.
pub(crate) struct Ends {
    pub(crate) client: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
}

impl Ends {
    pub(crate) fn of(connection: &Connection) -> Self {
        let address = |address: SocketAddrAny| {
            let address = SocketAddr::try_from(address).ok()?;
            // An IPv4 client of an IPv6 address is an IPv4 client.
            Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
        };
        let socket = connection.socket.as_fd();
        let client = getpeername(socket).ok().flatten().and_then(address);
        Self { client, server: getsockname(socket).ok().and_then(address) }
    }
}

/// What a guest finds about its connection: the names of UCSPI (cr.yp.to/proto/ucspi.txt), and all labels.
fn environment(ends: &Ends, labels: &Labels) -> Vec<(String, String)> {
    let pairs = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let labels: std::collections::BTreeMap<&str, &str> = pairs.collect();
    let labels = serde_json::to_string(&labels).unwrap_or_default();
    let mut env = vec![("CORD_LABELS".to_owned(), labels)];
    let mut add = |name: &str, value: String| env.push((name.to_owned(), value));
    if let (Some(client), Some(server)) = (ends.client, ends.server) {
        add("PROTO", "TCP".to_owned());
        add("TCPREMOTEIP", client.ip().to_string());
        add("TCPREMOTEPORT", client.port().to_string());
        add("TCPLOCALIP", server.ip().to_string());
        add("TCPLOCALPORT", server.port().to_string());
    } else {
        add("PROTO", "UNIX".to_owned());
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_learns_both_ends_and_the_labels() {
        let at = |text: &str| text.parse().ok();
        let labels = Labels::try_from_pairs([("transport", "tcp"), ("network", "a\"b")]).unwrap();
        let ends = Ends { client: at("[2001:db8::1]:4000"), server: at("[2001:db8::2]:80") };
        let env: Vec<String> =
            environment(&ends, &labels).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            r#"CORD_LABELS={"network":"a\"b","transport":"tcp"}"#,
            "PROTO=TCP",
            "TCPREMOTEIP=2001:db8::1",
            "TCPREMOTEPORT=4000",
            "TCPLOCALIP=2001:db8::2",
            "TCPLOCALPORT=80",
        ];
        assert_eq!(env, expected);
    }
}
