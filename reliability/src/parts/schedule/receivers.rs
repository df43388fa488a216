//! Receivers that refuse at first, and say when to come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::rig::listener::{Listener, Reply, Request};

/// The wait that `later` asks for.
pub const ASKED: Duration = Duration::from_secs(2);
/// The one that `far` asks for.
const ASKED_FAR: Duration = Duration::from_secs(2 * 3_600);

/// When attempts came, by receiver and event.
type Visits = BTreeMap<(String, u64), Vec<Instant>>;

/// Receivers at one address, by their paths.
pub struct Receivers {
    listener: Listener,
    visits: Arc<Mutex<Visits>>,
}

impl Receivers {
    pub async fn start() -> anyhow::Result<Self> {
        let visits = Arc::new(Mutex::new(Visits::new()));
        let written = visits.clone();
        let answer = move |request| std::future::ready(answer(&mut lock(&written), &request));
        Ok(Self { listener: Listener::start(answer).await?, visits })
    }

    pub fn url(&self, path: &str) -> String {
        self.listener.url(path)
    }

    /// How many events came so often to a receiver.
    pub fn visits(&self, path: &str, times: usize) -> u64 {
        let visits = lock(&self.visits);
        visits.iter().filter(|((known, _), at)| known == path && at.len() >= times).count() as u64
    }

    pub fn all(&self) -> Visits {
        lock(&self.visits).clone()
    }
}

fn lock(visits: &Mutex<Visits>) -> MutexGuard<'_, Visits> {
    visits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down that an attempt came, and what it is answered.
fn answer(visits: &mut Visits, request: &Request) -> Reply {
    let Some(number) = request.number() else { return Reply::of(400) };
    let of_it = visits.entry((request.path.clone(), number)).or_default();
    of_it.push(request.at);
    respond(&request.path, of_it.len())
}

/// `flaky` refuses an event three times; `later` and `sooner` once, with a wait longer or shorter than the contract's.
fn respond(path: &str, times: usize) -> Reply {
    match (path, times) {
        ("flaky", 1..=3) => Reply::of(500),
        ("later", 1) => Reply::of(503).retry_after(ASKED),
        ("sooner", 1) => Reply::of(429).retry_after(Duration::ZERO),
        ("far", _) => Reply::of(503).retry_after(ASKED_FAR),
        _ => Reply::OK,
    }
}
