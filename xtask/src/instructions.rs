//! Counts how many instructions a start, a connection and a request take, and compares the counts with those recorded.
//!
//! Times on a shared machine scatter by tens of percents; counts under valgrind's callgrind scatter by tenths of one, so
//! they show a change that no time would. They tell nothing of what the kernel does and of who waits for whom: for that
//! there are the benchmarks. Only counts made with the same compiler and the same valgrind on a like processor can be
//! compared; others are only shown.
//!
//! What starts only once falls out by counting twice, for a number of connections or requests and for double as many.
//! The jail is off, because valgrind does not know the system calls it is made of.

mod record;
mod runs;

use crate::environment::Environment;
use crate::steps::step;
use crate::workspace::Workspace;
use crate::{guests, programs, setup};
use anyhow::{Result, bail};
use record::{Counts, Record};
use runs::Place;
use std::path::Path;

/// Where the counts are recorded, in the repository.
const RECORD: &str = "bench/instructions.json";

/// How many connections are made, and then double as many.
const CONNECTIONS: u64 = 250;
/// How many requests are made, and then double as many.
const REQUESTS: u64 = 250;

/// `[--update]`
pub(crate) fn run(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let update = match arguments {
        [] => false,
        [flag] if flag == "--update" => true,
        _ => bail!("`instructions` takes no argument but --update"),
    };
    let toolchain = setup::toolchain(environment)?;
    let guests = guests::build(workspace, &toolchain)?;
    let programs = programs::build_release_cord(workspace)?;
    let valgrind = setup::valgrind(environment)?;
    let profiles = workspace.target.join("instructions");
    let place = Place::new(&valgrind, &programs, &guests, &toolchain.path, &profiles)?;
    let counted = Record::of_this_machine(&valgrind.version, count(&place)?)?;
    let file = workspace.root.join(RECORD);
    if update {
        counted.write(&file)?;
        println!("{counted}written to {RECORD}");
        return Ok(());
    }
    compare(&file, &counted, &profiles, environment.is_ci)
}

/// Counts every path.
fn count(place: &Place<'_>) -> Result<Counts> {
    let mut counts = Counts::new();
    let start = step("count the instructions of a start", || place.start())?;
    counts.insert("start (cord run hello.wasm)", start);
    let connect = step("count the instructions of a connection", || {
        Ok((place.connections(CONNECTIONS)?, place.connections(2 * CONNECTIONS)?))
    })?;
    let guest = connect.1.guest.saturating_sub(connect.0.guest) / CONNECTIONS;
    counts.insert("connection, in the guest's process (cord run -c ADDRESS connects.wasm)", guest);
    let broker = connect.1.broker.saturating_sub(connect.0.broker) / CONNECTIONS;
    counts.insert("connection, in the broker (cord run -c ADDRESS connects.wasm)", broker);
    let request =
        step("count the instructions of a request", || Ok((place.requests(REQUESTS)?, place.requests(2 * REQUESTS)?)))?;
    counts.insert("request (cord serve http-hello.wasm)", request.1.guest.saturating_sub(request.0.guest) / REQUESTS);
    Ok(counts)
}

/// Fails where a path takes more than recorded; and where it takes less, as the record would let it grow again.
fn compare(file: &Path, counted: &Record, profiles: &Path, is_ci: bool) -> Result<()> {
    let recorded = Record::read(file)?;
    if let Some(difference) = counted.made_otherwise(&recorded) {
        // A new compiler would else end all comparing without anybody seeing it. The machine is not the project's to choose.
        if is_ci && counted.is_of_another_compiler(&recorded) {
            bail!("{counted}cannot be compared with {RECORD}: {difference}\ncargo xtask instructions --update");
        }
        println!("{counted}not compared with {RECORD}: {difference}");
        return Ok(());
    }
    println!("{}", counted.beside(&recorded));
    let moved = counted.moved_from(&recorded);
    if !moved.is_empty() {
        bail!(
            "{}\nto see where: callgrind_annotate PROFILE, of the profiles in {}\nif it is worth more, or takes less: \
             cargo xtask instructions --update",
            moved.join("\n"),
            profiles.display()
        );
    }
    Ok(())
}
