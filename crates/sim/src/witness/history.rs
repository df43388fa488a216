//! What a webhook was at which time.

use posthaste_core::{Subscription, UnixMs, WebhookState};

/// A webhook as it was from one time to the next, in true time.
#[derive(Debug, Clone)]
pub struct Phase {
    pub since: UnixMs,
    pub subscription: Subscription,
    pub state: WebhookState,
    pub is_deleted: bool,
}

impl Phase {
    fn is_off(&self) -> bool {
        self.is_deleted || self.state == WebhookState::Disabled
    }
}

/// All that a webhook ever was, beginning with how it was made.
#[derive(Debug, Clone)]
pub struct History(Vec<Phase>);

impl History {
    pub fn new(made: Phase) -> Self {
        Self(vec![made])
    }

    pub fn add(&mut self, phase: Phase) {
        self.0.push(phase);
    }

    /// Was it made by then?
    pub fn began_by(&self, at: UnixMs) -> bool {
        self.0.first().is_some_and(|phase| phase.since <= at)
    }

    /// What it was at a time and what it became since. What it changed from in that very millisecond counts too.
    fn from(&self, at: UnixMs) -> impl Iterator<Item = &Phase> {
        let first = self.0.iter().rposition(|phase| phase.since < at).unwrap_or(0);
        self.0.iter().skip(first)
    }

    /// Was it deleted or switched off at that time or since? Nothing else that people do to a webhook ends what it is
    /// owed: neither a pause, nor another URL, secret or subscription.
    pub fn was_off_since(&self, at: UnixMs) -> bool {
        self.from(at).any(Phase::is_off)
    }

    /// Was it deleted or switched off at the first of these times or since, but before the second?
    pub fn was_off_between(&self, from: UnixMs, until: UnixMs) -> bool {
        self.from(from).any(|phase| phase.is_off() && phase.since < until)
    }

    /// Was an event of this type for it at that time or since?
    pub fn wanted_since(&self, at: UnixMs, event_type: &str) -> bool {
        self.from(at).any(|phase| !phase.is_off() && covers(&phase.subscription, event_type))
    }

    /// Was it on at that time, and subscribed to this type while it was off since?
    pub fn wanted_while_off(&self, at: UnixMs, event_type: &str) -> bool {
        let was_on = self.from(at).next().is_some_and(|phase| !phase.is_off());
        was_on && self.from(at).any(|phase| !phase.is_deleted && covers(&phase.subscription, event_type))
    }
}

/// In the simulator's own words: all, a type by its name, or a group of types `group.*`.
pub(super) fn covers(subscription: &Subscription, event_type: &str) -> bool {
    match subscription {
        Subscription::All => true,
        Subscription::Patterns(patterns) => patterns.iter().any(|pattern| {
            pattern == event_type
                || pattern.strip_suffix(".*").is_some_and(|group| event_type.split('.').next() == Some(group))
        }),
    }
}
