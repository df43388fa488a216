//! A receiver on this machine that writes down what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::ledger::Ledger;
use super::listener::{Gate, Listener, Reply};

/// A receiver over plain HTTP. It answers until it is dropped.
pub struct Receiver {
    /// Where webhooks point to reach it.
    pub url: String,
    status: Arc<AtomicU16>,
    gate: Arc<Gate>,
    _listener: Listener,
}

impl Receiver {
    /// Begins to take deliveries of numbered events, and writes them into the books.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(name: &str, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let (status, gate) = (Arc::new(AtomicU16::new(200)), Arc::new(Gate::new(true)));
        let (answered, passed, noted) = (status.clone(), gate.clone(), name.to_owned());
        let listener = Listener::start(move |request| {
            let (passing, status, ledger, name) =
                (passed.passing(), answered.clone(), ledger.clone(), noted.clone());
            async move {
                passing.await;
                let reply = Reply::of(status.load(Ordering::Relaxed));
                if let Some(number) = request.number() {
                    ledger.receive(&name, number, reply.is_success());
                }
                reply
            }
        })
        .await?;
        Ok(Self { url: listener.url(name), status, gate, _listener: listener })
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// While it is closed, requests are neither written down nor answered.
    pub fn set_open(&self, is_open: bool) {
        self.gate.set(is_open);
    }
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
