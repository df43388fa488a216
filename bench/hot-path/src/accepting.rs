//! The way in less HTTP, and of that the commit alone: what [`crate::publishing`] counts once more, piece by piece.

use std::sync::Arc;

use anyhow::Context as _;
use posthaste_api::publishing::Publisher;
use posthaste_contract::Contract;
use posthaste_core::{Audience, EventBody, Seq};
use posthaste_store::{EventDraft, Inline};
use tokio::runtime::Runtime;

use crate::outside::{NOW, StoppedClock};
use crate::scene::{EVENT, EVENTS_A_ROUND};

/// Accepts events as the server does when it has read a request.
pub struct Accepting {
    runtime: Runtime,
    publisher: Publisher,
    store: Arc<Inline>,
}

impl Accepting {
    /// Accepts into `store`.
    pub fn new(contract: Arc<Contract>, store: Arc<Inline>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let publisher = Publisher::new(contract, store.clone(), Arc::new(StoppedClock));
        Ok(Self { runtime, publisher, store })
    }

    /// Reads, checks and accepts a round of events.
    pub fn round(&mut self) -> anyhow::Result<()> {
        let Self { runtime, publisher, .. } = self;
        runtime.block_on(async {
            for _ in 0..EVENTS_A_ROUND {
                let ask = publisher.read(EVENT.as_bytes(), None)?;
                publisher.publish(ask).await?;
            }
            Ok(())
        })
    }

    /// Nobody delivers what is accepted here.
    pub fn forget(&self) {
        drop(self.store.take_hints());
    }
}

/// Commits events whose bodies are ready.
pub struct Committing {
    store: Arc<Inline>,
    audience: Audience,
    event_type: Arc<str>,
    body: EventBody,
}

impl Committing {
    /// Commits to `store` what came last into `accepted`.
    pub fn new(store: Arc<Inline>, accepted: &Inline) -> anyhow::Result<Self> {
        let event = accepted.events_after(Seq(0), 1)?.pop().context("nothing was accepted yet")?;
        let (audience, event_type) = (event.audience, event.event_type.clone());
        Ok(Self { store, audience, event_type, body: event.body.clone() })
    }

    /// Commits a round of events, each in a transaction of its own.
    pub fn round(&mut self) -> anyhow::Result<()> {
        for _ in 0..EVENTS_A_ROUND {
            let draft = EventDraft {
                audience: self.audience,
                event_type: self.event_type.clone(),
                send_at: None,
                idempotency: None,
                ordering_key: None,
                reading: None,
                test_by: None,
            };
            for published in self.store.publish(vec![draft], &|_, _, _| self.body.clone(), NOW)? {
                published?;
            }
        }
        Ok(())
    }

    /// Nobody delivers what is committed here.
    pub fn forget(&self) {
        drop(self.store.take_hints());
    }
}
