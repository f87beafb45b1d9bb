//! The calls of preview 1 that may wait for a socket, linked so that they can.

use wasmtime::{AsContextMut, Caller, Extern, Linker};
use wasmtime_wasi::p1::types::{CiovecArray, Errno, Error, Fd, Fdflags, IovecArray, Riflags, Roflags, Size};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use crate::p1::memory::Pieces;
use crate::p1::{MODULE, Preview1};
use crate::state::ModuleState;

impl Preview1 {
    pub(super) async fn accept(&mut self, fd: Fd, flags: Fdflags) -> Result<Fd, Error> {
        let accepted = self.table.socket(fd.into())?.accept(flags).await?;
        Ok(self.add(accepted)?)
    }

    pub(super) async fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: IovecArray,
        flags: Riflags,
    ) -> Result<(Size, Roflags), Error> {
        let socket = self.table.socket(fd.into())?;
        let pieces = Pieces::to_fill(memory, buffers)?;
        let received = socket.receive(memory, &pieces, flags).await?;
        Ok((received.size()?, received.flags()))
    }

    pub(super) async fn send(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: CiovecArray,
    ) -> Result<Size, Error> {
        let socket = self.table.socket(fd.into())?;
        let pieces = Pieces::to_read(memory, buffers)?;
        socket.send(memory, &pieces, None).await
    }
}

/// What a call of a guest works on: its memory and its world.
///
/// # Errors
///
/// The guest exports no memory, which ends it.
pub(super) fn parts<'a>(
    caller: &'a mut Caller<'_, ModuleState>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut Preview1)> {
    let memory = caller.get_export("memory");
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (memory, state) = match &memory {
        Some(Extern::Memory(memory)) => {
            let (memory, state) = memory.data_and_store_mut(caller);
            (GuestMemory::Unshared(memory), state)
        }
        _ => return Err(wasmtime::Error::msg("the guest exports no memory of its own, which calls of WASI need")),
    };
    state.preview1.set_hostcall_fuel(fuel);
    Ok((memory, &mut state.preview1))
}

/// The number that a call returns. What is no error number ends the guest.
pub(super) fn returned(outcome: Result<(), Error>) -> wasmtime::Result<u32> {
    match outcome.map_err(Error::downcast) {
        Ok(()) => Ok(number(Errno::Success)),
        Err(Ok(errno)) => Ok(number(errno)),
        Err(Err(trap)) => Err(trap),
    }
}

/// An error as its number.
pub(super) fn number(errno: Errno) -> u32 {
    u32::from(u16::from(errno))
}

/// Flags that a guest typed. Bits without a meaning are refused.
pub(super) fn flags<F>(bits: u32, from_bits: fn(u16) -> Option<F>) -> Result<F, Error> {
    Ok(u16::try_from(bits).ok().and_then(from_bits).ok_or(Errno::Inval)?)
}

/// Links them, in the place of those that cannot wait.
pub(super) fn link(linker: &mut Linker<ModuleState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "sock_accept",
        |mut caller: Caller<'_, ModuleState>, (fd, bits, result): (u32, u32, u32)| {
            Box::new(async move {
                let (mut memory, guest) = parts(&mut caller)?;
                returned(accept(guest, &mut memory, fd, bits, result).await)
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_recv",
        |mut caller: Caller<'_, ModuleState>, (fd, list, length, bits, size, out): (u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                let (mut memory, guest) = parts(&mut caller)?;
                let memory = &mut memory;
                let outcome = async {
                    let buffers = GuestPtr::new((list, length));
                    let flags = flags(bits, Riflags::from_bits)?;
                    let (count, told) = guest.receive(memory, Fd::from(fd), buffers, flags).await?;
                    memory.write(GuestPtr::new(size), count)?;
                    Ok(memory.write(GuestPtr::new(out), told)?)
                };
                returned(outcome.await)
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "sock_send",
        |mut caller: Caller<'_, ModuleState>, (fd, list, length, _flags, size): (u32, u32, u32, u32, u32)| {
            Box::new(async move {
                let (mut memory, guest) = parts(&mut caller)?;
                let memory = &mut memory;
                let outcome = async {
                    let count = guest.send(memory, Fd::from(fd), GuestPtr::new((list, length))).await?;
                    Ok(memory.write(GuestPtr::new(size), count)?)
                };
                returned(outcome.await)
            })
        },
    )?;
    Ok(())
}

/// Accepts, and tells the new number at `result`.
pub(super) async fn accept(
    guest: &mut Preview1,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    bits: u32,
    result: u32,
) -> Result<(), Error> {
    let flags = flags(bits, Fdflags::from_bits)?;
    let accepted = guest.accept(Fd::from(fd), flags).await?;
    Ok(memory.write(GuestPtr::new(result), accepted)?)
}
