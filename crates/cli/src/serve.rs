//! `cord serve`: HTTP in front of a guest that answers requests.

use crate::broker::Broker;
use crate::exit::Fault;
use crate::guest::{Guest, Host};
use crate::log::{GuestLines, Log};
use crate::parts::Signals;
use crate::per_connection::{Ends, handles};
use crate::requests::Requests;
use crate::workers::{self, Serve};
use crate::{code, descriptors};
use anyhow::Context;
use client::Connection;
use http_server::{AccessLog, AccessRecord, FrontDoor, Limits};
use manifest::ServePlan;
use manifest::flags::{self, ServeFlags, ServedAs};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use wasi::HttpProgram;

/// Connections that one process keeps open, at work or idle: a descriptor and some kilobytes each.
const MAX_CONNECTIONS: usize = 8192;

/// Where a request came from if its socket does not say.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Serves until a signal.
pub(crate) fn serve(flags: ServeFlags) -> Result<ExitCode, Fault> {
    let plan = ServePlan::new(flags, &Host).map_err(Fault::ours)?;
    descriptors::allow_many();
    let tls = match &plan.tls {
        Some((cert, key)) => Some(http_server::tls_config(&read(cert)?, &read(key)?).map_err(|error| {
            let files = format!("cannot serve https with {} and {}", cert.display(), key.display());
            Fault::Ours(anyhow::Error::new(error).context(files))
        })?),
        None => None,
    };
    let served_as = if tls.is_some() { ServedAs::Https } else { ServedAs::Http };
    let mut guest = Guest::open(plan.guest)?;
    let (engine, code, instances) = code::load_for_many(&guest, plan.crowd.max_instances)?;
    let program = HttpProgram::new(&engine, &code).map_err(|error| guest.cannot_run(error))?;
    let count = workers::count(instances);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Fresh instances share all places. An instance that is used again stays with its worker, so each has its own.
    let is_fresh = plan.requests_per_instance.get() == 1;
    let slots = Arc::new(Semaphore::new(instances as usize));
    let share = instances as usize / count;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::ours)?;
    let ended = runtime.block_on(async {
        let signals = Signals::new().context("cannot wait for signals")?;
        let mut broker = Broker::start(guest.plan(), served_as)?;
        let handles = handles(&mut broker, &guest, count).await?;
        let doors = broker.let_go();
        guest.jail(&code)?;
        program.take_turns().map_err(Fault::ours)?;
        let program = Arc::new(program);
        let log = Log::start("log", io::stderr()).context("cannot start the log")?;
        let lines = Arc::new(GuestLines::new(log, plan.crowd.log_rate_bytes));
        let access = Log::start("access-log", io::stdout()).context("cannot start the access log")?;
        let access = Arc::new(Records { log: access, format: plan.access_log });
        let told = (Arc::clone(&lines), Arc::clone(&access));
        let ended = workers::run(signals, doors, handles, plan.crowd.drain_time, move |network| {
            let slots = if is_fresh { Arc::clone(&slots) } else { Arc::new(Semaphore::new(share.max(1))) };
            let spec = guest.spec(network, Vec::new())?;
            let requests = Requests::new(&program, spec, slots, plan.requests_per_instance, &lines);
            let door = FrontDoor::new(Arc::new(requests), Arc::clone(&access), tls.clone(), Limits::default());
            Ok(Web { door, connections: Arc::clone(&connections) })
        })
        .await;
        told.0.flush();
        told.1.log.flush();
        ended
    });
    runtime.shutdown_background();
    ended
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display())).map_err(Fault::Ours)
}

/// One worker's front door.
struct Web {
    door: FrontDoor<Requests, Records>,
    connections: Arc<Semaphore>,
}

impl Serve for Web {
    async fn serve(self: Arc<Self>, connection: Connection, draining: watch::Receiver<bool>) {
        let ends = Ends::of(&connection);
        let (client, server) = (ends.client.unwrap_or(NOWHERE), ends.server.unwrap_or(NOWHERE));
        self.door.serve(connection.socket, client, server, draining).await;
    }

    fn admission(&self) -> &Arc<Semaphore> {
        &self.connections
    }
}

/// A line for each request.
struct Records {
    log: Log,
    format: flags::AccessLog,
}

impl AccessLog for Records {
    fn record(&self, record: AccessRecord) {
        match self.format {
            flags::AccessLog::Common => self.log.line(record.common_log()),
            flags::AccessLog::Json => self.log.line(record.json()),
            flags::AccessLog::Off => {}
        }
    }
}
