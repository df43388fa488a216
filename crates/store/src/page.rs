//! What comes back from reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use posthaste_core::{Attempt, Delivery, DeliveryKey, Event, Seq, UnixMs, WebhookNo};

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<PageCursor>,
}

/// A place in a list, opaque to callers: an internal number, or a place among a webhook's attempts or deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCursor(pub i64, pub i64);

/// A delivery with the event it carries and one of its attempts: the latest, or the one a row of the log is about.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// The delivery as it stands.
    pub delivery: Delivery,
    /// The event.
    pub event: Arc<Event>,
    /// The attempt; `None` if there was none yet.
    pub attempt: Option<Attempt>,
}

/// A pending delivery as the engine takes it up.
#[derive(Debug, Clone)]
pub struct PendingRow {
    /// Which.
    pub key: DeliveryKey,
    /// The event to send.
    pub event: Arc<Event>,
    /// Attempts made before.
    pub attempts: u32,
    /// When it is due.
    pub due_at: UnixMs,
}

/// How much of what is due one read brings into memory. It ends with what reaches either bound; the first is read
/// whatever its size, so that a reader gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRoom {
    /// So many at most.
    pub rows: usize,
    /// Bytes of the bodies of their events. The last one read may go beyond it.
    pub body_bytes: usize,
}

impl ReadRoom {
    /// Room for so many, however large they are.
    #[must_use]
    pub fn rows(rows: usize) -> Self {
        Self { rows, body_bytes: usize::MAX }
    }

    /// Is it used up by so many with so many bytes?
    #[must_use]
    pub fn is_used_up(&self, rows: usize, body_bytes: usize) -> bool {
        rows >= self.rows || (rows > 0 && body_bytes >= self.body_bytes)
    }
}

/// Accepted events, as they come after another.
#[derive(Debug, Clone, Default)]
pub struct EventsRead {
    /// In order.
    pub events: Vec<Arc<Event>>,
    /// Are these all there are?
    pub is_end: bool,
}

/// Which of a webhook's pending rows are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingQuery {
    /// Those of this webhook,
    pub webhook: WebhookNo,
    /// due by then.
    pub until: UnixMs,
    /// Those alone that were never attempted, beginning with the ones that became due last? Otherwise all, beginning with
    /// those that are due first.
    pub newest: bool,
    /// Those of these events are passed over, and their bodies not read.
    pub known: BTreeSet<Seq>,
    /// How much.
    pub room: ReadRoom,
}

impl PendingQuery {
    /// The `rows` that are due first, whichever they are.
    #[must_use]
    pub fn first(webhook: WebhookNo, until: UnixMs, rows: usize) -> Self {
        Self { webhook, until, newest: false, known: BTreeSet::new(), room: ReadRoom::rows(rows) }
    }

    /// The `rows` that became due last of those never attempted.
    #[must_use]
    pub fn newest(webhook: WebhookNo, until: UnixMs, rows: usize) -> Self {
        Self { newest: true, ..Self::first(webhook, until, rows) }
    }
}

/// What such a read found.
#[derive(Debug, Clone, Default)]
pub struct PendingRead {
    /// The rows, in the order asked for.
    pub rows: Vec<PendingRow>,
    /// The events of those that were passed over, and when they are due, in the same order.
    pub passed_over: Vec<(Seq, UnixMs)>,
    /// When the first one left out is due.
    pub next: Option<UnixMs>,
}

impl<T> Slice<T> {
    /// Makes a slice of up to `limit` items from what was read with one more to see whether anything is left.
    #[must_use]
    pub fn cut(mut items: Vec<T>, limit: usize, place: impl FnOnce(&T) -> PageCursor) -> Self {
        let next = items.get(limit).map(place);
        items.truncate(limit);
        Self { items, next }
    }
}
