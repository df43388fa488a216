//! Keys that publishers named their events by.

use std::collections::BTreeMap;

use posthaste_core::{AccountNo, Audience, Seq, UnixMs};

/// What a call with a key must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A new event.
    New,
    /// The event of this place.
    Again(Seq),
    /// A refusal: the key was used with other content.
    Conflict,
}

/// What is known by which key.
#[derive(Default)]
pub struct Names(BTreeMap<(Option<AccountNo>, String), Named>);

struct Named {
    seq: Seq,
    content: u8,
    until: UnixMs,
}

impl Names {
    /// What must come of a call at `now`.
    pub fn expected(&self, audience: Audience, key: &str, content: u8, now: UnixMs) -> Expected {
        match self.0.get(&(owner(audience), key.to_owned())).filter(|named| named.until > now) {
            None => Expected::New,
            Some(named) if named.content == content => Expected::Again(named.seq),
            Some(_) => Expected::Conflict,
        }
    }

    /// An event was stored with a key that is remembered until then.
    pub fn learn(&mut self, audience: Audience, key: &str, content: u8, seq: Seq, until: UnixMs) {
        self.0.insert((owner(audience), key.to_owned()), Named { seq, content, until });
    }

    /// Keys whose time is over are forgotten for good, even if the clock is set back later.
    pub fn forget(&mut self, now: UnixMs) {
        self.0.retain(|_, named| named.until > now);
    }
}

fn owner(audience: Audience) -> Option<AccountNo> {
    match audience {
        Audience::Account(no) => Some(no),
        _ => None,
    }
}
