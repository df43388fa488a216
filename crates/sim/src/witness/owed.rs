//! Events, and what is owed for them: one obligation for each event and webhook.

use std::collections::BTreeMap;

use posthaste_core::{Audience, Chain, DeliveryKey, Seq, UnixMs, WebhookNo};

/// An event as its publisher knows it.
#[derive(Debug, Clone)]
pub struct Fact {
    pub audience: Audience,
    pub event_type: &'static str,
    /// Not before this time: by the wall clock, and what that comes to by the steady clock.
    pub send_at: Option<UnixMs>,
    pub due_at: Option<UnixMs>,
    /// By how much the wall clock was ahead of the steady one when it was accepted.
    pub ahead_ms: i64,
    pub chain: Option<Chain>,
    /// When it was accepted, in true time.
    pub accepted_at: UnixMs,
    /// Was its publisher told so?
    pub is_acknowledged: bool,
}

/// Where an obligation stands, by what reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    Open,
    Delivered,
    Failed,
    Canceled,
}

/// One event owed to one webhook.
#[derive(Debug, Clone)]
pub struct Owed {
    pub stand: Stand,
    /// Nobody may rely on it: the webhook was changed before anything was written, or the event became its own later.
    pub is_uncertain: bool,
    /// It was uncertain until a row of it was written. From then on all is promised of it but its place in its chain:
    /// a process that starts fans out once more, and finds it wanted when events after it have their rows.
    pub is_latecomer: bool,
    /// Attempts started, those recorded, and those whose process ended before they were recorded.
    pub started: u32,
    pub recorded: u32,
    pub lost: u32,
    /// How often somebody asked for it again.
    pub resends: u32,
    /// The receiver took it, we saw that, and nobody asked for it again.
    pub is_done: bool,
    /// Before this no attempt may start, by the steady clock.
    pub not_before: Option<UnixMs>,
    /// The same as what is recorded says: what holds after a crash.
    pub recorded_not_before: Option<UnixMs>,
    /// When its latest attempt ended and when its latest recorded one did, by the steady clock.
    pub last_end: Option<UnixMs>,
    pub recorded_end: Option<UnixMs>,
    /// Housekeeping may have deleted it while an attempt of it was under way.
    pub is_forgotten: bool,
    /// A row of it reached the disk.
    pub is_written: bool,
}

impl Owed {
    fn new(is_uncertain: bool) -> Self {
        Self {
            stand: Stand::Open,
            is_uncertain,
            is_latecomer: false,
            started: 0,
            recorded: 0,
            lost: 0,
            resends: 0,
            is_done: false,
            not_before: None,
            recorded_not_before: None,
            last_end: None,
            recorded_end: None,
            is_forgotten: false,
            is_written: false,
        }
    }

    /// A row of it reached the disk.
    pub fn wrote(&mut self) {
        self.is_latecomer |= self.is_uncertain;
        (self.is_written, self.is_uncertain) = (true, false);
    }

    /// Does what comes after it in its chain wait for it?
    fn is_waited_for(&self) -> bool {
        self.stand == Stand::Open && self.resends == 0 && !self.is_uncertain && !self.is_latecomer
    }

    /// Is it older than what is kept, by what is recorded of it?
    pub fn is_old(&self, key: DeliveryKey, expired_before: UnixMs) -> bool {
        key.event < Seq::first_of(expired_before) && self.recorded_end.is_none_or(|at| at < expired_before)
    }
}

/// All of it.
#[derive(Default)]
pub struct Obligations {
    pub events: BTreeMap<Seq, Fact>,
    owed: BTreeMap<DeliveryKey, Owed>,
    /// The events of each chain at each webhook, in order of acceptance.
    chains: BTreeMap<(WebhookNo, Chain), Vec<Seq>>,
}

impl Obligations {
    /// How many deliveries there have been.
    pub fn deliveries(&self) -> usize {
        self.owed.len()
    }

    /// An event is stored and owed to these. Answers whether its place was free.
    pub fn stored(&mut self, seq: Seq, fact: Fact, takers: &[WebhookNo]) -> bool {
        for webhook in takers {
            self.add(DeliveryKey { event: seq, webhook: *webhook }, fact.chain, false);
        }
        self.events.insert(seq, fact).is_none()
    }

    /// One more is owed than was thought when the event was stored.
    pub fn add_late(&mut self, key: DeliveryKey) {
        let chain = self.events.get(&key.event).and_then(|fact| fact.chain);
        self.add(key, chain, true);
    }

    fn add(&mut self, key: DeliveryKey, chain: Option<Chain>, is_uncertain: bool) {
        self.owed.insert(key, Owed::new(is_uncertain));
        if let Some(chain) = chain {
            self.chains.entry((key.webhook, chain)).or_default().push(key.event);
        }
    }

    pub fn get(&self, key: DeliveryKey) -> Option<&Owed> {
        self.owed.get(&key)
    }

    pub fn get_mut(&mut self, key: DeliveryKey) -> Option<&mut Owed> {
        self.owed.get_mut(&key)
    }

    pub fn all(&self) -> impl Iterator<Item = (DeliveryKey, &Owed)> {
        self.owed.iter().map(|(key, owed)| (*key, owed))
    }

    pub fn of_webhook(&mut self, no: WebhookNo) -> impl Iterator<Item = (DeliveryKey, &mut Owed)> {
        self.owed.iter_mut().filter(move |(key, _)| key.webhook == no).map(|(key, owed)| (*key, owed))
    }

    /// What comes before an obligation in its chain and has not ended, as far as is known.
    pub fn open_before(&self, key: DeliveryKey) -> Vec<DeliveryKey> {
        let chain = self.events.get(&key.event).and_then(|fact| fact.chain);
        let Some(events) = chain.and_then(|chain| self.chains.get(&(key.webhook, chain))) else {
            return Vec::new();
        };
        let earlier = events.iter().filter(|seq| **seq < key.event);
        let keys = earlier.map(|seq| DeliveryKey { event: *seq, webhook: key.webhook });
        keys.filter(|key| self.get(*key).is_some_and(Owed::is_waited_for)).collect()
    }
}
