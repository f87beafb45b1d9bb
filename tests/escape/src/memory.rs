//! Memory that is executed: new code by every way to it.

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::{Fd, call, create, open, write};
use crate::child;
use crate::machine::{self, Mapping, PAGE};
use crate::scene::Scene;
use libc::{MAP_PRIVATE, MAP_SHARED, O_RDWR, PROT_EXEC, PROT_READ, PROT_WRITE};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("map-executable", |_| {
        let page = Mapping::anonymous(PROT_READ | PROT_WRITE | PROT_EXEC)?;
        page.write_code();
        page.execute()
    }),
    Attempt::new("protect-executable", |_| {
        let page = written()?;
        call!(SYS_mprotect, page.start(), PAGE, PROT_READ | PROT_EXEC)?;
        page.execute()
    }),
    Attempt::new("protect-executable-with-a-key", |_| {
        const NO_KEY: i32 = -1;
        let page = written()?;
        call!(SYS_pkey_mprotect, page.start(), PAGE, PROT_READ | PROT_EXEC, NO_KEY)?;
        page.execute()
    }),
    Attempt::new("map-file-executable", |scene| {
        let file = create(&scene.rw("code"))?;
        execute_file(&file, MAP_PRIVATE)
    }),
    Attempt::new("map-memory-file-executable", |_| {
        let file = call!(SYS_memfd_create, c"code", libc::MFD_CLOEXEC).map(Fd::new)?;
        execute_file(&file, MAP_SHARED)
    }),
    Attempt::new("map-shared-memory-executable", shared_memory),
    Attempt::new("make-readable-mean-executable", personality),
    Attempt::new("write-to-what-is-read-only", write_by_file),
    Attempt::new("write-to-own-memory-by-call", |_| {
        // Through this call the protection of pages holds, so only memory that can be written to anyway is.
        let (from, mut to) = (1_u8, 0_u8);
        let here = libc::iovec { iov_base: (&raw const from).cast_mut().cast(), iov_len: 1 };
        let there = libc::iovec { iov_base: (&raw mut to).cast(), iov_len: 1 };
        let own = std::process::id();
        call!(SYS_process_vm_writev, own, &raw const here, 1, &raw const there, 1, 0)?;
        Ok("wrote".to_string())
    }),
];

/// A page with code that cannot be executed yet.
fn written() -> Result<Mapping, Refusal> {
    let page = Mapping::anonymous(PROT_READ | PROT_WRITE)?;
    page.write_code();
    Ok(page)
}

fn execute_file(file: &Fd, kind: i32) -> Done {
    write(file.number(), machine::code())?;
    let page = call!(SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, kind, file, 0).map(Mapping::page)?;
    page.execute()
}

fn shared_memory(_: &Scene) -> Done {
    const SHM_EXEC: i32 = 0o100_000;
    let segment = call!(SYS_shmget, libc::IPC_PRIVATE, PAGE, 0o700)?;
    let mapped = call!(SYS_shmat, segment, 0, SHM_EXEC).map(Mapping::page);
    let _ = call!(SYS_shmctl, segment, libc::IPC_RMID, 0);
    let page = mapped?;
    page.write_code();
    page.execute()
}

/// After this, the kernel maps executable what is asked for as readable. In a process of its own: if the kernel says so
/// and does otherwise, that ends it.
fn personality(_: &Scene) -> Done {
    const ASK: u32 = u32::MAX;
    const READ_IMPLIES_EXEC: usize = 0x040_0000;
    let before = call!(SYS_personality, ASK)?;
    let tried = child::within_if_possible(|| {
        call!(SYS_personality, before | READ_IMPLIES_EXEC)?;
        written()?.execute().map(|_| ())
    });
    let _ = call!(SYS_personality, before);
    tried.map(|()| "executed what it had written".to_string())
}

/// The kernel lets a process write to its own memory by this file whatever the protection of a page.
fn write_by_file(_: &Scene) -> Done {
    let memory = open(c"/proc/self/mem", O_RDWR)?;
    let before = machine::constant_now();
    let changed = [before ^ 1];
    let put = |byte: &[u8; 1]| call!(SYS_pwrite64, &memory, byte.as_ptr(), 1, machine::constant());
    put(&changed)?;
    let seen = machine::constant_now();
    put(&[before])?;
    if [seen] == changed { Ok("changed a constant".to_string()) } else { Err(Refusal::no_effect("it stayed")) }
}
