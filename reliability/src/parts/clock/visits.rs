//! What receivers saw: when each attempt came, by the machine's own count of seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use posthaste::receiver::{Arrival, Receiver, Reply};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::rig::clock::Face;
use crate::rig::receiver::number_of;

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
    pub base: String,
    book: Arc<Mutex<Book>>,
    task: JoinHandle<()>,
}

impl Receivers {
    pub async fn start(face: Arc<Face>) -> anyhow::Result<Self> {
        let listening = Receiver::bind(([127, 0, 0, 1], 0).into(), None).await?;
        let base = format!("http://{}", listening.address);
        let book = Arc::new(Mutex::new(Book::default()));
        let written = book.clone();
        let task = tokio::spawn(listening.run(Arc::new(move |arrival| {
            let reply = receive(&written, &face, &arrival);
            Box::pin(async move { reply })
        })));
        Ok(Self { base, book, task })
    }

    pub fn visits(&self) -> Visits {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).visits.clone()
    }

    pub fn misdated(&self) -> Vec<String> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).misdated.clone()
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn receive(book: &Mutex<Book>, face: &Face, arrival: &Arrival) -> Reply {
    let Some(number) = number_of(&arrival.body) else { return Reply::empty(StatusCode::BAD_REQUEST) };
    let signed_at = arrival.header("webhook-timestamp").and_then(|text| text.parse().ok());
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    if !signed_at.is_some_and(|second| face.has_shown(second, UNDER_WAY_S)) {
        book.misdated.push(format!("{} got number {number}, signed at {signed_at:?}", arrival.target));
    }
    let visits = book.visits.entry((arrival.target.clone(), number)).or_default();
    let is_taken = arrival.target != "/flaky" || visits.len() as u64 >= number % 4;
    visits.push(Visit { at: Instant::now(), is_taken });
    Reply::empty(if is_taken { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR })
}
