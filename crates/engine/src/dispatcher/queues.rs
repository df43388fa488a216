//! Who waits for what.

use std::collections::HashMap;

use posthaste_core::{AccountNo, WebhookNo};
use posthaste_store::Roster;

use super::bodies::{Body, is_heavy};
use super::lane::Lane;
use super::line::Source;
use super::slots::{Need, Slots, Standing};
use super::turns::Turns;
use crate::bounds::Bounds;

/// The queues, in the order of their turns.
const NEEDS: [Need; 8] = [
    Need::of(Standing::Failing, Source::Fresh, false),
    Need::of(Standing::Failing, Source::Backlog, false),
    Need::of(Standing::Well, Source::Fresh, false),
    Need::of(Standing::Well, Source::Backlog, false),
    Need::of(Standing::Failing, Source::Fresh, true),
    Need::of(Standing::Failing, Source::Backlog, true),
    Need::of(Standing::Well, Source::Fresh, true),
    Need::of(Standing::Well, Source::Backlog, true),
];

/// A queue of turns for each need. They have their turns one after the other.
#[derive(Default)]
pub struct Queues {
    turns: [Turns; NEEDS.len()],
    next: usize,
}

/// What decides who may start.
pub struct View<'a> {
    pub slots: &'a Slots,
    pub lanes: &'a HashMap<WebhookNo, Lane>,
    pub roster: &'a Roster,
    pub bounds: &'a Bounds,
}

impl Queues {
    /// Puts a webhook at the end of the queue for its need.
    fn join(&mut self, need: Need, account: AccountNo, webhook: WebhookNo) {
        if let Some(at) = NEEDS.iter().position(|queue| *queue == need) {
            self.turns[at].join(account, webhook);
        }
    }

    /// Queues a webhook for its turns if it can start something.
    pub fn give_turns(&mut self, lane: &mut Lane, no: WebhookNo, roster: &Roster, bounds: &Bounds) {
        for source in Source::BOTH {
            if lane.has_turn.of(source).is_none() && lane.can_start(source, bounds) {
                let need = need(lane, source, bounds);
                *lane.has_turn.of_mut(source) = Some(need);
                let account = roster.get(no).map_or(AccountNo(0), |webhook| webhook.account);
                self.join(need, account, no);
            }
        }
    }

    /// Takes out the webhook that may start next, and what it waited for.
    pub fn next(&mut self, view: &View<'_>) -> Option<(Need, WebhookNo)> {
        for offset in 0..NEEDS.len() {
            let at = (self.next + offset) % NEEDS.len();
            let (need, turns) = (NEEDS[at], &mut self.turns[at]);
            if turns.is_empty() || !view.has_room_for(need) {
                continue;
            }
            let webhook = match need.is_heavy {
                true => turns.next_that(|webhook| view.has_share_for(need, webhook)),
                false => turns.next(),
            };
            if let Some(webhook) = webhook {
                self.next = at + 1;
                return Some((need, webhook));
            }
        }
        None
    }

    /// May anybody start?
    pub fn has_next(&self, view: &View<'_>) -> bool {
        NEEDS.iter().zip(&self.turns).any(|(need, turns)| {
            let has_share = |webhook| view.has_share_for(*need, webhook);
            !turns.is_empty() && view.has_room_for(*need) && (!need.is_heavy || turns.has_one_that(has_share))
        })
    }

    /// Does nobody wait?
    pub fn is_empty(&self) -> bool {
        self.turns.iter().all(Turns::is_empty)
    }
}

impl View<'_> {
    /// Are there slots for it, and bytes?
    pub fn has_room_for(&self, need: Need) -> bool {
        self.slots.has_room_for(need, self.bounds)
            && (!need.is_heavy || self.slots.has_bytes_for(need.standing, self.bounds))
    }

    /// Has the account of this webhook room for its next body? Few accounts can have none at one time: each of those
    /// has a share of bytes that are not all taken.
    fn has_share_for(&self, need: Need, webhook: WebhookNo) -> bool {
        let next = self.lanes.get(&webhook).and_then(|lane| lane.waiting.first(need.source));
        let webhook = self.roster.get(webhook);
        let body = next.zip(webhook).and_then(|(job, webhook)| Body::of(&job.event, &webhook, self.bounds));
        // Without a body, or a webhook, it waits for nothing.
        body.is_none_or(|body| self.slots.has_share_for(need.standing, &body, self.bounds))
    }
}

/// What a webhook with this lane needs next for a delivery from there.
pub fn need(lane: &Lane, source: Source, bounds: &Bounds) -> Need {
    let is_heavy = lane.waiting.first(source).is_some_and(|job| is_heavy(&job.event, bounds));
    Need { standing: lane.standing(bounds), source, is_heavy }
}
