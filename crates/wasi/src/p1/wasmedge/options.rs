//! Socket options by WasmEdge's numbers.
//!
//! An option is kept and told, or refused: none is taken and then ignored that a program could miss. Ports of a guest
//! are its own and never wait for their last packets, so "reuse address" changes nothing; it is kept because every server
//! sets it.

use std::time::Duration;

use wasmtime_wasi::p1::types::{Errno, Error};
use wiggle::GuestPtr;

use super::{DATAGRAM, Memory, Number, STREAM};
use crate::p1::Preview1;
use crate::p1::calls::{number, returned};
use crate::p1::socket::Socket;
use crate::sockets::{KeepAlive, NoDelay, ReceiveBuffer, SendBuffer};

/// The levels of options.
const SOCKET: u32 = 0;
const TCP: u32 = 6;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    ReuseAddress,
    Type,
    Error,
    DoNotRoute,
    Broadcast,
    SendBuffer,
    ReceiveBuffer,
    KeepAlive,
    OutOfBandInline,
    Linger,
    ReceiveLowWater,
    ReceiveTimeout,
    SendTimeout,
    Accepts,
    BindToDevice,
    NoDelay,
}

impl Name {
    fn of(level: u32, name: u32) -> Result<Name, Errno> {
        Ok(match (level, name) {
            (SOCKET, 0) => Name::ReuseAddress,
            (SOCKET, 1) => Name::Type,
            (SOCKET, 2) => Name::Error,
            (SOCKET, 3) => Name::DoNotRoute,
            (SOCKET, 4) => Name::Broadcast,
            (SOCKET, 5) => Name::SendBuffer,
            (SOCKET, 6) => Name::ReceiveBuffer,
            (SOCKET, 7) => Name::KeepAlive,
            (SOCKET, 8) => Name::OutOfBandInline,
            (SOCKET, 9) => Name::Linger,
            (SOCKET, 10) => Name::ReceiveLowWater,
            (SOCKET, 11) => Name::ReceiveTimeout,
            (SOCKET, 12) => Name::SendTimeout,
            (SOCKET, 13) => Name::Accepts,
            (SOCKET, 14) => Name::BindToDevice,
            (TCP, 15) => Name::NoDelay,
            _ => return Err(Errno::Noprotoopt),
        })
    }
}

/// `sock_getsockopt`: puts the value at `value`, where the guest has room for as many bytes as `size` says, and says there
/// how many it was.
pub(super) async fn get(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    level: u32,
    name: u32,
    value: u32,
    size: u32,
) -> Number {
    let mut outcome = || {
        let socket = guest.socket(fd)?;
        let told = tell(socket, Name::of(level, name)?)?;
        let size = GuestPtr::<u32>::new(size);
        let length = u32::try_from(told.len())?;
        if memory.read(size)? < length {
            return Err(Errno::Inval.into());
        }
        memory.copy_from_slice(&told, GuestPtr::new((value, length)))?;
        Ok(memory.write(size, length)?)
    };
    returned(outcome())
}

fn tell(socket: &mut Socket, name: Name) -> Result<Vec<u8>, Error> {
    let integer = match name {
        Name::ReuseAddress => socket.kept.reuse_address.into(),
        Name::Broadcast => socket.kept.broadcast.into(),
        Name::Type if socket.is_stream() => STREAM,
        Name::Type => DATAGRAM,
        Name::Error => socket.take_error().map_or(0, number),
        Name::SendBuffer => bytes(socket.option::<SendBuffer>()?),
        Name::ReceiveBuffer => bytes(socket.option::<ReceiveBuffer>()?),
        Name::KeepAlive => socket.option::<KeepAlive>()?.into(),
        Name::NoDelay if socket.is_stream() => socket.option::<NoDelay>()?.into(),
        Name::NoDelay => return Err(Errno::Notsup.into()),
        Name::DoNotRoute | Name::OutOfBandInline => 0,
        Name::ReceiveLowWater => 1,
        Name::Accepts => socket.is_listening().into(),
        Name::ReceiveTimeout => return Ok(time(socket.kept.receive_timeout)),
        Name::SendTimeout => return Ok(time(socket.kept.send_timeout)),
        // Off, and no time.
        Name::Linger => return Ok(vec![0; 8]),
        // No device.
        Name::BindToDevice => return Ok(Vec::new()),
    };
    Ok(integer.to_le_bytes().to_vec())
}

/// Sizes are signed numbers to a guest.
fn bytes(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs())
}

/// A `timeval`: seconds and microseconds, eight bytes each. Nothing means: no limit.
fn time(timeout: Option<Duration>) -> Vec<u8> {
    let timeout = timeout.unwrap_or_default();
    [timeout.as_secs().to_le_bytes(), u64::from(timeout.subsec_micros()).to_le_bytes()].concat()
}

/// `sock_setsockopt`.
pub(super) async fn set(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    level: u32,
    name: u32,
    value: u32,
    size: u32,
) -> Number {
    let mut outcome = || {
        let socket = guest.socket(fd)?;
        let name = Name::of(level, name)?;
        // No value is larger.
        let value = memory.as_cow(GuestPtr::new((value, size.min(16))))?;
        Ok(take(socket, name, &value)?)
    };
    returned(outcome())
}

fn take(socket: &mut Socket, name: Name, value: &[u8]) -> Result<(), Errno> {
    let integer = || value.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(Errno::Inval);
    let is_on = || Ok::<bool, Errno>(integer()? != 0);
    match name {
        Name::ReuseAddress => socket.kept.reuse_address = is_on()?,
        Name::Broadcast => socket.kept.broadcast = is_on()?,
        Name::SendBuffer => socket.set_option::<SendBuffer>(wanted_bytes(integer()?))?,
        Name::ReceiveBuffer => socket.set_option::<ReceiveBuffer>(wanted_bytes(integer()?))?,
        Name::KeepAlive => socket.set_option::<KeepAlive>(is_on()?)?,
        Name::NoDelay if socket.is_stream() => socket.set_option::<NoDelay>(is_on()?)?,
        Name::NoDelay => return Err(Errno::Notsup),
        Name::ReceiveTimeout => socket.kept.receive_timeout = timeout(value)?,
        Name::SendTimeout => socket.kept.send_timeout = timeout(value)?,
        // What they are anyway may be set.
        Name::DoNotRoute | Name::OutOfBandInline | Name::Linger if !is_on()? => {}
        Name::ReceiveLowWater if integer()? <= 1 => {}
        Name::BindToDevice => return Err(Errno::Perm),
        Name::DoNotRoute
        | Name::OutOfBandInline
        | Name::Linger
        | Name::ReceiveLowWater
        | Name::Type
        | Name::Error
        | Name::Accepts => return Err(Errno::Noprotoopt),
    }
    Ok(())
}

/// Linux makes much of a negative size, and a little of none.
fn wanted_bytes(size: i32) -> u64 {
    u64::try_from(size).map_or(i32::MAX.unsigned_abs().into(), |size| size.max(1))
}

fn timeout(value: &[u8]) -> Result<Option<Duration>, Errno> {
    let (seconds, rest) = value.split_first_chunk::<8>().ok_or(Errno::Inval)?;
    let microseconds = rest.first_chunk::<8>().ok_or(Errno::Inval)?;
    let (seconds, microseconds) = (i64::from_le_bytes(*seconds), i64::from_le_bytes(*microseconds));
    let Some(microseconds) = u32::try_from(microseconds).ok().filter(|count| *count < 1_000_000) else {
        return Err(Errno::Dom);
    };
    // Linux takes time before now for no time at all.
    let time = Duration::new(u64::try_from(seconds).unwrap_or(0), microseconds * 1000);
    Ok(if seconds < 0 { Some(Duration::ZERO) } else { Some(time).filter(|time| !time.is_zero()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeval(seconds: i64, microseconds: i64) -> Vec<u8> {
        [seconds.to_le_bytes(), microseconds.to_le_bytes()].concat()
    }

    #[test]
    fn timeouts_are_taken_as_linux_takes_them() {
        assert_eq!(timeout(&timeval(2, 500_000)), Ok(Some(Duration::from_millis(2500))));
        assert_eq!(timeout(&timeval(0, 0)), Ok(None));
        assert_eq!(timeout(&timeval(-1, 0)), Ok(Some(Duration::ZERO)));
        assert_eq!(timeout(&timeval(i64::MAX, 1)).map(|time| time.is_some()), Ok(true));
        for bad in [timeval(0, 1_000_000), timeval(0, -1), timeval(0, i64::MIN)] {
            assert_eq!(timeout(&bad), Err(Errno::Dom));
        }
        assert_eq!(timeout(&[0; 15]), Err(Errno::Inval));
        assert_eq!(timeout(&[]), Err(Errno::Inval));
        assert_eq!(time(timeout(&timeval(2, 500_000)).unwrap()), timeval(2, 500_000));
        assert_eq!(time(None), timeval(0, 0));
    }

    #[test]
    fn sizes_stay_numbers_that_a_guest_can_hold() {
        assert_eq!(bytes(4096), 4096);
        assert_eq!(bytes(u64::MAX), 0x7fff_ffff);
        assert_eq!(wanted_bytes(0), 1);
        assert_eq!(wanted_bytes(4096), 4096);
        assert_eq!(wanted_bytes(-1), 0x7fff_ffff);
    }

    #[test]
    fn numbers_without_an_option_are_refused() {
        for (level, name) in [(SOCKET, 15), (SOCKET, u32::MAX), (TCP, 0), (1, 2)] {
            assert_eq!(Name::of(level, name), Err(Errno::Noprotoopt));
        }
        assert_eq!(Name::of(SOCKET, 13), Ok(Name::Accepts));
    }
}
