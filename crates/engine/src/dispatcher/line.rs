//! Deliveries to one webhook that wait in memory: fresh ones, and those of its backlog in the store.
//!
//! Where both wait they are served in turn, so that neither waits for the end of the other.

use std::collections::VecDeque;
use std::sync::Arc;

use posthaste_core::{DeliveryKey, Event, UnixMs};

/// A delivery that waits for its next attempt.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which delivery.
    pub key: DeliveryKey,
    /// What it carries.
    pub event: Arc<Event>,
    /// When it became due.
    pub due_at: UnixMs,
    /// Attempts made before.
    pub attempts: u32,
    /// Has it a row in the store? If not, the checkpoint waits for it.
    pub is_written: bool,
}

/// Where a delivery that waits came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Fan-out, or the newest rows of those that fan-out had no room for and that were never attempted.
    Fresh,
    /// The oldest rows that are due: retries, what was held, what a stop left over.
    Backlog,
}

impl Source {
    /// Both, in an order that does not matter.
    pub const BOTH: [Self; 2] = [Self::Fresh, Self::Backlog];

    /// The one that is not this one.
    pub fn other(self) -> Self {
        match self {
            Self::Fresh => Self::Backlog,
            Self::Backlog => Self::Fresh,
        }
    }
}

/// The two queues of one webhook.
#[derive(Debug)]
pub struct Line {
    fresh: VecDeque<Job>,
    backlog: VecDeque<Job>,
    turn: Source,
}

impl Default for Line {
    fn default() -> Self {
        Self { fresh: VecDeque::new(), backlog: VecDeque::new(), turn: Source::Fresh }
    }
}

impl Line {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.backlog.len()
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of this source wait.
    pub fn count(&self, source: Source) -> usize {
        self.queue(source).len()
    }

    /// The first of this source.
    pub fn first(&self, source: Source) -> Option<&Job> {
        self.queue(source).front()
    }

    /// Is it this source's turn? Where the other has nothing it always is.
    pub fn is_turn_of(&self, source: Source) -> bool {
        self.turn == source || self.count(source.other()) == 0
    }

    /// Takes the first of this source out; the next turn is the other's.
    pub fn take(&mut self, source: Source) -> Option<Job> {
        self.turn = source.other();
        self.queue_mut(source).pop_front()
    }

    /// Puts one behind the others of its source.
    pub fn put(&mut self, job: Job, source: Source) {
        self.queue_mut(source).push_back(job);
    }

    /// Puts one in front of all others.
    pub fn put_in_front(&mut self, job: Job) {
        self.turn = Source::Fresh;
        self.fresh.push_front(job);
    }

    /// Takes the last of this source out if it has a row, so that nothing need be written.
    pub fn take_last_written(&mut self, source: Source) -> Option<Job> {
        self.queue_mut(source).pop_back_if(|job| job.is_written)
    }

    /// When the first of this source became due that has a row.
    pub fn first_written_due(&self, source: Source) -> Option<UnixMs> {
        self.queue(source).iter().filter(|job| job.is_written).map(|job| job.due_at).min()
    }

    /// Takes all out that have a row.
    pub fn take_written(&mut self) -> Vec<(Job, Source)> {
        let mut taken = Vec::new();
        for source in Source::BOTH {
            let all = std::mem::take(self.queue_mut(source));
            let (written, others): (VecDeque<Job>, _) = all.into_iter().partition(|job| job.is_written);
            *self.queue_mut(source) = others;
            taken.extend(written.into_iter().map(|job| (job, source)));
        }
        taken
    }

    /// Takes this one out if it waits and has no row.
    pub fn take_unwritten(&mut self, key: DeliveryKey) -> Option<Job> {
        let place = self.fresh.iter().position(|job| job.key == key && !job.is_written)?;
        self.fresh.remove(place)
    }

    fn queue(&self, source: Source) -> &VecDeque<Job> {
        match source {
            Source::Fresh => &self.fresh,
            Source::Backlog => &self.backlog,
        }
    }

    fn queue_mut(&mut self, source: Source) -> &mut VecDeque<Job> {
        match source {
            Source::Fresh => &mut self.fresh,
            Source::Backlog => &mut self.backlog,
        }
    }
}
