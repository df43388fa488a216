//! Where numbered pages are counted from.
//!
//! A log grows at its front, so page 2 would repeat what page 1 showed. Whoever asks for the first page fixes where
//! their next pages are counted from, for as long as they go on turning them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use posthaste_core::UnixMs;

/// How long a first page is remembered after the last page counted from it.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// First pages remembered at one time. Losing one costs its reader a repeated row.
const KEPT: usize = 4096;

/// The first items of first pages, by reader and list.
#[derive(Default)]
pub(super) struct Anchors {
    inner: Mutex<HashMap<String, Anchor>>,
}

struct Anchor {
    first: String,
    used_at: UnixMs,
}

impl Anchors {
    /// Fixes where the next pages are counted from.
    pub fn fix(&self, reader: String, first: String, now: UnixMs) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.len() >= KEPT {
            inner.retain(|_, anchor| now.since(anchor.used_at) < KEPT_FOR);
        }
        if inner.len() < KEPT || inner.contains_key(&reader) {
            inner.insert(reader, Anchor { first, used_at: now });
        }
    }

    /// The id of the item that pages are counted from.
    pub fn find(&self, reader: &str, now: UnixMs) -> Option<String> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = inner.get_mut(reader).filter(|anchor| now.since(anchor.used_at) < KEPT_FOR)?;
        anchor.used_at = now;
        Some(anchor.first.clone())
    }
}
