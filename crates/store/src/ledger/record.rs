//! What the engine did, written down.

use posthaste_core::{Attempt, Chain, DeliveryKey, DeliveryState, Health, Outcome as Ending, Seq, WebhookNo};
use rusqlite::{OptionalExtension, params};

use super::deliveries::{NOT_ITS_TURN_MS, state_number};
use super::standing::Link;
use super::trouble::Outcome;
use super::{Ledger, encoding, events, write_seq};
use crate::change::{RecordBatch, Recorded, Spill};

/// What was known of a delivery before an attempt of it is recorded.
#[derive(Default)]
struct Known {
    attempts: u32,
    has_first: bool,
    next_ms: Option<i64>,
    chain: Option<Chain>,
}

impl Ledger {
    pub fn record(&mut self, batch: &RecordBatch) -> Outcome<()> {
        self.added += batch.attempts.len() + batch.spills.len();
        batch.attempts.iter().try_for_each(|recorded| self.record_attempt(recorded))?;
        batch.spills.iter().try_for_each(|spill| self.spill(*spill))?;
        posthaste_faults::point("store.in-record");
        batch.cancels.iter().try_for_each(|(key, reason)| self.cancel(*key, reason))?;
        batch.health.iter().try_for_each(|(no, health)| self.record_health(*no, *health))?;
        for (no, reason) in &batch.disable {
            tracing::debug!(webhook = no.0, reason, "a webhook is switched off");
            self.disable_webhook(*no, reason)?;
        }
        match batch.checkpoint {
            Some(checkpoint) => self.advance_checkpoint(checkpoint),
            None => Ok(()),
        }
    }

    /// Appends an attempt to its webhook's history and moves its delivery on. A number known already changes nothing.
    fn record_attempt(&mut self, recorded: &Recorded) -> Outcome<()> {
        if recorded.attempt.number == 2 && posthaste_faults::bug("attempt-not-recorded") {
            return Ok(());
        }
        if self.is_forgotten(recorded.key, recorded.attempt.number)? {
            return Ok(());
        }
        let no = recorded.key.webhook;
        let Some(standing) = self.standing(no)? else { return Ok(()) };
        let number = recorded.attempt.number;
        let is_new = if number <= 1 {
            self.write_first(recorded, standing.head)?
        } else {
            self.write_later(recorded, standing.head)?
        };
        if !is_new {
            return Ok(());
        }
        self.change_standing(no, |standing| {
            standing.head = Some((recorded.key.event, number.max(1)));
            standing.attempted += u64::from(number <= 1);
        })
    }

    /// The hot path: on the good path this insert is all there ever is of a delivery.
    fn write_first(&self, recorded: &Recorded, before: Link) -> Outcome<bool> {
        if self.insert_with_first(recorded, before)? {
            return Ok(true);
        }
        let Some(known) = self.known(recorded.key)?.filter(|known| !known.has_first) else {
            return Ok(false);
        };
        self.update_first(recorded, before)?;
        if known.attempts <= 1 {
            self.move_on(recorded, &known)?;
        }
        Ok(true)
    }

    fn insert_with_first(&self, recorded: &Recorded, before: Link) -> Outcome<bool> {
        let (attempt, row) = (&recorded.attempt, AttemptColumns::of(&recorded.attempt));
        let inserted = self
            .conn
            .prepare_cached(
                "INSERT INTO deliveries (event, webhook, state, reason, attempts, next_ms, delivered_ms, last_status,
                     last_ms, started_ms, duration_us, status, fault, detail, is_cut, prev_event, prev_n,
                     signatures, headers, body)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?7, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                recorded.key.event.0,
                recorded.key.webhook.0,
                state_number(recorded.state),
                recorded.reason,
                next_ms(recorded),
                delivered_ms(recorded),
                row.status,
                attempt.finished_at().0,
                attempt.started_at.0,
                row.duration_us,
                row.fault,
                row.detail,
                row.is_cut,
                before.map(|(event, _)| event.0),
                before.map(|(_, number)| number),
                row.signatures,
                row.headers,
                row.body,
            ])?;
        Ok(inserted == 1)
    }

    fn update_first(&self, recorded: &Recorded, before: Link) -> Outcome<()> {
        let row = AttemptColumns::of(&recorded.attempt);
        self.conn
            .prepare_cached(
                "UPDATE deliveries SET started_ms = ?3, duration_us = ?4, status = ?5, fault = ?6, detail = ?7,
                     is_cut = ?8, prev_event = ?9, prev_n = ?10, signatures = ?11, headers = ?12, body = ?13
                 WHERE event = ?1 AND webhook = ?2",
            )?
            .execute(params![
                recorded.key.event.0,
                recorded.key.webhook.0,
                recorded.attempt.started_at.0,
                row.duration_us,
                row.status,
                row.fault,
                row.detail,
                row.is_cut,
                before.map(|(event, _)| event.0),
                before.map(|(_, number)| number),
                row.signatures,
                row.headers,
                row.body,
            ])?;
        Ok(())
    }

    fn write_later(&self, recorded: &Recorded, before: Link) -> Outcome<bool> {
        let row = AttemptColumns::of(&recorded.attempt);
        let inserted = self
            .conn
            .prepare_cached(
                "INSERT INTO attempts (event, webhook, n, started_ms, duration_us, status, fault, detail, is_cut,
                     prev_event, prev_n, signatures, headers, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                recorded.key.event.0,
                recorded.key.webhook.0,
                recorded.attempt.number,
                recorded.attempt.started_at.0,
                row.duration_us,
                row.status,
                row.fault,
                row.detail,
                row.is_cut,
                before.map(|(event, _)| event.0),
                before.map(|(_, number)| number),
                row.signatures,
                row.headers,
                row.body,
            ])?;
        if inserted == 0 {
            return Ok(false);
        }
        match self.known(recorded.key)? {
            Some(known) if known.attempts > recorded.attempt.number => {}
            Some(known) => self.move_on(recorded, &known)?,
            None => {
                self.insert_bare(recorded.key, state_number(DeliveryState::Pending), None, Some(0), None)?;
                self.move_on(recorded, &Known { next_ms: Some(0), ..Known::default() })?;
            }
        }
        Ok(true)
    }

    /// Where the delivery stands after its latest attempt.
    fn move_on(&self, recorded: &Recorded, known: &Known) -> Outcome<()> {
        let mut next_ms = next_ms(recorded);
        if next_ms.is_some() {
            match known.next_ms {
                // It was ended while the attempt was under way, and does not come back: others of its chain may have gone
                // since, and nobody may be left who would end it again.
                None => return self.count_attempt(recorded),
                // And if somebody made it pending again, it waits for its turn like any other.
                Some(NOT_ITS_TURN_MS) => next_ms = known.next_ms,
                Some(_) => {}
            }
        }
        self.conn
            .prepare_cached(
                "UPDATE deliveries SET state = ?3, reason = ?4, attempts = ?5, next_ms = ?6,
                     delivered_ms = ?7, last_status = ?8, last_ms = ?9
                 WHERE event = ?1 AND webhook = ?2",
            )?
            .execute(params![
                recorded.key.event.0,
                recorded.key.webhook.0,
                state_number(recorded.state),
                recorded.reason,
                recorded.attempt.number.max(1),
                next_ms,
                delivered_ms(recorded),
                recorded.attempt.outcome.status(),
                recorded.attempt.finished_at().0,
            ])?;
        match known.chain.filter(|_| next_ms.is_none()) {
            Some(chain) => self.pass_turn_on(recorded.key.webhook, chain),
            None => Ok(()),
        }
    }

    /// An attempt that leaves its delivery as it is.
    fn count_attempt(&self, recorded: &Recorded) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "UPDATE deliveries SET attempts = ?3, last_status = ?4, last_ms = ?5
                 WHERE event = ?1 AND webhook = ?2",
            )?
            .execute(params![
                recorded.key.event.0,
                recorded.key.webhook.0,
                recorded.attempt.number.max(1),
                recorded.attempt.outcome.status(),
                recorded.attempt.finished_at().0,
            ])?;
        Ok(())
    }

    fn known(&self, key: DeliveryKey) -> Outcome<Option<Known>> {
        let known = self
            .conn
            .prepare_cached(
                "SELECT attempts, started_ms IS NOT NULL, next_ms, chain FROM deliveries
                 WHERE event = ?1 AND webhook = ?2",
            )?
            .query_row([key.event.0, key.webhook.0], |row| {
                Ok(Known {
                    attempts: row.get(0)?,
                    has_first: row.get(1)?,
                    next_ms: row.get(2)?,
                    chain: row.get::<_, Option<i64>>(3)?.map(Chain),
                })
            })
            .optional()?;
        Ok(known)
    }

    fn spill(&mut self, spill: Spill) -> Outcome<()> {
        if self.standing(spill.key.webhook)?.is_some() {
            let pending = state_number(DeliveryState::Pending);
            let due_at = self.dated_now(spill.key.event, spill.due_at)?;
            let next_ms = self.turn_in_chain(spill.key.webhook, spill.chain, due_at)?;
            self.insert_bare(spill.key, pending, None, Some(next_ms), spill.chain)?;
        }
        Ok(())
    }

    fn cancel(&mut self, key: DeliveryKey, reason: &str) -> Outcome<()> {
        if self.standing(key.webhook)?.is_none() || self.is_forgotten(key, 1)? {
            return Ok(());
        }
        let chain = self.chain_of_pending(key)?;
        let at = self.time.wall_at(self.time.at().unwrap_or(self.latest_now));
        self.conn
            .prepare_cached(
                "INSERT INTO deliveries (event, webhook, state, reason, attempts, canceled_ms)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5)
                 ON CONFLICT DO UPDATE SET state = excluded.state, reason = excluded.reason, next_ms = NULL,
                     canceled_ms = excluded.canceled_ms
                 WHERE next_ms IS NOT NULL",
            )?
            .execute(params![
                key.event.0,
                key.webhook.0,
                state_number(DeliveryState::Canceled),
                reason,
                at.0
            ])?;
        chain.map_or(Ok(()), |chain| self.pass_turn_on(key.webhook, chain))
    }

    /// Did housekeeping take this delivery while an attempt of it was under way? Then nothing of it comes back, unless the
    /// attempt is its first and its event is kept. Most events are younger than any that was taken, and cost no look.
    fn is_forgotten(&self, key: DeliveryKey, attempt: u32) -> Outcome<bool> {
        Ok(key.event <= self.swept_to
            && self.known(key)?.is_none()
            && (attempt > 1 || !events::is_kept(&self.conn, key.event)?))
    }

    /// Writes a delivery without an attempt, unless it has a row.
    fn insert_bare(
        &self,
        key: DeliveryKey,
        state: i64,
        reason: Option<&str>,
        next_ms: Option<i64>,
        chain: Option<Chain>,
    ) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO deliveries (event, webhook, state, reason, attempts, next_ms, chain)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                key.event.0,
                key.webhook.0,
                state,
                reason,
                next_ms,
                chain.map(|chain| chain.0)
            ])?;
        Ok(())
    }

    fn record_health(&mut self, no: WebhookNo, health: Health) -> Outcome<()> {
        self.change_standing(no, |standing| standing.health = health)
    }

    fn advance_checkpoint(&mut self, checkpoint: Seq) -> Outcome<()> {
        if checkpoint > self.checkpoint {
            write_seq(&self.conn, "checkpoint", checkpoint)?;
            self.checkpoint = checkpoint;
        }
        Ok(())
    }
}

/// A pending delivery always has a time, so that it cannot be forgotten.
fn next_ms(recorded: &Recorded) -> Option<i64> {
    let is_pending = recorded.state == DeliveryState::Pending;
    is_pending.then(|| recorded.next_attempt_at.unwrap_or(recorded.attempt.finished_at()).0)
}

fn delivered_ms(recorded: &Recorded) -> Option<i64> {
    (recorded.state == DeliveryState::Delivered).then(|| recorded.attempt.finished_at().0)
}

/// An attempt as columns.
struct AttemptColumns<'a> {
    duration_us: i64,
    status: Option<u16>,
    fault: Option<&'static str>,
    detail: Option<&'a str>,
    is_cut: bool,
    signatures: Vec<u8>,
    headers: Option<Vec<u8>>,
    body: Option<&'a [u8]>,
}

impl<'a> AttemptColumns<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        let mut columns = Self {
            duration_us: i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
            status: attempt.outcome.status(),
            fault: None,
            detail: None,
            is_cut: false,
            signatures: encoding::pack_texts(&attempt.signatures),
            headers: None,
            body: None,
        };
        match &attempt.outcome {
            Ending::Answered(response) => {
                columns.is_cut = response.is_cut;
                columns.headers = Some(encoding::pack_headers(&response.headers));
                columns.body = Some(&response.body);
            }
            Ending::Failed(fault) => {
                columns.fault = Some(fault.kind.word());
                columns.detail = Some(&fault.detail);
            }
        }
        columns
    }
}
