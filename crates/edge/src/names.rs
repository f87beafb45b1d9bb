//! Which host names are asked for at all, of whom, and what of an answer is kept.
//!
//! [`Names::lookup`] is the one place in the edges where a name becomes addresses; the egress and the resolver both come
//! here, so they cannot disagree. It never judges where a name leads: whoever uses the addresses does (rule 7).
//!
//! Real names go to the system's resolver, which knows `/etc/hosts`, the search list and the name servers of the
//! machine. Two kinds of name never get there:
//!
//! * `localhost` and the names below it are loopback (RFC 6761, section 6.3);
//! * a name that ends in a number is an IPv4 address in disguise (`127.1`, `10.0x1`): the C library would read it as
//!   one, and an address has labels and grants of its own.
//!
//! A name without a dot is a service of an application, and comes here only if a dot at its end forced it (rule 7): then
//! it is asked for with that dot, which keeps the C library from trying it with the machine's search list.

use capability::{LimitKind, Refusal, UnreachableCause};
use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use protocol::message::Failure;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Most addresses kept of one answer, so that it fits a message whatever a name server sends.
const MAX_ADDRESSES: usize = 64;

/// The addresses of a host name, best first and never none, or why there are none.
pub(crate) type Answer = Result<Vec<IpAddr>, Failure>;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Turns host names into addresses.
pub(crate) struct Names {
    /// Asks for a name that is a real host name.
    ask: Box<dyn Fn(String) -> Answering + Send + Sync>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Names {
    /// The names that the system's resolver knows, at most `at_once` of them asked for at a time; the others wait.
    ///
    /// A question blocks a thread, and one that nobody answers cannot be called off: its thread, and its place among
    /// the `at_once`, are taken until the C library gives up. Whoever must end before that ends the runtime by
    /// [`shutdown_background`](tokio::runtime::Runtime::shutdown_background).
    ///
    /// # Authority
    /// The machine's name servers, for as long as the value lives.
    pub(crate) fn ambient_system(at_once: usize) -> Self {
        Self::asked_on_threads(at_once, ask_system)
    }

    /// The names that `ask` knows, which blocks.
    fn asked_on_threads(at_once: usize, ask: fn(&str) -> Answer) -> Self {
        let slots = Arc::new(Semaphore::new(at_once));
        Self::answered_by(move |name| {
            let slots = Arc::clone(&slots);
            async move {
                let Ok(slot) = slots.acquire_owned().await else {
                    return Err(Failure::Fault);
                };
                let asking = spawn_blocking(move || {
                    let answer = ask(&name);
                    // Not before: an asker that went away leaves its question running.
                    drop(slot);
                    answer
                });
                asking.await.unwrap_or(Err(Failure::Fault))
            }
        })
    }

    /// The names that `ask` knows.
    pub(crate) fn answered_by<Asking>(ask: impl Fn(String) -> Asking + Send + Sync + 'static) -> Self
    where
        Asking: Future<Output = Answer> + Send + 'static,
    {
        Self { ask: Box::new(move |name| Box::pin(ask(name))) }
    }

    /// The addresses of `name`, which is in the canonical form of the label `server_hostname`.
    ///
    /// # Errors
    /// [`UnreachableCause::NameNotFound`], [`UnreachableCause::NameTemporary`] or [`UnreachableCause::NamePermanent`],
    /// [`LimitKind::Descriptors`] if there was none left to ask with, [`Failure::Fault`] if asking itself broke.
    pub(crate) async fn lookup(&self, name: &str) -> Answer {
        match NameKind::of(name) {
            NameKind::Loopback => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            NameKind::NoHost => Err(unreachable(UnreachableCause::NameNotFound)),
            NameKind::Host => keep((self.ask)(name.to_owned()).await?),
            NameKind::SingleWord => keep((self.ask)(format!("{name}.")).await?),
        }
    }
}

/// What is done about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameKind {
    /// Loopback, without asking anybody.
    Loopback,
    /// Does not exist, without asking anybody.
    NoHost,
    /// The system's resolver is asked.
    Host,
    /// The system's resolver is asked, for this word and nothing longer.
    SingleWord,
}

impl NameKind {
    fn of(name: &str) -> Self {
        let (rest, last) = match name.rsplit_once('.') {
            Some((rest, last)) => (Some(rest), last),
            None => (None, name),
        };
        if last.eq_ignore_ascii_case("localhost") {
            Self::Loopback
        } else if is_number(last) {
            Self::NoHost
        } else if rest.is_none() {
            Self::SingleWord
        } else {
            Self::Host
        }
    }
}

/// Whether the C library may read this part of a name as a number: decimal, octal or hexadecimal.
fn is_number(part: &str) -> bool {
    let is_decimal = part.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
    is_decimal || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Each address once, in the order given, IPv4 as IPv4.
fn keep(addresses: Vec<IpAddr>) -> Answer {
    let mut seen = BTreeSet::new();
    let kept: Vec<IpAddr> = addresses
        .into_iter()
        .map(|address| address.to_canonical())
        .filter(|address| seen.insert(*address))
        .take(MAX_ADDRESSES)
        .collect();
    if kept.is_empty() { Err(unreachable(UnreachableCause::NameNotFound)) } else { Ok(kept) }
}

/// Blocks until the system's resolver has answered.
fn ask_system(name: &str) -> Answer {
    // Of the socket types only one, or every address would come once for each.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    match getaddrinfo(Some(name), None, Some(hints)) {
        // An entry that cannot be read is of a family that has no labels.
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.sockaddr.ip()).collect()),
        Err(error) => {
            tracing::debug!(name, %error, "lookup failed");
            Err(lookup_failure(error))
        }
    }
}

/// What the codes of `getaddrinfo` mean. The C library reports `SERVFAIL` and silence alike as "try again".
fn lookup_failure(error: LookupError) -> Failure {
    let cause = match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => UnreachableCause::NameNotFound,
        LookupErrorKind::Again | LookupErrorKind::Memory => UnreachableCause::NameTemporary,
        LookupErrorKind::System => return system_failure(&error.into()),
        _ => UnreachableCause::NamePermanent,
    };
    unreachable(cause)
}

fn system_failure(error: &io::Error) -> Failure {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Failure::Refused(Refusal::Limit { limit: LimitKind::Descriptors }),
        _ => unreachable(UnreachableCause::NameTemporary),
    }
}

fn unreachable(cause: UnreachableCause) -> Failure {
    Failure::Refused(Refusal::Unreachable { cause })
}

#[cfg(test)]
mod tests;
