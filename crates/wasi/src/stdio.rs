//! What a guest's standard streams are: those of this process, a connection, a log, or nothing.

mod connection;
mod log;

use std::sync::Arc;

use wasmtime_wasi::WasiCtxBuilder;

pub use connection::StdioConnection;
pub use log::GuestLog;

use log::LogStream;

/// A guest's standard streams.
#[derive(Clone, Debug)]
pub enum Stdio {
    /// Those of this process.
    Inherit,
    /// Nothing to read, and what is written is lost.
    Null,
    /// Nothing to read, and what is written goes to a log, line by line.
    Log(Arc<dyn GuestLog>),
    /// Standard input and output are a connection, standard error goes to a log.
    ///
    /// # Authority
    ///
    /// The guest talks to whoever is at the other end.
    Connection {
        /// The connection. Its end is for the caller: see [`StdioConnection::close`].
        connection: Arc<StdioConnection>,
        /// Where standard error goes.
        log: Arc<dyn GuestLog>,
    },
}

impl Stdio {
    pub(crate) fn add(self, context: &mut WasiCtxBuilder) {
        match self {
            Stdio::Inherit => {
                context.inherit_stdio();
            }
            Stdio::Null => {}
            Stdio::Log(log) => {
                context.stdout(LogStream::new(Arc::clone(&log))).stderr(LogStream::new(log));
            }
            Stdio::Connection { connection, log } => {
                context.stdin(connection.input()).stdout(connection.output()).stderr(LogStream::new(log));
            }
        }
    }
}
