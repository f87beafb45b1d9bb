//! Which services there are to be reached by name: those of which some server is registered.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use capability::{Labels, keys};

/// The network that a service is in, and its name there.
type Service = (String, String);

/// How many servers each service has.
#[derive(Debug)]
pub(super) struct Services(BTreeMap<Service, u32>);

impl Services {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether the labels name a service that has a server.
    pub(super) fn have(&self, labels: &Labels) -> bool {
        service_of(labels).is_some_and(|service| self.0.contains_key(&service))
    }

    /// A server with these labels is there.
    pub(super) fn add(&mut self, labels: &Labels) {
        if let Some(service) = service_of(labels) {
            *self.0.entry(service).or_insert(0) += 1;
        }
    }

    /// A server with these labels is gone.
    pub(super) fn remove(&mut self, labels: &Labels) {
        let Some(service) = service_of(labels) else { return };
        let Some(servers) = self.0.get_mut(&service) else { return };
        *servers -= 1;
        if *servers == 0 {
            self.0.remove(&service);
        }
    }
}

fn service_of(labels: &Labels) -> Option<Service> {
    Some((labels.get(keys::NETWORK)?.to_owned(), labels.get(keys::SERVER_HOSTNAME)?.to_owned()))
}
