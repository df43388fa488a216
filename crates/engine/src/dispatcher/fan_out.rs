//! From accepted events to deliveries.

use std::collections::VecDeque;
use std::sync::Arc;

use posthaste_core::{Audience, Event, Seq, Webhook, WebhookNo};
use posthaste_store::Roster;

use crate::bounds::Bounds;

/// An event in the queue, with the webhooks that already have a row for it (after a restart only).
pub struct Pending {
    event: Arc<Event>,
    written: Vec<WebhookNo>,
}

/// Walks the accepted events in order of acceptance.
pub struct FanOut {
    queue: VecDeque<Pending>,
    /// The bytes of the bodies in the queue.
    queued_bytes: usize,
    /// The last event in the queue, or the last one taken from it.
    tail: Seq,
    /// How far the event at the head has been fanned out.
    reached: WebhookNo,
    /// Are there events in the store behind `tail` that nobody handed over?
    is_behind: bool,
    is_loading: bool,
    /// Until the first read that finds the end, rows may exist from before a restart.
    is_recovering: bool,
}

/// What one go found.
pub struct Found {
    /// The event.
    pub event: Arc<Event>,
    /// Webhooks to look at; those with a row are left out.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Is the event done with?
    pub is_last: bool,
    /// Was this the first go for the event?
    pub is_first: bool,
}

impl FanOut {
    /// Begins after `checkpoint`, with a read.
    pub fn new(checkpoint: Seq) -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            tail: checkpoint,
            reached: WebhookNo(0),
            is_behind: true,
            is_loading: false,
            is_recovering: true,
        }
    }

    /// Events were accepted after the event `after`; they are taken over if they follow what is here.
    pub fn announce(&mut self, after: Seq, events: Vec<Arc<Event>>, bounds: &Bounds) {
        let follows = after == self.tail && !self.is_behind && !self.is_loading;
        let bytes: usize = events.iter().map(|event| event.body.bytes.len()).sum();
        let is_too_much = self.queue.len() + events.len() > bounds.fresh_events
            || self.queued_bytes + bytes > bounds.fresh_bytes;
        if !follows || is_too_much {
            self.is_behind = true;
            return;
        }
        self.tail = events.last().map_or(self.tail, |event| event.seq);
        self.queued_bytes += bytes;
        self.queue.extend(events.into_iter().map(|event| Pending { event, written: Vec::new() }));
    }

    /// The store may hold events that hints did not tell of.
    pub fn look_again(&mut self) {
        self.is_behind = true;
    }

    /// The read to make now, if any: events after this one, and whether their rows are of interest.
    pub fn wants_load(&mut self) -> Option<(Seq, bool)> {
        if !self.is_behind || self.is_loading || !self.queue.is_empty() {
            return None;
        }
        (self.is_behind, self.is_loading) = (false, true);
        Some((self.tail, self.is_recovering))
    }

    /// The answer to that read; `is_end` if it found all there was.
    pub fn loaded(&mut self, events: Vec<(Arc<Event>, Vec<WebhookNo>)>, is_end: bool) {
        self.is_loading = false;
        if is_end {
            self.is_recovering = false;
        } else {
            self.is_behind = true;
        }
        for (event, mut written) in events {
            if event.seq > self.tail {
                self.tail = event.seq;
                self.queued_bytes += event.body.bytes.len();
                written.sort_unstable();
                self.queue.push_back(Pending { event, written });
            }
        }
    }

    /// Is everything known of fanned out?
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && !self.is_behind && !self.is_loading
    }

    /// Is there an event to go on with?
    pub fn has_event(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Looks at the next `most` webhooks for the event at the head.
    pub fn next(&mut self, roster: &Roster, most: usize) -> Option<Found> {
        let head = self.queue.front()?;
        let is_first = self.reached == WebhookNo(0);
        let mut webhooks = match head.event.audience {
            Audience::Account(account) => roster.of_account(account, self.reached, most),
            Audience::Broadcast => roster.after(self.reached, most),
            Audience::Webhook(no) => roster.get(no).into_iter().collect(),
        };
        let is_last = webhooks.len() < most || matches!(head.event.audience, Audience::Webhook(_));
        self.reached = webhooks.last().map_or(self.reached, |webhook| webhook.no);
        webhooks.retain(|webhook| head.written.binary_search(&webhook.no).is_err());
        let event = head.event.clone();
        if is_last {
            self.queue.pop_front();
            self.queued_bytes -= event.body.bytes.len();
            self.reached = WebhookNo(0);
        }
        Some(Found { event, webhooks, is_last, is_first })
    }
}
