//! What a handle holds, and the one function that makes a weaker handle of it (rule 2: constrain only shrinks).

use crate::grant::Grant;
use crate::keys;
use crate::labels::{LabelKey, Labels};
use crate::refusal::{LimitKind, Refusal};
use crate::right::{Right, Rights};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Most layers of grants on one handle: each constrain adds at most one.
pub const MAX_GRANT_LAYERS: usize = 16;
/// Most grants in one layer.
pub const MAX_GRANTS_PER_LAYER: usize = 256;

/// What a handle holds. There is no way to change one, and only [`Capability::constrain`] to make another of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    rights: Rights,
    in_labels: Labels,
    out_labels: Labels,
    /// A request must be covered by some grant in every layer. Shared, because a handle is constrained often and the
    /// layers below never change.
    layers: Vec<Arc<[Grant]>>,
}

/// How to weaken a [`Capability`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    /// The rights to keep.
    pub rights: Rights,
    /// In-labels to add.
    pub in_labels: Labels,
    /// Out-labels to add.
    pub out_labels: Labels,
    /// A further layer of grants. `Some` of an empty list covers nothing.
    pub grants: Option<Vec<Grant>>,
}

impl Capability {
    /// The strongest capability: every right, no label, no grant layer.
    ///
    /// # Authority
    /// Everything the switchboard can do. For the program that starts a switchboard, which hands out weaker ones.
    #[must_use]
    pub fn root() -> Self {
        Self { rights: Rights::ALL, in_labels: Labels::new(), out_labels: Labels::new(), layers: Vec::new() }
    }

    /// The rights.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The labels of whatever registers through the handle.
    #[must_use]
    pub fn in_labels(&self) -> &Labels {
        &self.in_labels
    }

    /// The labels of whatever reaches out through the handle.
    #[must_use]
    pub fn out_labels(&self) -> &Labels {
        &self.out_labels
    }

    /// The layers of grants, oldest first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &[Grant]> {
        self.layers.iter().map(AsRef::as_ref)
    }

    /// Whether it may say who a client is: it has no grant layers. So it speaks for several clients, and everything made
    /// from one that may not speaks for the same client.
    #[must_use]
    pub fn may_name_clients(&self) -> bool {
        self.layers.is_empty()
    }

    /// A weaker capability: fewer rights, more labels, a further layer of grants.
    ///
    /// Who a client is ([`keys::SOURCE`]) may be stamped only through a handle without grant layers: a guest's handle
    /// has one, so a guest cannot make itself look like somebody else, not even where its own labels are silent.
    ///
    /// # Errors
    /// [`Refusal::Right`] if a right is asked for that this one does not hold, [`Refusal::Label`] if a label would
    /// change or may not be stamped, [`Refusal::Limit`] if there would be too many labels or grants.
    pub fn constrain(&self, constraint: &Constraint) -> Result<Self, Refusal> {
        if let Some(right) = constraint.rights.beyond(self.rights).iter().next() {
            return Err(Refusal::Right { right });
        }
        if !self.may_name_clients() {
            refuse_stamps(&self.in_labels, &constraint.in_labels)?;
            refuse_stamps(&self.out_labels, &constraint.out_labels)?;
        }
        let in_labels = self.in_labels.merge(&constraint.in_labels)?;
        let out_labels = self.out_labels.merge(&constraint.out_labels)?;
        let mut layers = self.layers.clone();
        if let Some(grants) = &constraint.grants {
            // The same layer twice says nothing new; leaving it out keeps a handle that is passed on and on small.
            if !layers.iter().any(|layer| **layer == **grants) {
                layers.push(grants.as_slice().into());
            }
            if grants.len() > MAX_GRANTS_PER_LAYER || layers.len() > MAX_GRANT_LAYERS {
                return Err(Refusal::Limit { limit: LimitKind::Grants });
            }
        }
        Ok(Self { rights: constraint.rights, in_labels, out_labels, layers })
    }

    /// Whether the right is held.
    ///
    /// # Errors
    /// [`Refusal::Right`] if not.
    pub(crate) fn hold(&self, right: Right) -> Result<(), Refusal> {
        if self.rights.contain(right) { Ok(()) } else { Err(Refusal::Right { right }) }
    }
}

/// Refuses to add labels that say who a client is. One that is there already with the same value is not added.
fn refuse_stamps(own: &Labels, added: &Labels) -> Result<(), Refusal> {
    let held = |key: &&&str| own.get(key).is_some_and(|value| added.get(key) == Some(value));
    let forbidden: Vec<&str> = keys::SOURCE.iter().filter(|key| !held(key)).copied().collect();
    refuse_keys(added, &forbidden)
}

/// Refuses `labels` if they set any of `forbidden`, naming those.
pub(crate) fn refuse_keys(labels: &Labels, forbidden: &[&str]) -> Result<(), Refusal> {
    let keys: Vec<LabelKey> = labels.keys().filter(|key| forbidden.contains(&key.as_str())).cloned().collect();
    if keys.is_empty() { Ok(()) } else { Err(Refusal::Label { keys }) }
}
