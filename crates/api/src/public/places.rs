//! Places for work that takes long: so many in all, and so many for each account.
//!
//! Whoever fills the places of their own account keeps nobody else waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_core::AccountNo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The places. Accounts that have and want none are forgotten, so it holds no more of them than there are requests.
pub(super) struct Places {
    all: Semaphore,
    of_each: usize,
    accounts: Mutex<HashMap<AccountNo, Account>>,
}

struct Account {
    places: Arc<Semaphore>,
    /// Those who have a place or wait for one.
    present: usize,
}

/// A place, until it is dropped.
pub(super) struct Place<'p> {
    _of_all: SemaphorePermit<'p>,
    _of_account: OwnedSemaphorePermit,
    _presence: Presence<'p>,
}

/// Keeps the account known.
struct Presence<'p> {
    places: &'p Places,
    account: AccountNo,
}

impl Places {
    /// So many places in all, and so many of them for each account.
    pub fn new(in_all: usize, of_each: usize) -> Self {
        Self { all: Semaphore::new(in_all), of_each, accounts: Mutex::default() }
    }

    /// A place for this account, waited for in order; `None` if the wait was too long.
    pub async fn wait(&self, account: AccountNo, patience: Duration) -> Option<Place<'_>> {
        let (presence, places) = self.enter(account);
        let taken = async {
            // First one's own: an account stands in line for the common places with no more than it may have.
            let of_account = places.acquire_owned().await.ok()?;
            let of_all = self.all.acquire().await.ok()?;
            Some((of_all, of_account))
        };
        let (of_all, of_account) = timeout(patience, taken).await.ok()??;
        Some(Place { _of_all: of_all, _of_account: of_account, _presence: presence })
    }

    /// A place for this account, if there is one now.
    pub fn take(&self, account: AccountNo) -> Option<Place<'_>> {
        let (presence, places) = self.enter(account);
        let of_account = places.try_acquire_owned().ok()?;
        let of_all = self.all.try_acquire().ok()?;
        Some(Place { _of_all: of_all, _of_account: of_account, _presence: presence })
    }

    fn enter(&self, account: AccountNo) -> (Presence<'_>, Arc<Semaphore>) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Account { places: Arc::new(Semaphore::new(self.of_each)), present: 0 };
        let known = accounts.entry(account).or_insert_with(unknown);
        known.present += 1;
        (Presence { places: self, account }, known.places.clone())
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        let mut accounts = self.places.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get_mut(&self.account) {
            known.present -= 1;
            if known.present == 0 {
                accounts.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    fn known(places: &Places) -> usize {
        places.accounts.lock().unwrap().len()
    }

    #[tokio::test]
    async fn an_account_that_has_its_places_leaves_the_others_theirs() {
        let places = Places::new(4, 2);
        let (greedy, other, third) = (AccountNo(1), AccountNo(2), AccountNo(3));
        let mut held = vec![places.take(greedy).unwrap(), places.wait(greedy, LONG).await.unwrap()];
        assert!(places.take(greedy).is_none());
        assert!(places.wait(greedy, SHORT).await.is_none());
        held.extend([places.take(other).unwrap(), places.wait(other, LONG).await.unwrap()]);
        assert!(places.take(third).is_none(), "all are taken");
        assert!(places.wait(third, SHORT).await.is_none());
        assert_eq!(known(&places), 2, "whoever left without a place is forgotten");
        drop(held);
        assert_eq!(known(&places), 0);
        assert!(places.take(third).is_some());
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_place_that_becomes_free() {
        let (places, account) = (Places::new(4, 1), AccountNo(1));
        let held = places.take(account).unwrap();
        let (waited, ()) = tokio::join!(places.wait(account, LONG), async { drop(held) });
        assert!(waited.is_some());
        drop(waited);
        assert_eq!(known(&places), 0);
    }
}
