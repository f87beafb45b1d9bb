//! What one guest has of the network: its handle, its ports, the names it looked up, and who is told of refusals.
//!
//! Only this module and [`asked`](crate::sockets::asked) ask the switchboard.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use capability::Refusal;
use client::RequestError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::descriptors::{Right, Share};
use crate::guest::GuestSpec;
use crate::limits::HostLimits;
use crate::sockets::asked::{Asked, Host, target};
use crate::sockets::denial::{Action, Denial, DenialCause, DenialReport};
use crate::sockets::fault::Fault;
use crate::sockets::names::{HostName, LOCALHOST, Name, NameMemory, World};
use crate::sockets::pending::{Pending, Tasks};
use crate::sockets::ports::{Door, Lease, Ports, Transport};
use crate::sockets::published::{self, Published};

/// The network of one guest. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Option<client::Handle>,
    application: Option<String>,
    reporter: Reporter,
    names: Arc<Mutex<NameMemory>>,
    ports: Ports,
    /// The registrations of ports, kept by the sockets that hold the ports.
    published: Mutex<HashMap<(Transport, u16), Weak<Published>>>,
    /// One permit for each socket that the guest may still have.
    slots: Arc<Semaphore>,
    max_sockets: usize,
    /// Where the sockets' descriptors come from.
    share: Share,
    /// Datagrams that wait to be read, of all sockets, in bytes.
    datagrams: DatagramBytes,
    /// What may be kept of what was written, in bytes.
    unsent_bytes: usize,
    tasks: Tasks,
}

/// The right to have one more socket. Whatever keeps a descriptor or a port alive has a clone; with the last it is given
/// back.
pub(crate) type Slot = Arc<Seat>;

/// One socket among those of its guest.
#[derive(Debug)]
pub(crate) struct Seat {
    permit: OwnedSemaphorePermit,
    _descriptor: Right,
    max_sockets: usize,
    unsent_bytes: usize,
}

impl Seat {
    /// What this socket may keep of what was written, in bytes: the fewer, the more sockets there are.
    pub(crate) fn unsent_bytes(&self) -> usize {
        let sockets = self.max_sockets.saturating_sub(self.permit.semaphore().available_permits());
        self.unsent_bytes / sockets.max(1)
    }
}

/// The datagrams of one guest that wait to be read. Clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct DatagramBytes {
    waiting: Arc<AtomicUsize>,
    max: usize,
}

impl DatagramBytes {
    pub(crate) fn new(max: usize) -> DatagramBytes {
        DatagramBytes { waiting: Arc::default(), max }
    }

    /// Whether there is room for any.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < self.max
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Tells of refusals.
#[derive(Clone, Debug)]
pub(crate) struct Reporter(Arc<dyn DenialReport>);

/// A local address that a socket has taken.
#[derive(Debug)]
pub(crate) struct Binding {
    lease: Lease,
    /// Keeps the port registered with the switchboard, if it is.
    _published: Option<Arc<Published>>,
}

impl Binding {
    /// The address, with the port that was found if any was asked for.
    pub(crate) fn local(&self) -> SocketAddr {
        self.lease.local()
    }

    /// Says who takes what arrives.
    pub(crate) fn open(&self, door: Door) {
        self.lease.open(door);
    }
}

impl Network {
    /// The network of a guest whose one-word names are services of `application`.
    pub(crate) fn new(
        handle: Option<client::Handle>,
        application: Option<String>,
        report: Arc<dyn DenialReport>,
        limits: &HostLimits,
        share: Share,
    ) -> Network {
        let max_sockets = limits.sockets.min(Semaphore::MAX_PERMITS);
        let shared = Shared {
            handle,
            application,
            reporter: Reporter(report),
            names: Arc::default(),
            ports: Ports::default(),
            published: Mutex::default(),
            slots: Arc::new(Semaphore::new(max_sockets)),
            max_sockets,
            share,
            datagrams: DatagramBytes::new(limits.datagram_bytes),
            unsent_bytes: limits.unsent_bytes,
            tasks: Tasks::default(),
        };
        Network { shared: Arc::new(shared) }
    }

    /// The network that a guest is given.
    pub(crate) fn of(spec: &GuestSpec, share: Share) -> Network {
        let (handle, application) = (spec.network.clone(), spec.application.clone());
        Network::new(handle, application, Arc::clone(&spec.report), &spec.host_limits, share)
    }

    /// The guest's tasks.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.shared.tasks
    }

    /// The guest's own ports.
    pub(crate) fn ports(&self) -> &Ports {
        &self.shared.ports
    }

    /// Lets what the guest has written go out.
    pub(crate) async fn finish(self) {
        self.shared.tasks.clone().finish().await;
    }

    /// Room for one more socket.
    ///
    /// # Errors
    ///
    /// [`Fault::NewSocketLimit`]: the guest has as many as it may.
    pub(crate) fn slot(&self) -> Result<Slot, Fault> {
        let Shared { slots, max_sockets, share, unsent_bytes, .. } = &*self.shared;
        let permit = Arc::clone(slots).try_acquire_owned().map_err(|_full| Fault::NewSocketLimit)?;
        let descriptor = share.take().ok_or(Fault::NewSocketLimit)?;
        let (max_sockets, unsent_bytes) = (*max_sockets, *unsent_bytes);
        Ok(Arc::new(Seat { permit, _descriptor: descriptor, max_sockets, unsent_bytes }))
    }

    /// The datagrams of all sockets that wait to be read.
    pub(crate) fn datagrams(&self) -> DatagramBytes {
        self.shared.datagrams.clone()
    }

    /// Takes a local address. A port that the guest names is registered with the switchboard, so that it can be reached
    /// from outside; on loopback it may also go without.
    ///
    /// # Errors
    ///
    /// The address is not of this guest's network, or taken, or nobody granted it.
    pub(crate) async fn bind(&self, transport: Transport, local: SocketAddr) -> Result<Binding, Fault> {
        if !local.ip().is_loopback() && !local.ip().is_unspecified() {
            return Err(Fault::AddressNotBindable);
        }
        let lease = self.shared.ports.lease(transport, local)?;
        let published = if local.port() == 0 { None } else { self.publish(transport, local).await? };
        Ok(Binding { lease, _published: published })
    }

    /// Takes any free port, which nobody outside can reach.
    ///
    /// # Errors
    ///
    /// [`Fault::AddressInUse`]: none is free.
    pub(crate) fn bind_any(&self, transport: Transport, ip: IpAddr) -> Result<Binding, Fault> {
        let lease = self.shared.ports.lease(transport, SocketAddr::new(ip, 0))?;
        Ok(Binding { lease, _published: None })
    }

    async fn publish(&self, transport: Transport, local: SocketAddr) -> Result<Option<Arc<Published>>, Fault> {
        let is_loopback = local.ip().is_loopback();
        let target = target(transport, &local.to_string());
        let Some(handle) = &self.shared.handle else {
            return if is_loopback { Ok(None) } else { Err(self.shared.reporter.no_network(Action::Bind, target)) };
        };
        let key = (transport, local.port());
        if let Some(published) = self.published(key) {
            return Ok(Some(published));
        }
        let labels = published::in_labels(transport, local.port()).map_err(|_not_canonical| Fault::InvalidArgument)?;
        let server = match handle.serve(&labels).await {
            Ok(server) => server,
            Err(RequestError::Refused(Refusal::Right { .. } | Refusal::Grant)) if is_loopback => return Ok(None),
            Err(error) => return Err(self.shared.reporter.failed(Action::Bind, &target, &error)),
        };
        // Another socket of the guest may have been quicker: then this second registration goes.
        if let Some(published) = self.published(key) {
            return Ok(Some(published));
        }
        let port = published::Port {
            ports: self.shared.ports.clone(),
            transport,
            number: local.port(),
            target,
            reporter: self.shared.reporter.clone(),
        };
        let published = Arc::new(Published::start(&self.shared.tasks, server, port));
        self.lock_published().insert(key, Arc::downgrade(&published));
        Ok(Some(published))
    }

    fn published(&self, key: (Transport, u16)) -> Option<Arc<Published>> {
        let mut published = self.lock_published();
        published.retain(|_, published| published.strong_count() > 0);
        published.get(&key)?.upgrade()
    }

    fn lock_published(&self) -> MutexGuard<'_, HashMap<(Transport, u16), Weak<Published>>> {
        self.shared.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a connection to an address. The answer's descriptor is connected to it, or to where a name that the
    /// address came from leads.
    pub(crate) fn connect(
        &self,
        transport: Transport,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<client::Connection, Fault>> + Send + 'static {
        let names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner).names_of(remote.ip());
        let (handle, reporter) = (self.shared.handle.clone(), self.shared.reporter.clone());
        let asked = Asked { transport, port: remote.port(), application: self.shared.application.clone() };
        async move {
            let Some(handle) = handle else {
                let host = names.first().map_or(Host::Address(remote.ip()), Host::Name);
                return Err(reporter.no_network(Action::Connect, asked.target(host)));
            };
            asked.connect(&handle, &reporter, &names, remote.ip()).await
        }
    }

    /// Looks a name up.
    ///
    /// # Errors
    ///
    /// The text is no name, or it needs no asking to know that there is no answer.
    pub(crate) fn lookup(&self, text: &str) -> Result<Lookup, Fault> {
        match Name::parse(text) {
            Name::Address(address) => Ok(Lookup::Known(vec![address])),
            Name::Localhost(_) => Ok(Lookup::Known(LOCALHOST.to_vec())),
            Name::Invalid => Err(Fault::InvalidArgument),
            Name::Host(name) => self.ask_for(name).map(Lookup::Asked),
        }
    }

    fn ask_for(&self, name: HostName) -> Result<Pending<Vec<IpAddr>>, Fault> {
        let Some(handle) = self.shared.handle.clone() else {
            return Err(self.shared.reporter.no_network(Action::Lookup, name.as_str().to_owned()));
        };
        let labels = name.labels(self.shared.application.as_deref())?;
        let (reporter, names) = (self.shared.reporter.clone(), Arc::clone(&self.shared.names));
        Ok(Pending::start(self.tasks(), async move {
            match handle.resolve_labels(&labels).await {
                Ok(addresses) => {
                    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                    // None is the answer for a service, which is reached by its name: the addresses are ours to give.
                    let is_service = addresses.is_empty() && name.world == World::Application;
                    let addresses = if is_service { names.service_addresses(&name).to_vec() } else { addresses };
                    addresses.iter().for_each(|address| names.remember(*address, &name));
                    Ok(addresses)
                }
                Err(RequestError::Refused(Refusal::NotFound)) => Err(Fault::NameUnresolvable),
                Err(error) => Err(reporter.failed(Action::Lookup, name.as_str(), &error)),
            }
        }))
    }
}

/// The answer to a lookup.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Known without asking.
    Known(Vec<IpAddr>),
    /// On its way.
    Asked(Pending<Vec<IpAddr>>),
}

impl Reporter {
    pub(crate) fn new(report: Arc<dyn DenialReport>) -> Reporter {
        Reporter(report)
    }

    pub(crate) fn tell(&self, denial: Denial) {
        self.0.denied(denial);
    }

    /// Refuses what a guest without a handle asks for, and tells of it.
    pub(crate) fn no_network(&self, action: Action, target: String) -> Fault {
        self.tell(Denial { action, target, cause: DenialCause::NoNetwork });
        Fault::AccessDenied
    }

    /// Tells of a failure if it is the sandbox's, and finds the guest's code for it. That a host is down is between the
    /// guest and its peer.
    pub(crate) fn failed(&self, action: Action, target: &str, error: &RequestError) -> Fault {
        let cause = match error {
            RequestError::Refused(Refusal::Unreachable { .. }) => None,
            RequestError::Refused(refusal) => Some(DenialCause::Refused(refusal.clone())),
            failure => Some(DenialCause::Failed { reason: failure.to_string() }),
        };
        if let Some(cause) = cause {
            self.tell(Denial { action, target: target.to_owned(), cause });
        }
        Fault::from(error)
    }
}
