//! Connections in a second: a fresh instance for each, beside a native thread and a native process for each.

use crate::contest::{Contestant, Row, Taken};
use crate::load;
use crate::peer::{Peer, free_port};
use crate::results::{Role, RowResult, Unit};
use crate::setting::{Setting, words};
use anyhow::Result;
use std::process::Command;
use std::time::Duration;

const CLIENTS: u8 = 16;
const ROUND_TIME: Duration = Duration::from_secs(2);

pub(super) fn measure(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "connections",
        title: "connections in a second from 16 clients, an echo of 64 bytes on each",
        unit: Unit::PER_SECOND,
        targets: &[],
    };
    let native = setting.beside("native");
    let mut ours = Command::new(&setting.cord);
    ours.args(["run", "-p", "0.0.0.0:0:0", "--per-connection"]).arg(setting.guest("echo-inetd.wasm"));
    let mut threads = Command::new(&native);
    threads.arg("threads");
    let mut peers = vec![
        (Role::Ours, "cord run --per-connection, a fresh instance for each", words(&ours), Peer::start(&mut ours)?),
        (Role::Floor, "native, a thread for each", words(&threads), Peer::start(&mut threads)?),
    ];
    let mut left_out = Vec::new();
    match setting.installed("socat") {
        Ok(socat) => {
            let port = free_port()?;
            let mut command = Command::new(socat);
            command.arg(format!("TCP4-LISTEN:{port},reuseaddr,backlog=4096,fork"));
            command.arg(format!("EXEC:{} inetd,nofork", native.display()));
            let name = "socat, a native process for each";
            peers.push((Role::Peer, name, words(&command), Peer::start_at(port, &mut command)?));
        }
        Err(why) => left_out.push(why),
    }
    let contestants = peers.iter().map(|(role, name, how, peer)| {
        Contestant::new(*role, *name, how.clone(), || {
            let round = load::run(CLIENTS, ROUND_TIME, peer.port)?;
            Ok(Taken::Rate { per_second: round.per_second(), p99: round.percentile(99) })
        })
    });
    row.run(setting.rounds(5), contestants.collect(), left_out)
}
