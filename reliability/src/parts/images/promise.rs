//! What the program promised, and from where in a trace on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trace::{Record, request_id};

/// Something that is made and may be taken away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Thing {
    /// An account.
    Account { id: String },
    /// An API key, which works.
    Key { account: String, text: String },
    /// A webhook.
    Webhook { account: String, id: String },
    /// A named token, which works.
    Token { text: String },
}

/// What an answer of success promises.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Promise {
    /// It is there.
    There(Thing),
    /// It is gone for good.
    Gone(Thing),
    /// These events are stored, and owed to whoever is to get them.
    Events(Vec<u64>),
    /// These events were delivered to this webhook of this account.
    Delivered { account: String, webhook: String, events: Vec<u64> },
}

/// A promise as whoever asked wrote it down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noted {
    /// The request's id, as its answer tells.
    pub request: String,
    /// The id of the request before it by the same caller: its effect was not there when that was answered.
    pub after: Option<String>,
    /// What its answer promises.
    pub promise: Promise,
}

/// What callers wrote down in the course of a trace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// Callers wait for what was answered and is not there yet: the program has a bug on purpose.
    #[serde(skip)]
    pub is_patient: bool,
    /// Every promise.
    pub noted: Vec<Noted>,
    /// Every event that anybody tried to publish, with the bytes of its padding.
    pub padding_bytes: BTreeMap<u64, usize>,
    /// Events by the id that their publisher was told.
    pub numbers: BTreeMap<String, u64>,
    /// Webhooks that are there from before the first event to the end.
    pub steady: Vec<Thing>,
    /// The account that all events are for.
    pub account: String,
}

/// The members of an event's data as its publisher sends them.
pub fn data_of(number: u64, padding_bytes: usize) -> String {
    format!(r#""number":{number},"padding":"{}""#, "x".repeat(padding_bytes))
}

/// Since when a thing is there, and since when not.
#[derive(Debug, Default, Clone, Copy)]
struct Life {
    there_since: Option<usize>,
    /// From here on it may be gone: somebody may have asked for it.
    may_go_since: Option<usize>,
    gone_since: Option<usize>,
}

/// The promises of a trace, by the places where they were given.
#[derive(Debug, Default)]
pub struct Promises {
    lives: BTreeMap<Thing, Life>,
    /// By the place where it was promised.
    events: Vec<(usize, u64)>,
    delivered: Vec<(usize, String, String, u64)>,
    /// Where the first promise was made.
    pub first_at: Option<usize>,
}

impl Promises {
    /// Finds each promise in the trace. Also answers how many answers are in the books and not in the trace.
    pub fn of(books: &Books, trace: &[Record]) -> (Self, usize) {
        let places = places(trace);
        let mut promises = Self::default();
        let mut unseen = 0;
        for noted in &books.noted {
            let Some(place) = places.get(noted.request.as_str()).copied() else {
                unseen += 1;
                continue;
            };
            let after = noted.after.as_ref().and_then(|after| places.get(after.as_str())).copied();
            promises.first_at = Some(promises.first_at.map_or(place, |first| first.min(place)));
            promises.take(place, after.unwrap_or(0), &noted.promise);
        }
        promises.events.sort_unstable();
        (promises, unseen)
    }

    fn take(&mut self, place: usize, after: usize, promise: &Promise) {
        match promise {
            Promise::There(thing) => self.lives.entry(thing.clone()).or_default().there_since = Some(place),
            Promise::Gone(thing) => {
                let life = self.lives.entry(thing.clone()).or_default();
                (life.may_go_since, life.gone_since) = (Some(after), Some(place));
            }
            Promise::Events(numbers) => self.events.extend(numbers.iter().map(|number| (place, *number))),
            Promise::Delivered { account, webhook, events } => {
                let told = events.iter().map(|number| (place, account.clone(), webhook.clone(), *number));
                self.delivered.extend(told);
            }
        }
    }

    /// Things with whether they must be there or gone after the first `place` records; those that may be either are left
    /// out.
    pub fn things(&self, place: usize) -> impl Iterator<Item = (&Thing, bool)> {
        let is_past = move |since: Option<usize>| since.is_some_and(|since| since < place);
        self.lives.iter().filter_map(move |(thing, life)| {
            let is_gone = is_past(life.gone_since);
            let is_there = is_past(life.there_since) && !is_past(life.may_go_since);
            (is_gone || is_there).then_some((thing, is_there && !is_gone))
        })
    }

    /// Events promised in the first `place` records.
    pub fn events(&self, place: usize) -> impl Iterator<Item = u64> {
        let promised = self.events.iter().take_while(move |(at, _)| *at < place);
        promised.map(|(_, number)| *number)
    }

    /// Account, webhook and number of what was said to be delivered in the first `place` records.
    pub fn delivered(&self, place: usize) -> impl Iterator<Item = (&str, &str, u64)> {
        let told = self.delivered.iter().filter(move |(at, ..)| *at < place);
        told.map(|(_, account, webhook, number)| (account.as_str(), webhook.as_str(), *number))
    }
}

/// Where each request was answered.
fn places(trace: &[Record]) -> BTreeMap<&str, usize> {
    let mut places = BTreeMap::new();
    for (place, record) in trace.iter().enumerate() {
        match record {
            Record::Answer { head } => {
                if let Some(id) = request_id(head) {
                    places.entry(id).or_insert(place);
                }
            }
            Record::AnswerFailed { answer_at } => {
                let failed = trace.get(*answer_at).and_then(|record| match record {
                    Record::Answer { head } => request_id(head),
                    _ => None,
                });
                failed.and_then(|id| places.remove(id));
            }
            _ => {}
        }
    }
    places
}
