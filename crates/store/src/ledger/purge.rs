//! The data of deleted accounts, taken out in small steps.
//!
//! No index leads from an account to its events, since it would cost every event; a purge looks at all of them once,
//! for all accounts deleted by then together.

use std::collections::BTreeSet;

use posthaste_core::{AccountNo, Audience, DeliveryKey, Seq, WebhookNo};
use rusqlite::params;

use super::Ledger;
use super::trouble::Outcome;

/// How many events one step looks at.
const STEP_EVENTS: usize = 2_000;
/// About how many deliveries one step looks for.
const STEP_LOOKUPS: usize = 5_000;
/// How many accounts one purge takes on.
const ACCOUNTS_MAX: i64 = 100;

/// A purge under way. One that is cut off by a restart begins again.
pub(super) struct Purge {
    accounts: BTreeSet<AccountNo>,
    webhooks: BTreeSet<WebhookNo>,
    /// Events up to here are done.
    at: Seq,
}

impl Ledger {
    /// Answers whether there is more to do.
    pub(super) fn purge_step(&mut self) -> Outcome<bool> {
        let Some(mut purge) = self.purge.take().map_or_else(|| self.begin_purge(), |it| Ok(Some(it)))? else {
            return Ok(false);
        };
        let events = self.audiences_after(purge.at)?;
        let is_last = events.len() < STEP_EVENTS;
        let mut lookups = 0;
        for (seq, audience) in &events {
            lookups += self.purge_event(&purge, *seq, *audience)?;
            purge.at = *seq;
            if lookups >= STEP_LOOKUPS {
                break;
            }
        }
        if is_last && events.last().is_none_or(|(seq, _)| *seq == purge.at) {
            self.end_purge(&purge)?;
        } else {
            self.purge = Some(purge);
        }
        Ok(true)
    }

    /// Deleted accounts whose webhooks have all left the roster. From here on nothing is recorded for those.
    fn begin_purge(&mut self) -> Outcome<Option<Purge>> {
        let accounts: Vec<i64> = self
            .conn
            .prepare_cached("SELECT no FROM accounts WHERE deleted_ms IS NOT NULL ORDER BY no LIMIT ?1")?
            .query_map([ACCOUNTS_MAX], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut purge = Purge { accounts: BTreeSet::new(), webhooks: BTreeSet::new(), at: Seq(0) };
        for account in accounts {
            let webhooks = self.webhook_numbers(account)?;
            if webhooks.iter().any(|no| self.closing.contains_key(no)) {
                continue;
            }
            for no in &webhooks {
                self.conn.prepare_cached("DELETE FROM standings WHERE webhook = ?1")?.execute([no.0])?;
                self.standings.remove(no);
            }
            purge.webhooks.extend(webhooks);
            purge.accounts.insert(AccountNo(account));
        }
        Ok(Some(purge).filter(|purge| !purge.accounts.is_empty()))
    }

    fn webhook_numbers(&self, account: i64) -> Outcome<Vec<WebhookNo>> {
        let mut statement = self.conn.prepare_cached("SELECT no FROM webhooks WHERE account = ?1")?;
        let rows = statement.query_map([account], |row| row.get(0).map(WebhookNo))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn audiences_after(&self, at: Seq) -> Outcome<Vec<(Seq, Audience)>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT seq, audience, coalesce(audience_no, 0) FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let limit = i64::try_from(STEP_EVENTS).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![at.0, limit], |row| {
            let audience = match (row.get(1)?, row.get(2)?) {
                (0, no) => Audience::Account(AccountNo(no)),
                (2, no) => Audience::Webhook(WebhookNo(no)),
                (_, _) => Audience::Broadcast,
            };
            Ok((Seq(row.get(0)?), audience))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Answers how many deliveries were looked for.
    fn purge_event(&mut self, purge: &Purge, seq: Seq, audience: Audience) -> Outcome<usize> {
        let (is_theirs, webhooks) = match audience {
            Audience::Account(no) => (purge.accounts.contains(&no), purge.webhooks.iter().copied().collect()),
            Audience::Webhook(no) => (purge.webhooks.contains(&no), vec![no]),
            Audience::Broadcast => (false, purge.webhooks.iter().copied().collect()),
        };
        if !is_theirs && audience != Audience::Broadcast {
            return Ok(0);
        }
        for webhook in &webhooks {
            self.delete_delivery(DeliveryKey { event: seq, webhook: *webhook })?;
        }
        if is_theirs {
            self.delete_events_without_deliveries(seq, seq)?;
        }
        Ok(webhooks.len())
    }

    fn end_purge(&mut self, purge: &Purge) -> Outcome<()> {
        for account in &purge.accounts {
            self.conn
                .prepare_cached("DELETE FROM watched_values WHERE account = ?1")?
                .execute([account.0])?;
            self.conn.prepare_cached("DELETE FROM webhooks WHERE account = ?1")?.execute([account.0])?;
            self.conn.prepare_cached("DELETE FROM accounts WHERE no = ?1")?.execute([account.0])?;
        }
        Ok(())
    }
}
