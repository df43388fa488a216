//! Webhooks to which nothing new is sent: switched off or deleted.

use posthaste_core::delivery::reasons;
use posthaste_core::{Seq, UnixMs, Webhook, WebhookNo, WebhookState};
use rusqlite::{Connection, OptionalExtension, params};

use super::checks::{ACCOUNTS, WEBHOOKS};
use super::trouble::Outcome;
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
}

impl End {
    fn of(webhook: &Webhook) -> Self {
        let Webhook { no, state, .. } = *webhook;
        Self { no, state, deleted: webhook.deleted.map(|(_, seq)| seq) }
    }
}

/// Of the webhooks that deliveries may be owed to those that were switched off or deleted, without unsealing anything.
pub(super) fn ends_owed(conn: &Connection, checkpoint: Seq) -> Outcome<Vec<End>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT w.no, w.state, w.deleted_seq
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
        ends.extend(state.map(|state| End { no, state, deleted }));
    }
    Ok(ends)
}

impl Ledger {
    /// Remembers which of these webhooks have rows that must be ended.
    pub(super) fn note_closing(&mut self, webhooks: &[Webhook]) -> Outcome<()> {
        self.note_ends(webhooks.iter().map(End::of).collect())
    }

    pub(super) fn note_ends(&mut self, ends: Vec<End>) -> Outcome<()> {
        let has_deleted = ends.iter().any(|end| end.deleted.is_some());
        for End { no, state, deleted } in ends {
            match (deleted, state) {
                (Some(seq), WebhookState::Disabled) => self.closing.insert(no, Closing::DeletedWhileOff(seq)),
                (Some(seq), _) => self.closing.insert(no, Closing::Deleted(seq)),
                (None, WebhookState::Disabled) => self.closing.insert(no, Closing::Disabled),
                _ => self.closing.remove(&no),
            };
        }
        if has_deleted { self.note_deleted_accounts() } else { Ok(()) }
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

    /// Webhooks still in the roster whose account is gone: what is pending for them ends whatever the contract says.
    fn note_deleted_accounts(&mut self) -> Outcome<()> {
        let mut statement = self.conn.prepare_cached(
            "SELECT w.no, w.deleted_seq FROM accounts a CROSS JOIN webhooks w ON w.account = a.no
             WHERE a.deleted_ms IS NOT NULL AND w.deleted_seq IS NOT NULL",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(closing) = self.closing.get_mut(&WebhookNo(row.get(0)?)) {
                *closing = Closing::WithAccount(Seq(row.get(1)?));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use posthaste_core::{AccountNo, Secret, Subscription};

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
        let theirs = webhook(&mut ledger, gone, "theirs");
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
            (theirs, Closing::WithAccount(at)),
        ]);
        assert_eq!(ledger.closing, expected);
        ledger.begin().unwrap();
        ledger.delete_account("kept", &by).unwrap();
        ledger.roll_back().unwrap();
        assert_eq!(ledger.closing, expected);
    }
}
