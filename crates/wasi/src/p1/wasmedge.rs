//! The socket calls that WasmEdge added to `wasi_snapshot_preview1`, for guests of the crate `wasmedge_wasi_socket`.
//!
//! WasmEdge has changed some of them over the years and tells the generations apart by the types that a module imports.
//! Linked are those of the crate's newest version; [`other_types`] links the others for a module that imports them:
//!
//! | call | linked | also known |
//! |---|---|---|
//! | `sock_accept` | preview 1's: descriptor, flags, result | without flags (all versions of the crate) |
//! | `sock_recv_from` | with the port apart | port and address in one buffer (before WasmEdge 0.12) |
//! | `sock_getlocaladdr`, `sock_getpeeraddr` | with the family apart | the family in the buffer (WasmEdge 0.12 on) |

mod address;
mod addrinfo;
mod options;

use std::net::SocketAddr;

use wasmtime::{Caller, ExternType, FuncType, Linker, Module};
use wasmtime_wasi::p1::types::{Errno, Error, Riflags};
use wiggle::{GuestMemory, GuestPtr};

use crate::p1::calls::{accept, flags, parts, returned};
use crate::p1::memory::Pieces;
use crate::p1::socket::Socket;
use crate::p1::{MODULE, Preview1};
use crate::sockets::Family;
use crate::state::ModuleState;

/// How WasmEdge numbers address families.
const INET4: u32 = 1;
const INET6: u32 = 2;

/// How WasmEdge numbers kinds of sockets.
const DATAGRAM: u32 = 1;
const STREAM: u32 = 2;

type Memory<'a, 'm> = &'a mut GuestMemory<'m>;

/// Links a call that may wait: `link!(linker, "name", function, a, b)` calls `function(guest, memory, a, b)`.
macro_rules! link {
    ($linker:ident, $name:literal, $function:path, $($argument:ident),+) => {
        $linker.func_wrap_async(
            MODULE,
            $name,
            |mut caller: Caller<'_, ModuleState>, ($($argument,)+): ($(link!(@type $argument),)+)| {
                Box::new(async move {
                    let (mut memory, guest) = parts(&mut caller)?;
                    $function(guest, &mut memory, $($argument),+).await
                })
            },
        )?
    };
    (@type $argument:ident) => { u32 };
}

/// Links the calls as the crate's newest version has them.
pub(super) fn link(linker: &mut Linker<ModuleState>) -> wasmtime::Result<()> {
    link!(linker, "sock_open", open, family, kind, result);
    link!(linker, "sock_bind", bind, fd, address, port);
    link!(linker, "sock_listen", listen, fd, backlog);
    link!(linker, "sock_connect", connect, fd, address, port);
    link!(linker, "sock_send_to", send_to, fd, list, length, address, port, bits, size);
    link!(linker, "sock_recv_from", receive_from, fd, list, length, address, bits, port, size, out);
    link!(linker, "sock_getlocaladdr", local_address, fd, address, family, port);
    link!(linker, "sock_getpeeraddr", peer_address, fd, address, family, port);
    link!(linker, "sock_getsockopt", options::get, fd, level, name, value, size);
    link!(linker, "sock_setsockopt", options::set, fd, level, name, value, size);
    link!(
        linker,
        "sock_getaddrinfo",
        addrinfo::get,
        node,
        node_length,
        service,
        service_length,
        hint,
        list,
        max,
        count
    );
    Ok(())
}

/// A linker with other types of some calls, if `module` imports those.
pub(super) fn other_types(
    linker: &Linker<ModuleState>,
    module: &Module,
) -> wasmtime::Result<Option<Linker<ModuleState>>> {
    let imported = |name: &str, parameters: usize| {
        let is_it = |ty: &FuncType| ty.params().len() == parameters;
        module.imports().any(|import| {
            (import.module(), import.name()) == (MODULE, name)
                && matches!(import.ty(), ExternType::Func(ty) if is_it(&ty))
        })
    };
    let wanted = [
        imported("sock_accept", 2),
        imported("sock_recv_from", 7),
        imported("sock_getlocaladdr", 3),
        imported("sock_getpeeraddr", 3),
    ];
    if wanted == [false; 4] {
        return Ok(None);
    }
    let [accept, receive_from, local_address, peer_address] = wanted;
    let mut linker = linker.clone();
    linker.allow_shadowing(true);
    if accept {
        link!(linker, "sock_accept", plain_accept, fd, result);
    }
    if receive_from {
        link!(linker, "sock_recv_from", old_receive_from, fd, list, length, address, bits, size, out);
    }
    if local_address {
        link!(linker, "sock_getlocaladdr", local_address_in_one, fd, address, port);
    }
    if peer_address {
        link!(linker, "sock_getpeeraddr", peer_address_in_one, fd, address, port);
    }
    Ok(Some(linker))
}

type Number = wasmtime::Result<u32>;

impl Preview1 {
    fn socket(&mut self, fd: u32) -> Result<&mut Socket, Error> {
        Ok(&mut **self.table.socket(fd)?)
    }
}

async fn open(guest: &mut Preview1, memory: Memory<'_, '_>, family: u32, kind: u32, result: u32) -> Number {
    let outcome = async {
        let family = match family {
            INET4 => Family::V4,
            INET6 => Family::V6,
            _ => return Err(Errno::Afnosupport.into()),
        };
        let socket = match kind {
            DATAGRAM => Socket::datagram(&guest.network, family)?,
            STREAM => Socket::stream(&guest.network, family)?,
            _ => return Err(Errno::Inval.into()),
        };
        let fd = guest.add(socket)?;
        Ok(memory.write(GuestPtr::new(result), fd)?)
    };
    returned(outcome.await)
}

async fn bind(guest: &mut Preview1, memory: Memory<'_, '_>, fd: u32, address: u32, port: u32) -> Number {
    let outcome = async {
        let local = address::read(memory, address, port)?.ok_or(Errno::Afnosupport)?;
        Ok(guest.socket(fd)?.bind(local).await?)
    };
    returned(outcome.await)
}

async fn listen(guest: &mut Preview1, _memory: Memory<'_, '_>, fd: u32, backlog: u32) -> Number {
    let outcome = async { Ok(guest.socket(fd)?.listen(backlog).await?) };
    returned(outcome.await)
}

async fn plain_accept(guest: &mut Preview1, memory: Memory<'_, '_>, fd: u32, result: u32) -> Number {
    returned(accept(guest, memory, fd, 0, result).await)
}

/// Connects; to no address, it lets the peer of a datagram socket go.
async fn connect(guest: &mut Preview1, memory: Memory<'_, '_>, fd: u32, address: u32, port: u32) -> Number {
    let outcome = async {
        match address::read(memory, address, port)? {
            Some(remote) => guest.socket(fd)?.connect(remote).await,
            None => Ok(guest.socket(fd)?.disconnect()?),
        }
    };
    returned(outcome.await)
}

#[expect(clippy::too_many_arguments, reason = "the guest's own")]
async fn send_to(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    list: u32,
    length: u32,
    address: u32,
    port: u32,
    _bits: u32,
    size: u32,
) -> Number {
    let outcome = async {
        let socket = guest.socket(fd)?;
        let to = if address == 0 { None } else { address::read(memory, address, port)? };
        let pieces = Pieces::to_read(memory, GuestPtr::new((list, length)))?;
        let count = socket.send(memory, &pieces, to).await?;
        Ok(memory.write(GuestPtr::new(size), count)?)
    };
    returned(outcome.await)
}

/// Where and how a call says from whom something came.
#[derive(Clone, Copy)]
enum Sender {
    /// Address and port apart.
    Apart { address: u32, port: u32 },
    /// Both in one buffer.
    Together { address: u32 },
}

impl Sender {
    fn tell(self, memory: Memory<'_, '_>, from: SocketAddr) -> Result<(), Error> {
        match self {
            Sender::Apart { address: 0, .. } | Sender::Together { address: 0 } => Ok(()),
            Sender::Apart { address, port } => {
                address::write(memory, address, from)?;
                Ok(memory.write(GuestPtr::new(port), u32::from(from.port()))?)
            }
            Sender::Together { address } => address::write_with_port(memory, address, from),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the guest's own")]
async fn receive_from(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    list: u32,
    length: u32,
    address: u32,
    bits: u32,
    port: u32,
    size: u32,
    out: u32,
) -> Number {
    let results = Results { sender: Sender::Apart { address, port }, size, out };
    returned(receive(guest, memory, fd, (list, length), bits, results).await)
}

#[expect(clippy::too_many_arguments, reason = "the guest's own")]
async fn old_receive_from(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    list: u32,
    length: u32,
    address: u32,
    bits: u32,
    size: u32,
    out: u32,
) -> Number {
    let results = Results { sender: Sender::Together { address }, size, out };
    returned(receive(guest, memory, fd, (list, length), bits, results).await)
}

/// Where the guest wants what a call found.
struct Results {
    sender: Sender,
    size: u32,
    out: u32,
}

async fn receive(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    list: (u32, u32),
    bits: u32,
    results: Results,
) -> Result<(), Error> {
    let flags = flags(bits, Riflags::from_bits)?;
    let socket = guest.socket(fd)?;
    let pieces = Pieces::to_fill(memory, GuestPtr::new(list))?;
    let received = socket.receive(memory, &pieces, flags).await?;
    memory.write(GuestPtr::new(results.size), received.size()?)?;
    // The crate has four bytes for the flags and looks at all of them.
    memory.write(GuestPtr::new(results.out), u32::from(received.flags().bits()))?;
    match received.from {
        Some(from) => results.sender.tell(memory, from),
        None => Ok(()),
    }
}

async fn local_address(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    address: u32,
    family: u32,
    port: u32,
) -> Number {
    let told = guest.socket(fd).map(Socket::local_address);
    returned(told.and_then(|found| address::tell(memory, found, address, Some(family), port)))
}

async fn peer_address(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    address: u32,
    family: u32,
    port: u32,
) -> Number {
    let found = guest.socket(fd).and_then(|socket| Ok(socket.remote_address()?));
    returned(found.and_then(|found| address::tell(memory, found, address, Some(family), port)))
}

async fn local_address_in_one(
    guest: &mut Preview1,
    memory: Memory<'_, '_>,
    fd: u32,
    address: u32,
    port: u32,
) -> Number {
    let found = guest.socket(fd).map(Socket::local_address);
    returned(found.and_then(|found| address::tell(memory, found, address, None, port)))
}

async fn peer_address_in_one(guest: &mut Preview1, memory: Memory<'_, '_>, fd: u32, address: u32, port: u32) -> Number {
    let found = guest.socket(fd).and_then(|socket| Ok(socket.remote_address()?));
    returned(found.and_then(|found| address::tell(memory, found, address, None, port)))
}
