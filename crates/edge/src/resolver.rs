//! Turns host names into addresses for the switchboard.
//!
//! Lookups answer with real addresses, whatever they are: where a name may lead is judged when it is dialled, by the
//! egress, on an answer of its own. A resolver never connects and knows nothing of handles, grants or the other edges.

use crate::calls::{self, Answer, CallLimits, ServeError};
use crate::names::Names;
use capability::{LabelKey, Labels, Refusal, UnreachableCause, keys};
use channel::Calls;
use protocol::message::Call;
use std::sync::Arc;
use std::time::Duration;

/// What bounds a resolver.
#[derive(Clone, Copy, Debug)]
pub struct ResolverLimits {
    /// Most lookups under way; one more is refused.
    pub lookups: usize,
    /// Most names asked for at once, a thread each; further lookups wait, and their time runs.
    pub questions: usize,
    /// How long a lookup may take.
    pub lookup_time: Duration,
}

impl Default for ResolverLimits {
    fn default() -> Self {
        Self { lookups: 512, questions: 64, lookup_time: Duration::from_secs(30) }
    }
}

/// Serves the lookups that come through `target`, until the switchboard closes it. Lookups under way are dropped then.
///
/// A lookup that hangs outlives this: end the runtime with
/// [`shutdown_background`](tokio::runtime::Runtime::shutdown_background).
///
/// # Authority
/// Asks the machine's name servers for whatever the switchboard says.
///
/// # Errors
/// See [`ServeError`].
pub async fn run(target: impl Calls, limits: ResolverLimits) -> Result<(), ServeError> {
    run_with(target, Names::ambient_system(limits.questions), limits).await
}

async fn run_with(target: impl Calls, names: Names, limits: ResolverLimits) -> Result<(), ServeError> {
    let names = Arc::new(names);
    let call_limits =
        CallLimits { at_once: limits.lookups, time: limits.lookup_time, out_of_time: UnreachableCause::NameTemporary };
    calls::serve(target, call_limits, move |call| match call {
        Call::Lookup { id, labels } => {
            let names = Arc::clone(&names);
            Some((id, async move { answer(&names, &labels).await }))
        }
        _ => None,
    })
    .await
}

async fn answer(names: &Names, labels: &Labels) -> Answer {
    let Some(name) = labels.get(keys::SERVER_HOSTNAME) else {
        let keys = LabelKey::new(keys::SERVER_HOSTNAME).into_iter().collect();
        return Answer::Failed(Refusal::Label { keys }.into());
    };
    match names.lookup(name).await {
        Ok(addresses) => Answer::Addresses(addresses),
        Err(failure) => Answer::Failed(failure),
    }
}

#[cfg(test)]
mod tests;
