//! The judgement on one request, and the proof of it.

use crate::address::{AddressScope, Cidr};
use crate::constrain::{Capability, refuse_keys};
use crate::keys;
use crate::labels::{LabelKey, Labels};
use crate::refusal::Refusal;
use crate::right::{ClientConnect, Lookup, Right, RightKind, Side};
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// Proof that a handle may make one request by the right `R`. Only [`Capability::permit`] and
/// [`Capability::permit_lookup`] make one. The proof of a lookup is [`Lookup`] rather than [`ClientConnect`]: it says
/// nothing about ports, so nobody may connect by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit<R> {
    labels: Labels,
    scope: AddressScope,
    right: PhantomData<R>,
}

impl<R> Permit<R> {
    /// The labels of the handle and of the request together: what the request stands for.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Where the host name in the labels may lead; of no meaning without one.
    #[must_use]
    pub fn scope(&self) -> &AddressScope {
        &self.scope
    }
}

impl Capability {
    /// Judges a request by the right `R` that carries `labels`: the right is held, the labels merge with those of the
    /// handle, and some grant in every layer covers the union.
    ///
    /// # Errors
    /// The [`Refusal`] that says which of the three it was.
    pub fn permit<R: RightKind>(&self, labels: &Labels) -> Result<Permit<R>, Refusal> {
        let labels = self.request_set::<R>(labels)?;
        if self.layers().all(|layer| layer.iter().any(|grant| grant.covers(R::RIGHT, &labels))) {
            let scope = self.scope(R::RIGHT, &labels);
            Ok(Permit { labels, scope, right: PhantomData })
        } else {
            Err(Refusal::Grant)
        }
    }

    /// Judges a lookup of the host name in `labels`: it takes [`Right::ClientConnect`], and in every layer a grant to
    /// connect by that name, at whatever port. A question to a name server is a message to whoever runs it, so a name
    /// that nobody granted is not asked for.
    ///
    /// # Errors
    /// As [`Capability::permit`]; [`Refusal::Label`] naming [`keys::SERVER_HOSTNAME`] if there is no host name.
    pub fn permit_lookup(&self, labels: &Labels) -> Result<Permit<Lookup>, Refusal> {
        let labels = self.request_set::<ClientConnect>(labels)?;
        if labels.get(keys::SERVER_HOSTNAME).is_none() {
            return Err(Refusal::Label { keys: vec![LabelKey::reserved(keys::SERVER_HOSTNAME)] });
        }
        if self.layers().all(|layer| layer.iter().any(|grant| grant.covers_lookup(&labels))) {
            Ok(Permit { labels, scope: AddressScope::default(), right: PhantomData })
        } else {
            Err(Refusal::Grant)
        }
    }

    fn request_set<R: RightKind>(&self, labels: &Labels) -> Result<Labels, Refusal> {
        self.hold(R::RIGHT)?;
        if R::RIGHT != Right::IngressConnect {
            refuse_keys(labels, &keys::SOURCE)?;
        }
        let own = match R::SIDE {
            Side::In => self.in_labels(),
            Side::Out => self.out_labels(),
        };
        Ok(own.merge(labels)?)
    }

    /// The scope of the host name in `labels`. A layer in which a grant marked private covers the name sets no limit.
    fn scope(&self, right: Right, labels: &Labels) -> AddressScope {
        if labels.get(keys::SERVER_HOSTNAME).is_none() {
            return AddressScope::default();
        }
        let without_name = labels.without(keys::SERVER_HOSTNAME).without(keys::SERVER_ADDRESS);
        let limits =
            self.layers().filter(|layer| !layer.iter().any(|grant| grant.is_private() && grant.covers(right, labels)));
        let ranges = |layer: &[crate::Grant]| -> Vec<Cidr> {
            layer.iter().flat_map(|grant| grant.addresses_for(right, &without_name)).collect()
        };
        AddressScope::new(limits.map(ranges).collect())
    }
}
