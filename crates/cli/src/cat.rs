//! `cord cat`: joins standard input and output to a connection of the switchboard.

use crate::connect;
use crate::exit::{self, Fault};
use crate::parts::{anyhow_of, block_on};
use anyhow::{Context, anyhow};
use client::Connection;
use manifest::flags::CatFlags;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// How much is copied at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Connects, or with `-l` is connected to, and copies both ways until the other end closes.
pub(crate) fn cat(flags: &CatFlags) -> Result<ExitCode, Fault> {
    let labels = connect::labels(&flags.labels)?;
    block_on(async {
        let handle = connect::open(&flags.socket).map_err(anyhow_of)?;
        if !flags.listen {
            return join(handle.connect(&labels).await?, flags.verbose);
        }
        let server = handle.serve(&labels).await?;
        let connection = server.accept().await.ok_or_else(|| anyhow!("the switchboard is gone"))?;
        // One conversation: whoever comes next should not find us.
        drop(server);
        join(connection, flags.verbose)
    })
}

/// Two plain threads: standard input may be a file, which no event loop can wait for.
fn join(connection: Connection, verbose: bool) -> anyhow::Result<ExitCode> {
    if verbose {
        exit::say(format_args!("connected: {}", connection.labels));
    }
    // What came before the socket, if it is one for datagrams.
    for datagram in &connection.datagrams {
        io::stdout().write_all(datagram).context("cannot write to standard output")?;
    }
    // Reading and writing work alike on every connected socket; only its addresses would be wrong, and nobody asks.
    let mut socket = UnixStream::from(connection.socket);
    socket.set_nonblocking(false).context("cannot use the connection")?;
    let writing = socket.try_clone().context("cannot use the connection")?;
    std::thread::spawn(move || {
        // The other end may close first: then there is nobody to tell.
        let _ = copy(&mut io::stdin().lock(), &mut &writing);
        let _ = writing.shutdown(Shutdown::Write);
    });
    copy(&mut socket, &mut io::stdout().lock()).context("the connection broke")?;
    // The other end sends no more but may still read. Both directions are done, and the kernel says so, when either it
    // has closed altogether or standard input has ended.
    let mut hang_up = [PollFd::new(&socket, PollFlags::empty())];
    while hang_up.iter().all(|fd| fd.revents().is_empty()) {
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut hang_up, None)).context("cannot wait for the end")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies and flushes each piece at once, so that a conversation flows.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(chunk.get(..count).unwrap_or_default())?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
