//! What receivers saw: when each attempt came, by the machine's own count of seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::rig::clock::Face;
use crate::rig::listener::{Listener, Reply, Request};

/// How many seconds an attempt may have been under way when it arrives.
const UNDER_WAY_S: i64 = 5;

/// One attempt as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub at: Instant,
    pub is_taken: bool,
}

/// What arrived, by the webhook's path and the event's number.
pub type Visits = BTreeMap<(String, u64), Vec<Visit>>;

#[derive(Default)]
struct Book {
    visits: Visits,
    misdated: Vec<String>,
}

/// Receivers at one address. At `/good` everything is taken at once; at `/flaky` an event is refused as often as the
/// rest of its number divided by four says.
pub struct Receivers {
    listener: Listener,
    book: Arc<Mutex<Book>>,
}

impl Receivers {
    pub async fn start(face: Arc<Face>) -> anyhow::Result<Self> {
        let book = Arc::new(Mutex::new(Book::default()));
        let written = book.clone();
        let listener =
            Listener::start(move |request| std::future::ready(receive(&written, &face, &request))).await?;
        Ok(Self { listener, book })
    }

    pub fn url(&self, path: &str) -> String {
        self.listener.url(path)
    }

    pub fn visits(&self) -> Visits {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).visits.clone()
    }

    pub fn misdated(&self) -> Vec<String> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).misdated.clone()
    }
}

fn receive(book: &Mutex<Book>, face: &Face, request: &Request) -> Reply {
    let Some(number) = request.number() else { return Reply::of(400) };
    let path = &request.path;
    let signed_at = request.header("webhook-timestamp").and_then(|text| text.parse().ok());
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    if !signed_at.is_some_and(|second| face.has_shown(second, UNDER_WAY_S)) {
        book.misdated.push(format!("{path} got number {number}, signed at {signed_at:?}"));
    }
    let visits = book.visits.entry((path.clone(), number)).or_default();
    let is_taken = path != "flaky" || visits.len() as u64 >= number % 4;
    visits.push(Visit { at: request.at, is_taken });
    if is_taken { Reply::OK } else { Reply::of(500) }
}
