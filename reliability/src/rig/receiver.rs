//! Receivers with manners, who write everything into a [`Diary`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

use super::diary::Diary;
use super::ledger::Ledger;
use super::listener::{Gate, Listener, Reply};

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With success, at once.
    Prompt,
    /// With success, after a while.
    Slow(Duration),
    /// With this status, always.
    Refusing(u16),
    /// Never.
    Silent,
}

/// A receiver over plain HTTP. It answers until it is dropped.
pub struct Receiver {
    /// Its name in the diary, and the path of its URL.
    pub name: &'static str,
    /// Where webhooks point to reach it.
    pub url: String,
    /// What it got.
    pub diary: Arc<Diary>,
    manner: Arc<Mutex<Manner>>,
    gate: Arc<Gate>,
    listener: Listener,
}

impl Receiver {
    /// Begins to take deliveries of numbered events.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(name: &'static str, manner: Manner, diary: &Arc<Diary>) -> anyhow::Result<Self> {
        let (manner, gate) = (Arc::new(Mutex::new(manner)), Arc::new(Gate::new(true)));
        let (kept, passed, written) = (manner.clone(), gate.clone(), diary.clone());
        let listener = Listener::start(move |request| {
            let (passing, manner, diary) = (passed.passing(), kept.clone(), written.clone());
            async move {
                passing.await;
                let manner = *manner.lock().unwrap_or_else(PoisonError::into_inner);
                let place = diary.arrive(&request);
                let reply = manner.answer().await;
                place.filter(|_| reply.is_success()).into_iter().for_each(|place| diary.take(place));
                reply
            }
        })
        .await?;
        Ok(Self { name, url: listener.url(name), diary: diary.clone(), manner, gate, listener })
    }

    /// Waits until it has read what a process sent that is gone.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn drained(&self) -> anyhow::Result<()> {
        self.listener.drained().await.with_context(|| self.name)
    }

    /// How it answers from now on.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// While it is closed, requests are neither written down nor answered.
    pub fn set_open(&self, is_open: bool) {
        self.gate.set(is_open);
    }

    /// Acknowledged events that it has never taken with success.
    pub fn missing(&self, ledger: &Ledger) -> Vec<u64> {
        let taken = self.diary.taken(self.name);
        ledger.acknowledged_ids().into_keys().filter(|number| !taken.contains(number)).collect()
    }

    /// Copies beyond the first that it had taken with success: repeats that its answer did not cause.
    pub fn repeated(&self) -> usize {
        let taken = |copies: &[super::diary::Copy]| copies.iter().filter(|copy| copy.is_taken).count();
        self.diary.at(self.name).values().map(|all| taken(&all.copies).saturating_sub(1)).sum()
    }
}

impl Manner {
    async fn answer(self) -> Reply {
        match self {
            Self::Prompt => Reply::OK,
            Self::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Reply::OK
            }
            Self::Refusing(status) => Reply::of(status),
            Self::Silent => std::future::pending().await,
        }
    }
}
