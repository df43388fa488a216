//! Webhooks to which nothing new is sent: switched off or deleted.

use std::collections::BTreeSet;

use posthaste_core::delivery::reasons;
use posthaste_core::{AccountNo, Seq, UnixMs, Webhook, WebhookNo, WebhookState};
use rusqlite::{Connection, OptionalExtension, params};

use super::checks::{ACCOUNTS, WEBHOOKS};
use super::trouble::{Outcome, Trouble};
use super::{Ledger, webhooks};
use crate::error::Refusal;

/// Why nothing new is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It was switched off.
    Disabled,
    /// It was deleted, and this was the latest event then.
    Deleted(Seq),
    /// It was off already when it was deleted.
    DeletedWhileOff(Seq),
    /// It was deleted together with its account.
    WithAccount(Seq),
}

impl Closing {
    /// Why its pending deliveries end; `None` if they are carried to their own end.
    pub fn reason(self, drop_queued_of_deleted: bool) -> Option<&'static str> {
        match self {
            Self::Disabled | Self::DeletedWhileOff(_) => Some(reasons::WEBHOOK_DISABLED),
            Self::Deleted(_) => drop_queued_of_deleted.then_some(reasons::WEBHOOK_DELETED),
            Self::WithAccount(_) => Some(reasons::WEBHOOK_DELETED),
        }
    }

    pub fn deleted_at(self) -> Option<Seq> {
        match self {
            Self::Disabled => None,
            Self::Deleted(seq) | Self::DeletedWhileOff(seq) | Self::WithAccount(seq) => Some(seq),
        }
    }
}

/// Whether a webhook was switched off, or deleted after which event.
pub(super) struct End {
    no: WebhookNo,
    state: WebhookState,
    deleted: Option<Seq>,
    is_account_deleted: bool,
}

impl End {
    fn of(webhook: &Webhook) -> Self {
        let Webhook { no, state, is_account_deleted, .. } = *webhook;
        Self { no, state, deleted: webhook.deleted.map(|(_, seq)| seq), is_account_deleted }
    }

    fn closing(&self) -> Option<Closing> {
        match (self.deleted, self.state) {
            (Some(seq), _) if self.is_account_deleted => Some(Closing::WithAccount(seq)),
            (Some(seq), WebhookState::Disabled) => Some(Closing::DeletedWhileOff(seq)),
            (Some(seq), _) => Some(Closing::Deleted(seq)),
            (None, WebhookState::Disabled) => Some(Closing::Disabled),
            (None, _) => None,
        }
    }
}

/// Of the webhooks that deliveries may be owed to those that were switched off or deleted, without unsealing anything.
pub(super) fn ends_owed(conn: &Connection, checkpoint: Seq) -> Outcome<Vec<End>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT w.no, w.state, w.deleted_seq, a.deleted_ms IS NOT NULL
         FROM webhooks w JOIN accounts a ON a.no = w.account JOIN standings s ON s.webhook = w.no
         WHERE (w.state = ?2 OR w.deleted_ms IS NOT NULL) AND {} AND {} AND {}",
        webhooks::OWED,
        WEBHOOKS.is_sound(),
        ACCOUNTS.is_sound()
    ))?;
    let mut rows = statement.query(params![checkpoint.0, WebhookState::Disabled.word()])?;
    let mut ends = Vec::new();
    while let Some(row) = rows.next()? {
        let state = WebhookState::from_word(&row.get::<_, String>(1)?);
        let (no, deleted) = (WebhookNo(row.get(0)?), row.get::<_, Option<i64>>(2)?.map(Seq));
        let is_account_deleted = row.get(3)?;
        ends.extend(state.map(|state| End { no, state, deleted, is_account_deleted }));
    }
    Ok(ends)
}

impl Ledger {
    /// Remembers which of these webhooks have rows that must be ended.
    pub(super) fn note_closing(&mut self, webhooks: &[Webhook]) {
        self.note_ends(webhooks.iter().map(End::of));
    }

    pub(super) fn note_ends(&mut self, ends: impl IntoIterator<Item = End>) {
        for end in ends {
            match end.closing() {
                Some(closing) => self.closing.insert(end.no, closing),
                None => self.closing.remove(&end.no),
            };
        }
    }

    /// Deletes a webhook whose row is damaged. Nobody knows what it says, so nothing more is sent for it.
    pub(super) fn end_damaged_webhook(&mut self, no: WebhookNo, now: UnixMs) -> Outcome<(String, String)> {
        let off = WebhookState::Disabled.word();
        let ids = self
            .conn
            .prepare_cached(
                "UPDATE webhooks SET state = ?2, deleted_ms = ?3, deleted_seq = ?4
                 WHERE no = ?1 AND deleted_ms IS NULL
                 RETURNING coalesce((SELECT CAST(id AS TEXT) FROM accounts WHERE no = account), ''),
                     CAST(id AS TEXT)",
            )?
            .query_row(params![no.0, off, now.0, self.last_event.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        WEBHOOKS.stamp(&self.conn, no.0)?;
        self.closing.insert(no, Closing::DeletedWhileOff(self.last_event));
        self.effects.left.push(no);
        self.effects.nudged.push(no);
        ids.ok_or_else(|| Refusal::NotFound.into())
    }

    /// Deletes the webhooks of an account that is deleted, and tells of those that were deleted before and are still sent to.
    pub(super) fn delete_webhooks_of(&mut self, account: AccountNo, now: UnixMs) -> Outcome<()> {
        let found: Vec<(i64, bool)> = self
            .conn
            .prepare_cached("SELECT no, deleted_ms IS NULL FROM webhooks WHERE account = ?1")?
            .query_map([account.0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let changed: BTreeSet<WebhookNo> = self.effects.changed.iter().map(|webhook| webhook.no).collect();
        for (no, is_live) in found {
            let no = WebhookNo(no);
            if is_live {
                self.end_webhook(no, now)?;
            } else if changed.contains(&no) || self.closing.contains_key(&no) {
                self.tell_again(no)?;
            }
        }
        Ok(())
    }

    /// Tells of a deleted webhook as it is now. Nothing more is sent for one that is damaged.
    fn tell_again(&mut self, no: WebhookNo) -> Outcome<()> {
        match webhooks::by_no(&self.conn, &self.vault, no) {
            Err(Trouble::Damaged(what)) => {
                tracing::warn!(what, "an account is deleted and a webhook of it is damaged");
                self.closing.insert(no, Closing::WithAccount(self.last_event));
                self.effects.left.push(no);
                self.effects.nudged.push(no);
            }
            found => found?.into_iter().for_each(|webhook| self.note_changed(webhook)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use posthaste_core::{Secret, Subscription};

    use super::*;
    use crate::change::{NewAccount, NewWebhook, WebhookLimits, WebhookPatch};
    use crate::embedded::opening;
    use crate::folder::Folder;
    use crate::sealing::MasterKey;

    fn webhook(ledger: &mut Ledger, account: AccountNo, id: &str) -> WebhookNo {
        let new = NewWebhook {
            id: id.to_owned(),
            account,
            key: None,
            url: format!("https://{id}.example/"),
            canonical_url: format!("https://{id}.example/"),
            subscription: Subscription::All,
            description: None,
            extension: BTreeMap::new(),
            secret: Secret::from(format!("secret of {id}")),
        };
        ledger.create_webhook(new, WebhookLimits::default(), &UnixMs(0).into()).unwrap().no
    }

    #[test]
    fn a_webhook_that_an_earlier_version_switched_off_gets_no_note_later() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let keys = MasterKey::from_bytes([1; 32]).into();
        let mut ledger = opening::open(&folder, &keys, UnixMs(0)).unwrap().ledger;
        let by = UnixMs(0).into();
        ledger.begin().unwrap();
        let account =
            ledger.create_account(NewAccount { id: "acme".to_owned(), name: None }, &by).unwrap().no;
        let no = webhook(&mut ledger, account, "off");
        let off = || WebhookPatch { state: Some(WebhookState::Disabled), ..WebhookPatch::default() };
        let patch = |ledger: &mut Ledger, patch| {
            ledger.update_webhook(no, patch, WebhookLimits::default(), &by).unwrap().off_after
        };
        assert_eq!(patch(&mut ledger, off()), Some(Seq(0)));
        ledger.conn.execute("UPDATE standings SET off_seq = NULL", []).unwrap();
        ledger.last_event = Seq(7);
        for later in [off(), WebhookPatch::default()] {
            assert_eq!(patch(&mut ledger, later), None);
        }
        ledger.roll_back().unwrap();
    }

    #[test]
    fn what_is_taken_back_leaves_the_same_webhooks_to_close() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let keys = MasterKey::from_bytes([1; 32]).into();
        let mut ledger = opening::open(&folder, &keys, UnixMs(0)).unwrap().ledger;
        let (by, none) = (UnixMs(0).into(), WebhookLimits::default());
        ledger.begin().unwrap();
        ledger.last_event = Seq(7);
        let account = |ledger: &mut Ledger, id: &str| {
            ledger.create_account(NewAccount { id: id.to_owned(), name: None }, &by).unwrap().no
        };
        let (kept, gone) = (account(&mut ledger, "kept"), account(&mut ledger, "gone"));
        let [_, off, deleted, both] =
            ["on", "off", "deleted", "both"].map(|id| webhook(&mut ledger, kept, id));
        let [before, at_once, theirs] =
            ["before", "at-once", "theirs"].map(|id| webhook(&mut ledger, gone, id));
        ledger.delete_webhook(before, &by).unwrap();
        ledger.commit().unwrap();
        assert_eq!(ledger.closing, BTreeMap::from([(before, Closing::Deleted(Seq(7)))]));
        ledger.begin().unwrap();
        ledger.delete_webhook(at_once, &by).unwrap();
        for no in [off, both] {
            let patch = WebhookPatch { state: Some(WebhookState::Disabled), ..WebhookPatch::default() };
            ledger.update_webhook(no, patch, none, &by).unwrap();
        }
        for no in [deleted, both] {
            ledger.delete_webhook(no, &by).unwrap();
        }
        ledger.delete_account("gone", &by).unwrap();
        ledger.commit().unwrap();
        let at = Seq(7);
        let expected = BTreeMap::from([
            (off, Closing::Disabled),
            (deleted, Closing::Deleted(at)),
            (both, Closing::DeletedWhileOff(at)),
            (before, Closing::WithAccount(at)),
            (at_once, Closing::WithAccount(at)),
            (theirs, Closing::WithAccount(at)),
        ]);
        assert_eq!(ledger.closing, expected);
        ledger.begin().unwrap();
        ledger.delete_account("kept", &by).unwrap();
        ledger.roll_back().unwrap();
        assert_eq!(ledger.closing, expected);
    }
}
