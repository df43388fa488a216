//! Bodies in memory, each counted once however many deliveries share it.

use std::collections::HashMap;
use std::sync::Arc;

use posthaste_core::{AccountNo, Audience, Event, Seq, Webhook};

use super::line::{Job, Source};
use crate::bounds::Bounds;

/// The body of one delivery, as far as memory is concerned.
#[derive(Clone)]
pub struct Body {
    event: Arc<Event>,
    /// Who is charged for it; nobody for a body that every account shares.
    account: Option<AccountNo>,
}

impl Body {
    /// `None` for a light one: how many of those there are is bounded, and that bounds their bytes.
    pub fn of(event: &Arc<Event>, webhook: &Webhook, bounds: &Bounds) -> Option<Self> {
        let is_everybodys = event.audience == Audience::Broadcast && event.body.account_at.is_none();
        let account = (!is_everybodys).then_some(webhook.account);
        is_heavy(event, bounds).then(|| Self { event: event.clone(), account })
    }

    /// How many there are of it.
    pub fn bytes(&self) -> usize {
        self.event.body.bytes.len()
    }

    /// A body that names the account is made anew for every attempt.
    fn is_copied(&self) -> bool {
        self.event.body.account_at.is_some()
    }
}

/// Is this a body whose bytes are counted one by one?
pub fn is_heavy(event: &Event, bounds: &Bounds) -> bool {
    event.body.bytes.len() > bounds.light_body_bytes
}

/// Bodies of attempts under way: their bytes, and how many of them each account answers for.
#[derive(Default)]
pub struct Purse {
    bytes: usize,
    shared: HashMap<Seq, Shared>,
    by_account: HashMap<AccountNo, usize>,
}

struct Shared {
    event: Arc<Event>,
    uses: usize,
}

impl Purse {
    /// How much is in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Does this body cost nothing more, or is the account still below its share?
    pub fn has_share(&self, body: &Body, share_bytes: usize) -> bool {
        let is_there = !body.is_copied() && self.shared.contains_key(&body.event.seq);
        let used = body.account.and_then(|account| self.by_account.get(&account)).copied();
        is_there || used.unwrap_or(0) < share_bytes.max(1)
    }

    /// An attempt has this body in memory.
    pub fn put(&mut self, body: &Body) {
        if !body.is_copied() {
            let shared = self.shared.entry(body.event.seq);
            let shared = shared.or_insert_with(|| Shared { event: body.event.clone(), uses: 0 });
            shared.uses += 1;
            if shared.uses > 1 {
                return;
            }
        }
        self.bytes += body.bytes();
        if let Some(account) = body.account {
            *self.by_account.entry(account).or_default() += body.bytes();
        }
    }

    /// An attempt has it no longer.
    pub fn take_out(&mut self, body: &Body) {
        if !body.is_copied()
            && let Some(shared) = self.shared.get_mut(&body.event.seq)
        {
            shared.uses -= 1;
            if shared.uses > 0 {
                return;
            }
            self.shared.remove(&body.event.seq);
        }
        self.bytes -= body.bytes();
        if let Some(account) = body.account
            && let Some(used) = self.by_account.get_mut(&account)
        {
            *used -= body.bytes();
            if *used == 0 {
                self.by_account.remove(&account);
            }
        }
    }

    /// The event with this number, if it is in here.
    pub fn find(&self, event: Seq) -> Option<&Arc<Event>> {
        self.shared.get(&event).map(|shared| &shared.event)
    }
}

/// Bodies of deliveries that wait.
#[derive(Default)]
pub struct Waiting {
    /// How many deliveries wait.
    pub deliveries: usize,
    /// How many of them are of backlogs.
    pub backlog: usize,
    /// The bytes of their bodies.
    pub bytes: usize,
    /// The bytes of the heavy ones among these that have a row.
    pub heavy_written_bytes: usize,
    heavy: HashMap<Seq, SharedWaiting>,
}

struct SharedWaiting {
    event: Arc<Event>,
    uses: usize,
    written: usize,
}

impl Waiting {
    /// One more waits.
    pub fn add(&mut self, job: &Job, source: Source, bounds: &Bounds) {
        let (event, bytes) = (&job.event, job.event.body.bytes.len());
        self.deliveries += 1;
        self.backlog += usize::from(source == Source::Backlog);
        if is_heavy(event, bounds) {
            let shared = self.heavy.entry(event.seq);
            let shared =
                shared.or_insert_with(|| SharedWaiting { event: event.clone(), uses: 0, written: 0 });
            shared.uses += 1;
            shared.written += usize::from(job.is_written);
            if job.is_written && shared.written == 1 {
                self.heavy_written_bytes += bytes;
            }
            if shared.uses > 1 {
                return;
            }
        }
        self.bytes += bytes;
    }

    /// It waits no longer.
    pub fn remove(&mut self, job: &Job, source: Source, bounds: &Bounds) {
        let (event, bytes) = (&job.event, job.event.body.bytes.len());
        self.deliveries -= 1;
        self.backlog -= usize::from(source == Source::Backlog);
        if is_heavy(event, bounds)
            && let Some(shared) = self.heavy.get_mut(&event.seq)
        {
            shared.uses -= 1;
            shared.written -= usize::from(job.is_written);
            if job.is_written && shared.written == 0 {
                self.heavy_written_bytes -= bytes;
            }
            if shared.uses > 0 {
                return;
            }
            self.heavy.remove(&event.seq);
        }
        self.bytes -= bytes;
    }

    /// How many bytes one more would add.
    pub fn cost(&self, event: &Event, bounds: &Bounds) -> usize {
        let is_there = is_heavy(event, bounds) && self.heavy.contains_key(&event.seq);
        if is_there { 0 } else { event.body.bytes.len() }
    }

    /// The event with this number, if it is in here.
    pub fn find(&self, event: Seq) -> Option<&Arc<Event>> {
        self.heavy.get(&event).map(|shared| &shared.event)
    }
}

#[cfg(test)]
pub(super) mod tests;
