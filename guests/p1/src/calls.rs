//! Preview 1's calls on descriptors.
#![expect(unsafe_code, reason = "foreign calls")]

use crate::errno::{Outcome, check};

/// A piece of memory to fill.
#[repr(C)]
struct Fill {
    start: *mut u8,
    length: usize,
}

/// A piece of memory to read.
#[repr(C)]
struct Data {
    start: *const u8,
    length: usize,
}

/// What a descriptor is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// 3 a directory, 4 a file, 5 a datagram socket, 6 a stream socket.
    pub kind: u8,
    /// 4 is non-blocking.
    pub flags: u16,
    /// What it may be used for.
    pub rights: u64,
    /// What those opened through it may be used for.
    pub inheriting: u64,
}

/// What a file is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStatus {
    device: u64,
    inode: u64,
    /// As in [`Status`].
    pub kind: u8,
    links: u64,
    /// Its size.
    pub size: u64,
    times: [u64; 3],
}

/// The flag of a descriptor that does not wait.
pub const NONBLOCK: u16 = 4;
/// Looks at what would be read.
pub const PEEK: u16 = 1;
/// Waits until the buffers are full.
pub const WAIT_ALL: u16 = 2;
/// Ends reading.
pub const READING: u8 = 1;
/// Ends writing.
pub const WRITING: u8 = 2;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_advise(fd: u32, offset: u64, length: u64, advice: u32) -> u32;
    fn fd_allocate(fd: u32, offset: u64, length: u64) -> u32;
    fn fd_close(fd: u32) -> u32;
    fn fd_datasync(fd: u32) -> u32;
    fn fd_fdstat_get(fd: u32, status: *mut Status) -> u32;
    fn fd_fdstat_set_flags(fd: u32, flags: u32) -> u32;
    fn fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64) -> u32;
    fn fd_filestat_get(fd: u32, status: *mut FileStatus) -> u32;
    fn fd_filestat_set_size(fd: u32, size: u64) -> u32;
    fn fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32) -> u32;
    fn fd_pread(fd: u32, list: *const Fill, length: usize, offset: u64, size: *mut u32) -> u32;
    fn fd_prestat_dir_name(fd: u32, name: *mut u8, length: usize) -> u32;
    fn fd_prestat_get(fd: u32, result: *mut [u32; 2]) -> u32;
    fn fd_pwrite(fd: u32, list: *const Data, length: usize, offset: u64, size: *mut u32) -> u32;
    fn fd_read(fd: u32, list: *const Fill, length: usize, size: *mut u32) -> u32;
    fn fd_readdir(fd: u32, buffer: *mut u8, length: usize, cookie: u64, size: *mut u32) -> u32;
    fn fd_renumber(from: u32, to: u32) -> u32;
    fn fd_seek(fd: u32, offset: i64, whence: u32, position: *mut u64) -> u32;
    fn fd_sync(fd: u32) -> u32;
    fn fd_tell(fd: u32, position: *mut u64) -> u32;
    fn fd_write(fd: u32, list: *const Data, length: usize, size: *mut u32) -> u32;
    fn path_create_directory(fd: u32, path: *const u8, length: usize) -> u32;
    fn path_filestat_get(fd: u32, lookup: u32, path: *const u8, length: usize, status: *mut FileStatus) -> u32;
    fn path_open(
        fd: u32,
        lookup: u32,
        path: *const u8,
        length: usize,
        open: u32,
        base: u64,
        inheriting: u64,
        flags: u32,
        result: *mut u32,
    ) -> u32;
    fn path_rename(fd: u32, path: *const u8, length: usize, to: u32, new: *const u8, new_length: usize) -> u32;
    fn path_unlink_file(fd: u32, path: *const u8, length: usize) -> u32;
    fn sock_recv(fd: u32, list: *const Fill, length: usize, flags: u32, size: *mut u32, out: *mut u16) -> u32;
    fn sock_send(fd: u32, list: *const Data, length: usize, flags: u32, size: *mut u32) -> u32;
    fn sock_shutdown(fd: u32, how: u32) -> u32;
}

/// Calls on descriptors without a result of their own, for asking them all.
pub type Plain = fn(u32) -> Outcome<()>;

/// What a socket cannot do, and what Linux says then.
pub const NOT_FOR_SOCKETS: &[(&str, Plain, &str)] = &[
    ("fd_advise", |fd| check(unsafe { fd_advise(fd, 0, 0, 0) }), "SPIPE"),
    ("fd_allocate", |fd| check(unsafe { fd_allocate(fd, 0, 1) }), "NODEV"),
    ("fd_datasync", |fd| check(unsafe { fd_datasync(fd) }), "INVAL"),
    ("fd_fdstat_set_rights", |fd| check(unsafe { fd_fdstat_set_rights(fd, 0, 0) }), "NOTSUP"),
    ("fd_filestat_set_size", |fd| check(unsafe { fd_filestat_set_size(fd, 0) }), "INVAL"),
    ("fd_filestat_set_times", |fd| check(unsafe { fd_filestat_set_times(fd, 0, 0, 0) }), "NOTSUP"),
    ("fd_pread", |fd| pread(fd, 0).map(drop), "SPIPE"),
    ("fd_prestat_get", |fd| prestat(fd).map(drop), "BADF"),
    ("fd_prestat_dir_name", |fd| check(unsafe { fd_prestat_dir_name(fd, [0; 8].as_mut_ptr(), 8) }), "NOTDIR"),
    ("fd_pwrite", |fd| pwrite(fd).map(drop), "SPIPE"),
    ("fd_readdir", |fd| readdir(fd).map(drop), "NOTDIR"),
    ("fd_seek", |fd| seek(fd, 0).map(drop), "SPIPE"),
    ("fd_sync", |fd| check(unsafe { fd_sync(fd) }), "INVAL"),
    ("fd_tell", |fd| check(unsafe { fd_tell(fd, &mut 0) }), "SPIPE"),
    ("path_create_directory", |fd| check(unsafe { path_create_directory(fd, b"a".as_ptr(), 1) }), "NOTDIR"),
    ("path_filestat_get", |fd| size_of_path(fd, "a").map(drop), "NOTDIR"),
    ("path_open", |fd| open(fd, "a").map(drop), "NOTDIR"),
    ("path_rename", |fd| check(unsafe { path_rename(fd, b"a".as_ptr(), 1, fd, b"b".as_ptr(), 1) }), "NOTDIR"),
    ("path_unlink_file", |fd| check(unsafe { path_unlink_file(fd, b"a".as_ptr(), 1) }), "NOTDIR"),
];

/// Closes.
pub fn close(fd: u32) -> Outcome<()> {
    check(unsafe { fd_close(fd) })
}

/// What a descriptor is.
pub fn status(fd: u32) -> Outcome<Status> {
    let mut status = Status::default();
    check(unsafe { fd_fdstat_get(fd, &mut status) })?;
    Ok(status)
}

/// Makes it blocking or not.
pub fn set_flags(fd: u32, flags: u16) -> Outcome<()> {
    check(unsafe { fd_fdstat_set_flags(fd, flags.into()) })
}

/// What the file behind a descriptor is.
pub fn file_status(fd: u32) -> Outcome<FileStatus> {
    let mut status = FileStatus::default();
    check(unsafe { fd_filestat_get(fd, &mut status) })?;
    Ok(status)
}

/// Reads one piece.
pub fn read(fd: u32, max: usize) -> Outcome<Vec<u8>> {
    let mut buffer = vec![0; max];
    let list = [Fill { start: buffer.as_mut_ptr(), length: max }];
    let mut size = 0;
    check(unsafe { fd_read(fd, list.as_ptr(), 1, &mut size) })?;
    buffer.truncate(size as usize);
    Ok(buffer)
}

/// Writes one piece.
pub fn write(fd: u32, data: &[u8]) -> Outcome<usize> {
    write_all(fd, &[data])
}

/// Writes several pieces.
pub fn write_all(fd: u32, pieces: &[&[u8]]) -> Outcome<usize> {
    let list: Vec<Data> = pieces.iter().map(|piece| Data { start: piece.as_ptr(), length: piece.len() }).collect();
    let mut size = 0;
    check(unsafe { fd_write(fd, list.as_ptr(), list.len(), &mut size) })?;
    Ok(size as usize)
}

fn pread(fd: u32, offset: u64) -> Outcome<u32> {
    let (mut buffer, mut size) = ([0; 4], 0);
    let list = [Fill { start: buffer.as_mut_ptr(), length: 4 }];
    check(unsafe { fd_pread(fd, list.as_ptr(), 1, offset, &mut size) })?;
    Ok(size)
}

fn pwrite(fd: u32) -> Outcome<u32> {
    let mut size = 0;
    let list = [Data { start: b"x".as_ptr(), length: 1 }];
    check(unsafe { fd_pwrite(fd, list.as_ptr(), 1, 0, &mut size) })?;
    Ok(size)
}

fn readdir(fd: u32) -> Outcome<u32> {
    let (mut buffer, mut size) = ([0; 64], 0);
    check(unsafe { fd_readdir(fd, buffer.as_mut_ptr(), 64, 0, &mut size) })?;
    Ok(size)
}

/// The length of a volume's name, which every volume has and nothing else.
pub fn prestat(fd: u32) -> Outcome<u32> {
    let mut result = [0; 2];
    check(unsafe { fd_prestat_get(fd, &mut result) })?;
    Ok(result[1])
}

/// Seeks from the beginning.
pub fn seek(fd: u32, offset: i64) -> Outcome<u64> {
    let mut position = 0;
    check(unsafe { fd_seek(fd, offset, 0, &mut position) })?;
    Ok(position)
}

/// Opens a file, to read and write.
pub fn open(fd: u32, path: &str) -> Outcome<u32> {
    let mut result = 0;
    let rights = (1 << 1) | (1 << 2) | (1 << 6);
    check(unsafe { path_open(fd, 1, path.as_ptr(), path.len(), 0, rights, rights, 0, &mut result) })?;
    Ok(result)
}

/// The size of a file by its name.
pub fn size_of_path(fd: u32, path: &str) -> Outcome<u64> {
    let mut status = FileStatus::default();
    check(unsafe { path_filestat_get(fd, 1, path.as_ptr(), path.len(), &mut status) })?;
    Ok(status.size)
}

/// Puts a descriptor in another's place.
pub fn renumber(from: u32, to: u32) -> Outcome<()> {
    check(unsafe { fd_renumber(from, to) })
}

/// Receives into pieces of these sizes; what came, and whether a datagram was cut.
pub fn receive(fd: u32, sizes: &[usize], flags: u16) -> Outcome<(Vec<u8>, bool)> {
    let mut buffers: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0; *size]).collect();
    let list: Vec<Fill> =
        buffers.iter_mut().map(|buffer| Fill { start: buffer.as_mut_ptr(), length: buffer.len() }).collect();
    let (mut size, mut out) = (0, 0);
    check(unsafe { sock_recv(fd, list.as_ptr(), list.len(), flags.into(), &mut size, &mut out) })?;
    let mut data = buffers.concat();
    data.truncate(size as usize);
    Ok((data, out & 1 != 0))
}

/// Sends pieces.
pub fn send(fd: u32, pieces: &[&[u8]]) -> Outcome<usize> {
    let list: Vec<Data> = pieces.iter().map(|piece| Data { start: piece.as_ptr(), length: piece.len() }).collect();
    let mut size = 0;
    check(unsafe { sock_send(fd, list.as_ptr(), list.len(), 0, &mut size) })?;
    Ok(size as usize)
}

/// Ends a half or both.
pub fn shutdown(fd: u32, how: u8) -> Outcome<()> {
    check(unsafe { sock_shutdown(fd, how.into()) })
}
