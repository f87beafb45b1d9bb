//! The calls of `wasi_snapshot_preview1`: each goes to wasmtime-wasi with its descriptors translated, or to a socket.
//!
//! What a socket cannot do fails with what Linux says in its place. The calls whose names begin with `sock_` are linked
//! by [`crate::p1::calls`], because this trait gives them no way to wait.

use wasmtime_wasi::p1::types::{
    Advice, CiovecArray, Clockid, Dircookie, Errno, Error, Event, Exitcode, Fd, Fdflags, Fdstat, Filedelta, Filesize,
    Filestat, Fstflags, IovecArray, Lookupflags, Oflags, Prestat, Riflags, Rights, Roflags, Sdflags, Siflags, Signal,
    Size, Subscription, Timestamp, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use crate::p1::Preview1;
use crate::p1::memory::Pieces;
use crate::p1::table::Entry;
use crate::p1::wait::at_once;

type Memory<'a, 'm> = &'a mut GuestMemory<'m>;

impl Preview1 {
    /// The number of a file in wasmtime-wasi's table; for a socket `errno`.
    fn file(&self, fd: Fd, errno: Errno) -> Result<Fd, Error> {
        match self.table.get(fd.into())? {
            Entry::Stream(theirs) | Entry::File(theirs, _) => Ok(Fd::from(*theirs)),
            Entry::Socket(_) => Err(errno.into()),
        }
    }

    /// As [`Preview1::file`], for a directory in which something is named.
    fn directory(&self, fd: Fd) -> Result<Fd, Error> {
        self.file(fd, Errno::Notdir)
    }

    /// Closes a descriptor that is in the table no more.
    async fn close(&mut self, memory: Memory<'_, '_>, entry: Entry<Box<super::Socket>>) -> Result<(), Error> {
        match entry {
            Entry::Stream(theirs) | Entry::File(theirs, _) => self.wasi.fd_close(memory, Fd::from(theirs)).await,
            Entry::Socket(socket) => {
                drop(socket);
                Ok(())
            }
        }
    }
}

impl WasiSnapshotPreview1 for Preview1 {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.fuel = fuel;
        self.wasi.set_hostcall_fuel(fuel);
    }

    fn args_get(
        &mut self,
        memory: Memory<'_, '_>,
        argv: GuestPtr<GuestPtr<u8>>,
        argv_buf: GuestPtr<u8>,
    ) -> Result<(), Error> {
        self.wasi.args_get(memory, argv, argv_buf)
    }

    fn args_sizes_get(&mut self, memory: Memory<'_, '_>) -> Result<(Size, Size), Error> {
        self.wasi.args_sizes_get(memory)
    }

    fn environ_get(
        &mut self,
        memory: Memory<'_, '_>,
        environ: GuestPtr<GuestPtr<u8>>,
        environ_buf: GuestPtr<u8>,
    ) -> Result<(), Error> {
        self.wasi.environ_get(memory, environ, environ_buf)
    }

    fn environ_sizes_get(&mut self, memory: Memory<'_, '_>) -> Result<(Size, Size), Error> {
        self.wasi.environ_sizes_get(memory)
    }

    fn clock_res_get(&mut self, memory: Memory<'_, '_>, id: Clockid) -> Result<Timestamp, Error> {
        self.wasi.clock_res_get(memory, id)
    }

    fn clock_time_get(
        &mut self,
        memory: Memory<'_, '_>,
        id: Clockid,
        precision: Timestamp,
    ) -> Result<Timestamp, Error> {
        self.wasi.clock_time_get(memory, id, precision)
    }

    async fn fd_advise(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
        advice: Advice,
    ) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Spipe)?;
        self.wasi.fd_advise(memory, fd, offset, len, advice).await
    }

    fn fd_allocate(&mut self, memory: Memory<'_, '_>, fd: Fd, offset: Filesize, len: Filesize) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Nodev)?;
        self.wasi.fd_allocate(memory, fd, offset, len)
    }

    async fn fd_close(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<(), Error> {
        let entry = self.table.remove(fd.into()).ok_or(Errno::Badf)?;
        self.close(memory, entry).await
    }

    async fn fd_datasync(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Inval)?;
        self.wasi.fd_datasync(memory, fd).await
    }

    async fn fd_fdstat_get(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<Fdstat, Error> {
        match self.table.get(fd.into())? {
            Entry::Socket(socket) => Ok(socket.status()),
            Entry::Stream(theirs) | Entry::File(theirs, _) => {
                let theirs = Fd::from(*theirs);
                self.wasi.fd_fdstat_get(memory, theirs).await
            }
        }
    }

    fn fd_fdstat_set_flags(&mut self, memory: Memory<'_, '_>, fd: Fd, flags: Fdflags) -> Result<(), Error> {
        match self.table.socket(fd.into()) {
            Ok(socket) => Ok(socket.set_flags(flags)?),
            Err(Errno::Notsock) => {
                let fd = self.file(fd, Errno::Notsock)?;
                self.wasi.fd_fdstat_set_flags(memory, fd, flags)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn fd_fdstat_set_rights(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        base: Rights,
        inheriting: Rights,
    ) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Notsup)?;
        self.wasi.fd_fdstat_set_rights(memory, fd, base, inheriting)
    }

    async fn fd_filestat_get(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<Filestat, Error> {
        match self.table.get(fd.into())? {
            Entry::Socket(socket) => Ok(socket.file_status()),
            Entry::Stream(theirs) | Entry::File(theirs, _) => {
                let theirs = Fd::from(*theirs);
                self.wasi.fd_filestat_get(memory, theirs).await
            }
        }
    }

    async fn fd_filestat_set_size(&mut self, memory: Memory<'_, '_>, fd: Fd, size: Filesize) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Inval)?;
        self.wasi.fd_filestat_set_size(memory, fd, size).await
    }

    async fn fd_filestat_set_times(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Notsup)?;
        self.wasi.fd_filestat_set_times(memory, fd, accessed, modified, flags).await
    }

    async fn fd_pread(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buffers: IovecArray,
        offset: Filesize,
    ) -> Result<Size, Error> {
        let fd = self.file(fd, Errno::Spipe)?;
        self.wasi.fd_pread(memory, fd, buffers, offset).await
    }

    fn fd_prestat_get(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<Prestat, Error> {
        // What tells wasi-libc that no further volume follows.
        let fd = self.file(fd, Errno::Badf)?;
        self.wasi.fd_prestat_get(memory, fd)
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<u8>,
        length: Size,
    ) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.fd_prestat_dir_name(memory, fd, path, length)
    }

    async fn fd_pwrite(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buffers: CiovecArray,
        offset: Filesize,
    ) -> Result<Size, Error> {
        let fd = self.file(fd, Errno::Spipe)?;
        self.wasi.fd_pwrite(memory, fd, buffers, offset).await
    }

    async fn fd_read(&mut self, memory: Memory<'_, '_>, fd: Fd, buffers: IovecArray) -> Result<Size, Error> {
        match self.table.socket(fd.into()) {
            Ok(socket) => {
                let pieces = Pieces::to_fill(memory, buffers)?;
                Ok(socket.receive(memory, &pieces, Riflags::empty()).await?.size()?)
            }
            Err(Errno::Notsock) => {
                let fd = self.file(fd, Errno::Notsock)?;
                self.wasi.fd_read(memory, fd, buffers).await
            }
            Err(errno) => Err(errno.into()),
        }
    }

    async fn fd_readdir(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        length: Size,
        cookie: Dircookie,
    ) -> Result<Size, Error> {
        let fd = self.directory(fd)?;
        self.wasi.fd_readdir(memory, fd, buffer, length, cookie).await
    }

    async fn fd_renumber(&mut self, memory: Memory<'_, '_>, from: Fd, to: Fd) -> Result<(), Error> {
        match self.table.renumber(from.into(), to.into())? {
            Some(replaced) => self.close(memory, replaced).await,
            None => Ok(()),
        }
    }

    async fn fd_seek(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        offset: Filedelta,
        whence: Whence,
    ) -> Result<Filesize, Error> {
        let fd = self.file(fd, Errno::Spipe)?;
        self.wasi.fd_seek(memory, fd, offset, whence).await
    }

    async fn fd_sync(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<(), Error> {
        let fd = self.file(fd, Errno::Inval)?;
        self.wasi.fd_sync(memory, fd).await
    }

    fn fd_tell(&mut self, memory: Memory<'_, '_>, fd: Fd) -> Result<Filesize, Error> {
        let fd = self.file(fd, Errno::Spipe)?;
        self.wasi.fd_tell(memory, fd)
    }

    async fn fd_write(&mut self, memory: Memory<'_, '_>, fd: Fd, buffers: CiovecArray) -> Result<Size, Error> {
        match self.table.socket(fd.into()) {
            Ok(socket) => {
                let pieces = Pieces::to_read(memory, buffers)?;
                socket.send(memory, &pieces, None).await
            }
            Err(Errno::Notsock) => {
                let fd = self.file(fd, Errno::Notsock)?;
                self.wasi.fd_write(memory, fd, buffers).await
            }
            Err(errno) => Err(errno.into()),
        }
    }

    async fn path_create_directory(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_create_directory(memory, fd, path).await
    }

    async fn path_filestat_get(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat, Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_filestat_get(memory, fd, flags, path).await
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_filestat_set_times(memory, fd, lookup, path, accessed, modified, flags).await
    }

    async fn path_link(
        &mut self,
        memory: Memory<'_, '_>,
        old_fd: Fd,
        flags: Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let (old_fd, new_fd) = (self.directory(old_fd)?, self.directory(new_fd)?);
        self.wasi.path_link(memory, old_fd, flags, old_path, new_fd, new_path).await
    }

    async fn path_open(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        open: Oflags,
        base: Rights,
        inheriting: Rights,
        flags: Fdflags,
    ) -> Result<Fd, Error> {
        let fd = self.directory(fd)?;
        let right = self.table.room_for_file()?;
        let theirs = self.wasi.path_open(memory, fd, lookup, path, open, base, inheriting, flags).await?;
        Ok(self.table.add_file(theirs.into(), right)?.into())
    }

    async fn path_readlink(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        length: Size,
    ) -> Result<Size, Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_readlink(memory, fd, path, buffer, length).await
    }

    async fn path_remove_directory(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_remove_directory(memory, fd, path).await
    }

    async fn path_rename(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let (fd, new_fd) = (self.directory(fd)?, self.directory(new_fd)?);
        self.wasi.path_rename(memory, fd, old_path, new_fd, new_path).await
    }

    async fn path_symlink(
        &mut self,
        memory: Memory<'_, '_>,
        old_path: GuestPtr<str>,
        fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_symlink(memory, old_path, fd, new_path).await
    }

    async fn path_unlink_file(&mut self, memory: Memory<'_, '_>, fd: Fd, path: GuestPtr<str>) -> Result<(), Error> {
        let fd = self.directory(fd)?;
        self.wasi.path_unlink_file(memory, fd, path).await
    }

    async fn poll_oneoff(
        &mut self,
        memory: Memory<'_, '_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        self.poll(memory, subscriptions, events, count).await
    }

    fn proc_exit(&mut self, memory: Memory<'_, '_>, code: Exitcode) -> wasmtime::Error {
        self.wasi.proc_exit(memory, code)
    }

    fn proc_raise(&mut self, memory: Memory<'_, '_>, signal: Signal) -> Result<(), Error> {
        self.wasi.proc_raise(memory, signal)
    }

    fn sched_yield(&mut self, memory: Memory<'_, '_>) -> Result<(), Error> {
        self.wasi.sched_yield(memory)
    }

    fn random_get(&mut self, memory: Memory<'_, '_>, buffer: GuestPtr<u8>, length: Size) -> Result<(), Error> {
        self.wasi.random_get(memory, buffer, length)
    }

    fn sock_accept(&mut self, _memory: Memory<'_, '_>, fd: Fd, flags: Fdflags) -> Result<Fd, Error> {
        at_once(self.accept(fd, flags))
    }

    fn sock_recv(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buffers: IovecArray,
        flags: Riflags,
    ) -> Result<(Size, Roflags), Error> {
        at_once(self.receive(memory, fd, buffers, flags))
    }

    fn sock_send(
        &mut self,
        memory: Memory<'_, '_>,
        fd: Fd,
        buffers: CiovecArray,
        _flags: Siflags,
    ) -> Result<Size, Error> {
        at_once(self.send(memory, fd, buffers))
    }

    fn sock_shutdown(&mut self, _memory: Memory<'_, '_>, fd: Fd, how: Sdflags) -> Result<(), Error> {
        Ok(self.table.socket(fd.into())?.shutdown(how)?)
    }
}
