//! Decides which error number of preview 1 a guest sees.

use wasmtime_wasi::p1::types::{Errno, Error};

use crate::sockets::Fault;

impl From<Fault> for Errno {
    fn from(fault: Fault) -> Errno {
        match fault {
            Fault::Unknown => Errno::Io,
            Fault::AccessDenied => Errno::Acces,
            Fault::NotSupported => Errno::Notsup,
            Fault::InvalidArgument | Fault::InvalidState => Errno::Inval,
            Fault::OutOfMemory => Errno::Nobufs,
            Fault::Timeout => Errno::Timedout,
            Fault::ConcurrencyConflict | Fault::NotInProgress => Errno::Already,
            Fault::WouldBlock => Errno::Again,
            Fault::NewSocketLimit => Errno::Mfile,
            Fault::AddressNotBindable => Errno::Addrnotavail,
            Fault::AddressInUse => Errno::Addrinuse,
            Fault::RemoteUnreachable => Errno::Hostunreach,
            Fault::ConnectionRefused => Errno::Connrefused,
            Fault::ConnectionReset => Errno::Connreset,
            Fault::ConnectionAborted => Errno::Connaborted,
            Fault::ConnectionBroken => Errno::Pipe,
            Fault::DatagramTooLarge => Errno::Msgsize,
            // Names have no numbers of their own here; `addrinfo` tells them in WasmEdge's.
            Fault::NameUnresolvable | Fault::PermanentResolverFailure => Errno::Noent,
            Fault::TemporaryResolverFailure => Errno::Again,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Errno::from(fault).into()
    }
}
