//! A receiver of many webhooks that can be closed, has a capacity, and says when and how many came at one time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::rig::listener::{Gate, Listener, Reply, Request};

/// The webhook's number in the path that it was registered with.
pub type Webhook = u32;

/// How requests are answered.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long an answer takes.
    pub takes: Duration,
    /// How many requests it takes in a second; beyond that it answers 429 and asks for [`ASKED_FOR`].
    pub per_second: Option<usize>,
}

/// What the receiver asks for in `Retry-After`.
pub const ASKED_FOR: Duration = Duration::from_secs(2);

/// A request that came.
#[derive(Debug, Clone, Copy)]
pub struct Knock {
    /// When.
    pub at: Instant,
    /// To which webhook.
    pub webhook: Webhook,
    /// The number of its event.
    pub number: u64,
    /// Was it taken?
    pub is_taken: bool,
    /// Requests of this webhook under way, this one among them.
    pub at_one_time: usize,
    /// Requests of all webhooks under way, this one among them.
    pub in_all: usize,
    /// How many of this webhook had been answered with success before.
    pub taken_before: usize,
    /// How many of all webhooks had been answered before.
    pub answered_before: usize,
}

#[derive(Default)]
struct Book {
    knocks: Vec<Knock>,
    under_way: HashMap<Webhook, usize>,
    taken: HashMap<Webhook, usize>,
    in_all: usize,
    answered: usize,
    given_up: usize,
}

/// The receiver. It answers until it is dropped.
pub struct Door {
    listener: Listener,
    gate: Arc<Gate>,
    book: Arc<Mutex<Book>>,
}

impl Door {
    /// Begins to take requests; while it is closed none is answered.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(manner: Manner, is_open: bool) -> anyhow::Result<Self> {
        let (gate, book) = (Arc::new(Gate::new(is_open)), Arc::<Mutex<Book>>::default());
        let (passed, kept) = (gate.clone(), book.clone());
        let listener =
            Listener::start(move |request| answer(request, manner, passed.passing(), kept.clone())).await?;
        Ok(Self { listener, gate, book })
    }

    /// Where the webhook with this number points.
    pub fn url(&self, webhook: Webhook) -> String {
        self.listener.url(&webhook.to_string())
    }

    /// Answers from now on, those too that wait.
    pub fn open(&self) {
        self.gate.set(true);
    }

    /// What came so far.
    pub fn knocks(&self) -> Vec<Knock> {
        lock(&self.book).knocks.clone()
    }

    /// How many callers hung up before they were answered.
    pub fn given_up(&self) -> usize {
        lock(&self.book).given_up
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        lock(&self.book).knocks.len()
    }
}

/// Answers one request. A caller that gives up is noticed.
async fn answer(
    request: Request,
    manner: Manner,
    passing: impl Future<Output = ()>,
    book: Arc<Mutex<Book>>,
) -> Reply {
    let (Ok(webhook), Some(number)) = (request.path.parse(), request.number()) else { return Reply::of(400) };
    let is_taken = arrive(&book, webhook, number, manner);
    let mut under_way = UnderWay { book, webhook, is_taken, is_there: false };
    passing.await;
    tokio::time::sleep(manner.takes).await;
    under_way.is_there = true;
    if is_taken { Reply::OK } else { Reply::of(429).retry_after(ASKED_FOR) }
}

/// A request that is not answered yet. It ends with its answer, or when its caller hangs up.
struct UnderWay {
    book: Arc<Mutex<Book>>,
    webhook: Webhook,
    is_taken: bool,
    /// Was the caller there to be answered?
    is_there: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        leave(&self.book, self.webhook, self.is_taken, self.is_there);
    }
}

fn arrive(book: &Mutex<Book>, webhook: Webhook, number: u64, manner: Manner) -> bool {
    let (mut book, now) = (lock(book), Instant::now());
    let in_last_second = |knock: &&Knock| now.duration_since(knock.at) < Duration::from_secs(1);
    let lately = |book: &Book| {
        book.knocks.iter().rev().take_while(in_last_second).filter(|knock| knock.is_taken).count()
    };
    let is_taken = manner.per_second.is_none_or(|most| lately(&book) < most);
    book.in_all += 1;
    let under_way = book.under_way.entry(webhook).or_default();
    *under_way += 1;
    let at_one_time = *under_way;
    let taken_before = book.taken.get(&webhook).copied().unwrap_or_default();
    let (in_all, answered_before) = (book.in_all, book.answered);
    book.knocks.push(Knock {
        at: now,
        webhook,
        number,
        is_taken,
        at_one_time,
        in_all,
        taken_before,
        answered_before,
    });
    is_taken
}

fn leave(book: &Mutex<Book>, webhook: Webhook, is_taken: bool, is_there: bool) {
    let mut book = lock(book);
    book.in_all -= 1;
    book.answered += 1;
    book.given_up += usize::from(!is_there);
    if let Some(under_way) = book.under_way.get_mut(&webhook) {
        *under_way -= 1;
    }
    *book.taken.entry(webhook).or_default() += usize::from(is_taken && is_there);
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
