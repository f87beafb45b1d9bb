//! The rows of the table: each module measures one, and knows who takes part in it and what is aimed at.

mod compile;
mod connect;
mod connections;
mod decide;
pub(crate) mod density;
mod http;
mod instance;
mod process;
mod stream;

use crate::results::RowResult;
use crate::setting::Setting;
use anyhow::{Context, Result, anyhow, ensure};
use std::thread;

/// What measures a row.
pub(crate) type Measure = fn(&Setting) -> Result<RowResult>;

/// All rows, in the order of the table.
pub(crate) const ROWS: &[(&str, Measure)] = &[
    ("process", process::measure),
    ("instance", instance::hello),
    ("instance-std", instance::std),
    ("instance-std-run", instance::std_run),
    ("instances", instance::two_cores),
    ("guest-connect-1", connect::guest_on_one_core),
    ("guest-connect", connect::guest),
    ("connect-1", connect::on_one_core_only),
    ("connect", connect::on_all_cores),
    ("egress-1", connect::outside_on_one_core),
    ("egress", connect::outside),
    ("busy", connect::beside_a_thousand),
    ("stream-send", stream::send),
    ("stream-receive", stream::receive),
    ("stream-small", stream::small),
    ("stream-ping", stream::ping),
    ("connections", connections::measure),
    ("http", http::small),
    ("http-workers", http::workers),
    ("http-large", http::large),
    ("http-python", http::python),
    ("http-javascript", http::javascript),
    ("idle", density::ten_thousand),
    ("idle-100k", density::hundred_thousand),
    ("decide", decide::measure),
    ("compile", compile::measure),
    ("load", compile::load_all),
];

/// Runs a measurement, with everything that it starts, on one core.
pub(crate) fn on_one_core<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.first().copied()).context("no core is known")?;
    // A thread of its own, which ends on that core. What it starts is where it is.
    let there = || {
        ensure!(core_affinity::set_for_current(core), "cannot stay on one core");
        work()
    };
    thread::scope(|scope| scope.spawn(there).join().map_err(|_panic| anyhow!("the measurement panicked"))?)
}
