//! A receiver on this machine that writes down what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use http::StatusCode;
use posthaste::receiver::{Arrival, Receiver as Listening, Reply};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::Ledger;

/// A receiver over plain HTTP. It answers until it is dropped.
pub struct Receiver {
    /// Where webhooks point to reach it.
    pub url: String,
    status: Arc<AtomicU16>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Begins to take deliveries of numbered events, and writes them into the books.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(name: &str, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let listening = Listening::bind(([127, 0, 0, 1], 0).into(), None).await?;
        let url = format!("http://{}/{name}", listening.address);
        let status = Arc::new(AtomicU16::new(200));
        let (open, gate) = watch::channel(true);
        let (answered, noted) = (status.clone(), name.to_owned());
        let task = tokio::spawn(listening.run(Arc::new(move |arrival| {
            let (ledger, status, noted, gate) =
                (ledger.clone(), answered.clone(), noted.clone(), gate.clone());
            Box::pin(async move { answer(&ledger, &noted, &status, gate, &arrival).await })
        })));
        Ok(Self { url, status, open, task })
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// While it is closed, requests are neither written down nor answered.
    pub fn set_open(&self, is_open: bool) {
        self.open.send_replace(is_open);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    ledger: &Ledger,
    name: &str,
    status: &AtomicU16,
    mut gate: watch::Receiver<bool>,
    arrival: &Arrival,
) -> Reply {
    if gate.wait_for(|is_open| *is_open).await.is_err() {
        return Reply::empty(StatusCode::SERVICE_UNAVAILABLE);
    }
    let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap_or(StatusCode::OK);
    if let Some(number) = number_of(&arrival.body) {
        ledger.receive(name, number, status.is_success());
    }
    Reply::empty(status)
}

/// The number that an event carries.
pub fn number_of(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["data"]["number"].as_u64()
}

/// Waits until something is so, looking often, and answers whether it became so in time.
pub async fn becomes(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = tokio::time::Instant::now() + patience;
    while !is_so() {
        if tokio::time::Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}
