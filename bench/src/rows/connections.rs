//! Connections in a second: a fresh instance for each, beside a native thread and a native process for each.

use crate::contest::{Contestant, Row, Taken};
use crate::load::{self, Echo};
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
    let port = free_port()?;
    let exec = native.display();
    let socat = [format!("TCP4-LISTEN:{port},reuseaddr,backlog=4096,fork"), format!("EXEC:{exec} inetd,nofork")];
    let port_text = free_port()?.to_string();
    let exec = format!("{exec} inetd");
    let ncat = ["-4", "--listen", "--keep-open", "--max-conns", "1000", "--exec", &exec, "0.0.0.0", &port_text];
    let super_servers: [(&str, &str, u16, Vec<String>); 2] = [
        ("socat", "socat, a native process for each", port, socat.to_vec()),
        ("ncat", "ncat, a native process for each", port_text.parse()?, ncat.map(str::to_owned).to_vec()),
    ];
    for (program, name, port, arguments) in super_servers {
        match setting.installed(program) {
            Ok(program) => {
                let mut command = Command::new(program);
                command.args(arguments);
                peers.push((Role::Peer, name, words(&command), Peer::start_at(port, &mut command)?));
            }
            Err(why) => left_out.push(why),
        }
    }
    let contestants = peers.iter().map(|(role, name, how, peer)| {
        Contestant::new(*role, *name, how.clone(), || {
            let round = load::run(CLIENTS, ROUND_TIME, |number| Ok(Echo::new(number, peer.port)))?;
            Ok(Taken::Rate { per_second: round.per_second(), p99: round.percentile(99) })
        })
    });
    row.run(setting.rounds(5), contestants.collect(), left_out)
}
