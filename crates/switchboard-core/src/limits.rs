//! How much of the switchboard one handle may take, with everything made through it (rule 9).

use capability::LimitKind;

/// The bounds of a switchboard. Set by the program that starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What all handles together may take.
    pub total: Allowance,
    /// What one handle of [`Switchboard::open`](crate::Switchboard::open) may take, with everything made through it.
    /// A handle made by constraining gets [`Allowance::of_child`] of its parent's, and takes from the parent's too.
    pub opened: Allowance,
    /// Requests of one handle that wait for their answer. Default 1,024: a guest may open some hundred connections at
    /// once, and each costs its labels (10 KiB at most) until it is answered.
    pub requests_per_handle: u32,
}

impl Default for Limits {
    /// An eighth to a half of the total for each opened handle: one of them cannot shut out the others.
    fn default() -> Self {
        Self {
            total: Allowance { handles: 16_384, targets: 131_072, key_sets: 256, watches: 256, requests: 65_536 },
            opened: Allowance { handles: 4_096, targets: 65_536, key_sets: 128, watches: 64, requests: 16_384 },
            requests_per_handle: 1_024,
        }
    }
}

/// A number of each thing that a switchboard keeps for its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Open handles, this one among them: a descriptor each.
    pub handles: u32,
    /// Registered targets: a descriptor and their labels each (10 KiB at most).
    pub targets: u32,
    /// Sets of label keys that no target had before. A decision looks at each once, which costs some nanoseconds.
    pub key_sets: u32,
    /// Open watch channels: a descriptor each. A decision is compared with each, which costs some ten nanoseconds.
    pub watches: u32,
    /// Requests that wait for their answer: their labels each (10 KiB at most).
    pub requests: u32,
}

/// What there is a number of in an [`Allowance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Handles,
    Targets,
    KeySets,
    Watches,
    Requests,
}

impl Resource {
    /// What a refusal says. A watch channel is to its holder one more descriptor at the switchboard, as a handle is.
    pub(crate) fn limit(self) -> LimitKind {
        match self {
            Self::Handles | Self::Watches => LimitKind::Handles,
            Self::Targets => LimitKind::Targets,
            Self::KeySets => LimitKind::KeySets,
            Self::Requests => LimitKind::Requests,
        }
    }
}

impl Allowance {
    /// What a handle gets that was made by constraining one with this allowance: a quarter of each, and at least one.
    ///
    /// So no guest can take all that its parent holds for several guests, and no chain of handles is longer than eight.
    #[must_use]
    pub fn of_child(&self) -> Self {
        let quarter = |amount: u32| (amount / 4).max(1);
        Self {
            handles: quarter(self.handles),
            targets: quarter(self.targets),
            key_sets: quarter(self.key_sets),
            watches: quarter(self.watches),
            requests: quarter(self.requests),
        }
    }

    pub(crate) fn of(&mut self, resource: Resource) -> &mut u32 {
        match resource {
            Resource::Handles => &mut self.handles,
            Resource::Targets => &mut self.targets,
            Resource::KeySets => &mut self.key_sets,
            Resource::Watches => &mut self.watches,
            Resource::Requests => &mut self.requests,
        }
    }
}
