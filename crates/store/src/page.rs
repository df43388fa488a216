//! What comes back from reads.

use std::sync::Arc;

use posthaste_core::{Attempt, Delivery, DeliveryKey, Event, UnixMs};

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<PageCursor>,
}

/// A place in a list, opaque to callers: an internal number, or a place in a webhook's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCursor(pub i64, pub u32);

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

impl<T> Slice<T> {
    /// Makes a slice of up to `limit` items from what was read with one more to see whether anything is left.
    #[must_use]
    pub fn cut(mut items: Vec<T>, limit: usize, place: impl FnOnce(&T) -> PageCursor) -> Self {
        let next = items.get(limit).map(place);
        items.truncate(limit);
        Self { items, next }
    }
}
