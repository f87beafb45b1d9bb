//! Many instances of one guest: a thread for each core, which takes connections and serves them until a signal.
//!
//! Each worker has an event loop, a handle for its guests and a server registration of its own; the registrations have
//! equal labels, so that the switchboard shares out what comes. What one worker began stays with it.
//!
//! The end comes in stages. At the first signal the doors are closed: nothing new is accepted outside, and what was
//! accepted is still handed over. Then the workers finish what they have. What is not finished after the drain time,
//! or at a second signal, is cut off.

use crate::broker::Doors;
use crate::exit::{self, Fault};
use crate::parts::Signals;
use anyhow::{Context, anyhow};
use capability::{Labels, keys};
use client::{Connection, Handle, Server};
use manifest::Transport;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long a worker may take to end once it is cut off. Its guests let it have a turn every few milliseconds.
const CUT_TIME: Duration = Duration::from_secs(1);

/// What connections are served with. One for each worker.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Takes one connection to its end. `draining` turns true when no further one is accepted.
    fn serve(
        self: Arc<Self>,
        connection: Connection,
        draining: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send;

    /// What must be free before a connection is taken, and is given back at its end.
    fn admission(&self) -> &Arc<Semaphore>;
}

/// The handles of one worker.
pub(crate) struct Handles {
    /// With which connections are taken.
    pub(crate) server: OwnedFd,
    /// What its guests get.
    pub(crate) guest: Option<OwnedFd>,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It has not begun.
    Open,
    /// Nothing is on its way any more: what has arrived is all.
    Closed,
    /// What is not finished is given up.
    Cut,
}

/// What a worker tells.
enum News {
    /// It takes connections.
    Ready,
    /// It has finished, because it was told to.
    Finished,
    /// It has finished, because the switchboard is gone.
    Abandoned,
    /// It could not begin.
    Failed(anyhow::Error),
}

/// As many workers as there are cores, but not more than instances.
pub(crate) fn count(max_instances: u32) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores.min(usize::try_from(max_instances).unwrap_or(usize::MAX)).max(1)
}

/// Serves until one of the `signals`, and then as long as the drain time lets it. `make` is called once in each worker,
/// with the handle for its guests.
///
/// The signals were there before the broker, because whoever reads where it listens may send one at once.
pub(crate) async fn run<S: Serve>(
    mut signals: Signals,
    doors: Doors,
    handles: Vec<Handles>,
    drain_time: Duration,
    make: impl Fn(Option<Handle>) -> anyhow::Result<S> + Send + Sync + 'static,
) -> Result<ExitCode, Fault> {
    let (stage, staged) = watch::channel(Stage::Open);
    let (drain, draining) = watch::channel(false);
    let (tell, mut news) = mpsc::channel(handles.len().max(1) * 2);
    let (make, mut left) = (Arc::new(make), handles.len());
    for (index, handles) in handles.into_iter().enumerate() {
        let (make, staged, draining, tell) = (Arc::clone(&make), staged.clone(), draining.clone(), tell.clone());
        let work = move || work(handles, &*make, staged, &draining, &tell);
        thread::Builder::new().name(format!("worker-{index}")).spawn(work).context("cannot start a worker")?;
    }
    drop(tell);
    let signal = loop {
        tokio::select! {
            signal = signals.next() => break signal,
            told = news.recv() => match told {
                Some(News::Ready) => {}
                Some(News::Failed(error)) => return Err(Fault::Ours(error)),
                Some(News::Finished | News::Abandoned) => left -= 1,
                None => return Err(Fault::Ours(anyhow!("the broker is gone; nothing arrives here any more"))),
            },
        }
    };
    let deadline = Instant::now() + drain_time;
    let finish = async {
        drain.send_replace(true);
        doors.close().await;
        stage.send_replace(Stage::Closed);
        while left > 0 {
            match news.recv().await {
                // It became ready a moment before the signal.
                Some(News::Ready) => {}
                Some(News::Finished | News::Abandoned | News::Failed(_)) => left -= 1,
                None => break,
            }
        }
    };
    let is_finished = tokio::select! {
        finished = timeout_at(deadline, finish) => finished.is_ok(),
        _ = signals.next() => false,
    };
    if is_finished {
        return Ok(ExitCode::SUCCESS);
    }
    exit::say("ended with work under way");
    stage.send_replace(Stage::Cut);
    // Whoever is not done then goes with the process.
    let _ = timeout_at(Instant::now() + CUT_TIME, async { while news.recv().await.is_some() {} }).await;
    Ok(exit::by_signal(signal))
}

/// One worker, on a thread of its own.
fn work<S: Serve>(
    handles: Handles,
    make: &impl Fn(Option<Handle>) -> anyhow::Result<S>,
    staged: watch::Receiver<Stage>,
    draining: &watch::Receiver<bool>,
    tell: &mpsc::Sender<News>,
) {
    let started = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match started.context("cannot start a worker") {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.blocking_send(News::Failed(error));
            return;
        }
    };
    let ended = runtime.block_on(async {
        // The handle is kept: the broker ends with the last one.
        let (server, _handle, serve) = begin(handles, make).await?;
        // Nobody listens if the process is ending already.
        let _ = tell.send(News::Ready).await;
        anyhow::Ok(take(server, &Arc::new(serve), staged, draining).await)
    });
    runtime.shutdown_background();
    let _ = tell.blocking_send(ended.unwrap_or_else(News::Failed));
}

async fn begin<S: Serve>(
    handles: Handles,
    make: &impl Fn(Option<Handle>) -> anyhow::Result<S>,
) -> anyhow::Result<(Server, Handle, S)> {
    let guest = handles.guest.map(Handle::new).transpose().context("cannot use the guest's handle")?;
    let serve = make(guest)?;
    let labels = Labels::try_from_pairs([(keys::TRANSPORT, Transport::Tcp.name())])?;
    let handle = Handle::new(handles.server).context("cannot use the server's handle")?;
    let server = handle.serve(&labels).await.context("cannot register with the switchboard")?;
    Ok((server, handle, serve))
}

/// Takes connections, and sees them to their ends.
async fn take<S: Serve>(
    server: Server,
    serve: &Arc<S>,
    mut staged: watch::Receiver<Stage>,
    draining: &watch::Receiver<bool>,
) -> News {
    let mut live = JoinSet::new();
    let mut cut = staged.clone();
    let cut = async move { cut.wait_for(|stage| *stage == Stage::Cut).await.is_ok() };
    tokio::pin!(cut);
    let ended = loop {
        while live.try_join_next().is_some() {}
        let connection = tokio::select! {
            biased;
            connection = next(&server, &mut staged) => connection,
            _ = &mut cut => return News::Finished,
        };
        let connection = match connection {
            Next::Connection(connection) => connection,
            Next::NoMore => break News::Finished,
            Next::Gone => break News::Abandoned,
        };
        // Only now, so that a worker to which nothing comes keeps no place that another one could use.
        let admitted: Option<OwnedSemaphorePermit> = tokio::select! {
            biased;
            permit = Arc::clone(serve.admission()).acquire_owned() => permit.ok(),
            _ = &mut cut => return News::Finished,
        };
        let served = Arc::clone(serve).serve(connection, draining.clone());
        live.spawn(async move {
            served.await;
            drop(admitted);
        });
    };
    tokio::select! {
        () = async { while live.join_next().await.is_some() {} } => {}
        _ = &mut cut => {}
    }
    ended
}

/// What came next to a worker.
enum Next {
    Connection(Connection),
    /// All that was on its way has come.
    NoMore,
    /// The switchboard is gone.
    Gone,
}

async fn next(server: &Server, staged: &mut watch::Receiver<Stage>) -> Next {
    let of = |connection: Option<Connection>| connection.map_or(Next::Gone, Next::Connection);
    tokio::select! {
        biased;
        connection = server.accept() => of(connection),
        _ = staged.wait_for(|stage| *stage >= Stage::Closed) => {
            // What was handed over before the doors were said to be closed is there already.
            tokio::select! {
                biased;
                connection = server.accept() => of(connection),
                () = std::future::ready(()) => Next::NoMore,
            }
        }
    }
}
