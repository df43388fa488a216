//! How many attempts are under way, and which of them are in nobody's way.
//!
//! An attempt takes a slot when it starts. One that its receiver lets wait gives the slot back before it ends: receivers
//! that hang have no use for what those that answer need. How many hang at one time has a bound of its own.
//!
//! The bytes of bodies under way are kept in three purses: of webhooks that do well, of those that fail or are new, and
//! of attempts that take long. A webhook that does well waits for the first alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use posthaste_core::{Event, Seq, UnixMs};

use super::bodies::{Body, Purse};
use super::line::Source;
use crate::bounds::Bounds;

/// How a webhook has done lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its latest attempts succeeded.
    Well,
    /// They failed, or there were none since the start.
    Failing,
}

/// What a webhook needs for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The slots it may take.
    pub standing: Standing,
    /// Is it for a fresh delivery, or for one of its backlog?
    pub source: Source,
    /// Does it need bytes as well?
    pub is_heavy: bool,
}

impl Need {
    /// In short.
    pub const fn of(standing: Standing, source: Source, is_heavy: bool) -> Self {
        Self { standing, source, is_heavy }
    }
}

/// The attempts under way.
pub struct Slots {
    /// Those that hold a slot, in the order they started.
    held: BTreeMap<u64, Held>,
    /// How many of them go to webhooks that fail.
    failing: usize,
    /// How many of them are of backlogs.
    backlog: usize,
    /// How many of those go to webhooks that fail.
    failing_backlog: usize,
    /// How many there may be of backlogs, as far as that grows: after a start all backlogs together begin slowly.
    backlog_window: usize,
    /// Those that have given their slot back.
    slow: BTreeMap<u64, Slow>,
    well_purse: Purse,
    failing_purse: Purse,
    slow_purse: Purse,
    last_given: u64,
}

struct Held {
    since: UnixMs,
    standing: Standing,
    source: Source,
    body: Option<Body>,
}

/// An attempt that takes long. Its body stays in the purse it was in if the one of the slow has no room.
struct Slow {
    body: Option<Body>,
    stays_with: Option<Standing>,
}

impl Slots {
    /// None is taken.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            held: BTreeMap::new(),
            failing: 0,
            backlog: 0,
            failing_backlog: 0,
            backlog_window: bounds.backlog_at_start.max(1),
            slow: BTreeMap::new(),
            well_purse: Purse::default(),
            failing_purse: Purse::default(),
            slow_purse: Purse::default(),
            last_given: 0,
        }
    }

    /// Is there a slot?
    pub fn has_room(&self, bounds: &Bounds) -> bool {
        self.held.len() < bounds.in_flight
    }

    /// May a webhook with this need take one? Backlogs leave half of them to fresh deliveries.
    pub fn has_room_for(&self, need: Need, bounds: &Bounds) -> bool {
        let Need { standing, source, .. } = need;
        let has_half = |taken: usize, all: usize| source == Source::Fresh || taken < (all / 2).max(1);
        let may_fail = self.failing < bounds.in_flight_failing
            && has_half(self.failing_backlog, bounds.in_flight_failing);
        (standing == Standing::Well || may_fail)
            && has_half(self.backlog, bounds.in_flight)
            && (source == Source::Fresh || self.backlog < self.backlog_window)
    }

    /// Is there room for the bytes of a heavy body?
    pub fn has_bytes_for(&self, standing: Standing, bounds: &Bounds) -> bool {
        self.purse(standing).bytes() < most_bytes(standing, bounds)
    }

    /// Is there room in what the body's account may have of it?
    pub fn has_share_for(&self, standing: Standing, body: &Body, bounds: &Bounds) -> bool {
        self.purse(standing).has_share(body, bounds.share_of(most_bytes(standing, bounds)))
    }

    /// Takes a slot for an attempt that starts; the number is given back with the attempt. A light one has no body.
    pub fn take(&mut self, now: UnixMs, need: Need, body: Option<Body>) -> u64 {
        let Need { standing, source, .. } = need;
        self.last_given += 1;
        if let Some(body) = &body {
            self.purse_mut(standing).put(body);
        }
        let (is_failing, is_backlog) = (standing == Standing::Failing, source == Source::Backlog);
        self.failing += usize::from(is_failing);
        self.backlog += usize::from(is_backlog);
        self.failing_backlog += usize::from(is_failing && is_backlog);
        self.held.insert(self.last_given, Held { since: now, standing, source, body });
        self.last_given
    }

    /// The attempt with this number has ended, and so has the need for its body.
    pub fn give_back(&mut self, number: u64) {
        let (stays_with, body) = match self.held.remove(&number) {
            Some(Held { standing, source, body, .. }) => {
                self.let_go(standing, source);
                (Some(standing), body)
            }
            None => match self.slow.remove(&number) {
                Some(Slow { body, stays_with }) => (stays_with, body),
                None => return,
            },
        };
        if let Some(body) = body {
            let purse = match stays_with {
                Some(standing) => self.purse_mut(standing),
                None => &mut self.slow_purse,
            };
            purse.take_out(&body);
        }
    }

    /// Takes the slots from attempts that have been under way for long.
    pub fn free_slow(&mut self, now: UnixMs, bounds: &Bounds) {
        while self.next_slow(bounds).is_some_and(|at| at <= now) {
            if let Some((number, held)) = self.held.pop_first() {
                self.let_go(held.standing, held.source);
                let slow = self.slow_down(held, bounds);
                self.slow.insert(number, slow);
            }
        }
    }

    /// Moves the body to the purse of the slow if that has room.
    fn slow_down(&mut self, Held { standing, body, .. }: Held, bounds: &Bounds) -> Slow {
        let most = bounds.in_flight_slow_bytes;
        let moves = body.as_ref().filter(|body| {
            self.slow_purse.bytes() < most && self.slow_purse.has_share(body, bounds.share_of(most))
        });
        let stays_with = match moves {
            Some(body) => {
                self.slow_purse.put(body);
                self.purse_mut(standing).take_out(body);
                None
            }
            None => Some(standing),
        };
        Slow { body, stays_with }
    }

    /// Each that goes makes room for two, until backlogs have their half.
    fn let_go(&mut self, standing: Standing, source: Source) {
        let (is_failing, is_backlog) = (standing == Standing::Failing, source == Source::Backlog);
        self.failing -= usize::from(is_failing);
        self.backlog -= usize::from(is_backlog);
        self.failing_backlog -= usize::from(is_failing && is_backlog);
        self.backlog_window = self.backlog_window.saturating_add(usize::from(is_backlog));
    }

    /// When the oldest attempt with a slot will have been under way for long.
    pub fn next_slow(&self, bounds: &Bounds) -> Option<UnixMs> {
        let has_room = self.slow.len() < bounds.in_flight_slow;
        let (_, oldest) = self.held.first_key_value().filter(|_| has_room)?;
        Some(oldest.since.plus(bounds.slow_after))
    }

    /// How many attempts are under way.
    pub fn under_way(&self) -> usize {
        self.held.len() + self.slow.len()
    }

    /// The number of the attempt that has been under way longest; 0 if none is.
    pub fn oldest(&self) -> u64 {
        let firsts = [self.held.keys().next(), self.slow.keys().next()];
        firsts.into_iter().flatten().min().copied().unwrap_or_default()
    }

    /// The event with this number, if its body is heavy and under way.
    pub fn find(&self, event: Seq) -> Option<&Arc<Event>> {
        [&self.well_purse, &self.failing_purse, &self.slow_purse]
            .into_iter()
            .find_map(|purse| purse.find(event))
    }

    fn purse(&self, standing: Standing) -> &Purse {
        match standing {
            Standing::Well => &self.well_purse,
            Standing::Failing => &self.failing_purse,
        }
    }

    fn purse_mut(&mut self, standing: Standing) -> &mut Purse {
        match standing {
            Standing::Well => &mut self.well_purse,
            Standing::Failing => &mut self.failing_purse,
        }
    }
}

fn most_bytes(standing: Standing, bounds: &Bounds) -> usize {
    match standing {
        Standing::Well => bounds.in_flight_bytes,
        Standing::Failing => bounds.in_flight_failing_bytes,
    }
}

#[cfg(test)]
mod tests;
