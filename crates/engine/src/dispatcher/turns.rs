//! Whose turn it is: accounts in turn, and within an account its webhooks in turn.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use posthaste_core::{AccountNo, WebhookNo};

/// A fair queue of lanes that have something to start.
#[derive(Default)]
pub struct Turns {
    accounts: VecDeque<AccountNo>,
    webhooks: HashMap<AccountNo, VecDeque<WebhookNo>>,
}

impl Turns {
    /// Puts a webhook at the end of its account's queue. The caller makes sure that it is not in it already.
    pub fn join(&mut self, account: AccountNo, webhook: WebhookNo) {
        let queue = self.webhooks.entry(account).or_default();
        if queue.is_empty() {
            self.accounts.push_back(account);
        }
        queue.push_back(webhook);
    }

    /// Takes out the webhook whose turn it is; its account goes to the end.
    pub fn next(&mut self) -> Option<WebhookNo> {
        self.take(0)
    }

    /// Takes out the first webhook whose account comes before others and that may have its turn. An account whose
    /// webhook may not is passed over and keeps its place.
    pub fn next_that(&mut self, may: impl Fn(WebhookNo) -> bool) -> Option<WebhookNo> {
        self.take(self.first_that(may)?)
    }

    fn take(&mut self, place: usize) -> Option<WebhookNo> {
        let account = self.accounts.remove(place)?;
        let Entry::Occupied(mut queue) = self.webhooks.entry(account) else { return None };
        let webhook = queue.get_mut().pop_front();
        if queue.get().is_empty() {
            queue.remove();
        } else {
            self.accounts.push_back(account);
        }
        webhook
    }

    /// Is there a webhook that may have its turn?
    pub fn has_one_that(&self, may: impl Fn(WebhookNo) -> bool) -> bool {
        self.first_that(may).is_some()
    }

    fn first_that(&self, may: impl Fn(WebhookNo) -> bool) -> Option<usize> {
        let first_of = |account: &AccountNo| self.webhooks.get(account)?.front().copied();
        self.accounts.iter().position(|account| first_of(account).is_some_and(&may))
    }

    /// Does no webhook wait for a turn?
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_many_webhooks_gets_no_more_turns_than_one_with_one() {
        let mut turns = Turns::default();
        for webhook in 0..3 {
            turns.join(AccountNo(1), WebhookNo(webhook));
        }
        turns.join(AccountNo(2), WebhookNo(9));
        let order: Vec<i64> = std::iter::from_fn(|| turns.next()).map(|webhook| webhook.0).collect();
        assert_eq!(order, [0, 9, 1, 2]);
        assert!(turns.is_empty());
    }
    #[test]
    fn an_account_that_may_not_have_its_turn_is_passed_over_and_keeps_its_place() {
        let mut turns = Turns::default();
        for no in 1..=3 {
            turns.join(AccountNo(no), WebhookNo(no));
        }
        let but_first = |webhook: WebhookNo| webhook.0 != 1;
        assert_eq!(turns.next_that(but_first), Some(WebhookNo(2)));
        assert_eq!(turns.next_that(but_first), Some(WebhookNo(3)));
        assert!(!turns.has_one_that(but_first) && turns.next_that(but_first).is_none());
        assert_eq!(turns.next(), Some(WebhookNo(1)));
    }
}
