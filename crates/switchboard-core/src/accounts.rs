//! Who has taken how much: a tree of accounts in which whatever a handle takes is charged to all handles above it too.

use crate::limits::{Allowance, Resource};
use crate::slab::Slab;
use capability::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountId(usize);

/// An account lives while anything is charged to it: a target may outlive the handle it was registered through.
#[derive(Debug)]
struct Account {
    above: Option<AccountId>,
    may: Allowance,
    used: Allowance,
}

#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: Slab<Account>,
    /// The account above all others: it holds the totals and is never closed.
    top: AccountId,
}

impl Accounts {
    pub(crate) fn new(total: Allowance) -> Self {
        let mut accounts = Slab::new();
        let top = AccountId(accounts.insert(Account { above: None, may: total, used: Allowance::default() }));
        Self { accounts, top }
    }

    pub(crate) fn top(&self) -> AccountId {
        self.top
    }

    /// Opens an account below `above` for a new handle, which is the first thing charged to it.
    ///
    /// # Errors
    /// [`Refusal::Limit`] if there are too many handles.
    pub(crate) fn open(&mut self, above: AccountId, may: Allowance) -> Result<AccountId, Refusal> {
        let account = AccountId(self.accounts.insert(Account { above: Some(above), may, used: Allowance::default() }));
        match self.charge(account, Resource::Handles) {
            Ok(()) => Ok(account),
            Err(refusal) => {
                self.accounts.remove(account.0);
                Err(refusal)
            }
        }
    }

    /// What an account below this one may take.
    pub(crate) fn share_of(&self, account: AccountId) -> Allowance {
        self.accounts.get(account.0).map(|account| account.may.of_child()).unwrap_or_default()
    }

    /// Takes one of `resource` for `account`.
    ///
    /// # Errors
    /// [`Refusal::Limit`] if it, or any account above it, has taken all it may. Then nothing is taken.
    pub(crate) fn charge(&mut self, account: AccountId, resource: Resource) -> Result<(), Refusal> {
        let full = |account: &mut Account| *account.used.of(resource) >= *account.may.of(resource);
        if self.any_upwards(account, full) {
            return Err(Refusal::Limit { limit: resource.limit() });
        }
        self.any_upwards(account, |account| {
            *account.used.of(resource) += 1;
            false
        });
        Ok(())
    }

    /// Gives one back that [`Accounts::charge`] took.
    pub(crate) fn release(&mut self, account: AccountId, resource: Resource) {
        let mut next = Some(account);
        while let Some(id) = next {
            let Some(account) = self.accounts.get_mut(id.0) else {
                return;
            };
            next = account.above;
            let used = account.used.of(resource);
            *used = used.saturating_sub(1);
            if account.used == Allowance::default() && next.is_some() {
                self.accounts.remove(id.0);
            }
        }
    }

    /// What all accounts together have taken.
    pub(crate) fn used(&self) -> Allowance {
        self.accounts.get(self.top.0).map(|account| account.used).unwrap_or_default()
    }

    fn any_upwards(&mut self, from: AccountId, mut is: impl FnMut(&mut Account) -> bool) -> bool {
        let mut next = Some(from);
        while let Some(account) = next.and_then(|id| self.accounts.get_mut(id.0)) {
            if is(account) {
                return true;
            }
            next = account.above;
        }
        false
    }
}
