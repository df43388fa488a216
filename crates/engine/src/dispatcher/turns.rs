//! Whose turn it is: accounts in turn, and within an account its webhooks in turn.

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
        let account = self.accounts.pop_front()?;
        let queue = self.webhooks.get_mut(&account)?;
        let webhook = queue.pop_front();
        if queue.is_empty() {
            self.webhooks.remove(&account);
        } else {
            self.accounts.push_back(account);
        }
        webhook
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
}
