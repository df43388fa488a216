//! Products that publish at an even pace and do not give an event up when they are told that there is no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::context::Context;
use crate::rig::ledger::Ledger;
use crate::rig::publishing::{Product, Told};

/// Publishers at one time, and the rest between two calls of each.
const PUBLISHERS: usize = 4;
const REST: Duration = Duration::from_millis(10);
/// Bytes of padding in each event.
const PADDING: usize = 500;

/// Publishers at work.
pub struct Steady {
    counts: Arc<Counts>,
    tasks: JoinSet<Vec<String>>,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    next: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Steady {
    /// They begin.
    pub fn start(product: &Product, ledger: &Arc<Ledger>) -> Self {
        let (counts, mut tasks) = (Arc::new(Counts::default()), JoinSet::new());
        for _ in 0..PUBLISHERS {
            tasks.spawn(publish(product.clone().padded(PADDING), counts.clone(), ledger.clone()));
        }
        Self { counts, tasks }
    }

    /// How many events were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// How many calls were refused for want of room so far.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// They end. Answers how many calls were refused; what else they were told is objected to.
    pub async fn stop(mut self, context: &Context) -> u64 {
        self.counts.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.into_iter().flatten().for_each(|odd| context.object(odd));
        }
        self.refused()
    }
}

async fn publish(product: Product, counts: Arc<Counts>, ledger: Arc<Ledger>) -> Vec<String> {
    const ODD_MAX: usize = 5;
    let mut odd = Vec::new();
    while !counts.is_over.load(Ordering::Relaxed) {
        let number = counts.next.fetch_add(1, Ordering::Relaxed);
        loop {
            let told = product.ask(number).await;
            match &told {
                Told::Accepted(id) => {
                    ledger.acknowledge(number, id);
                    counts.accepted.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                told if told.is_full() => _ = counts.refused.fetch_add(1, Ordering::Relaxed),
                told => odd.push(format!("publishing beside a full disk is answered {told:?}")),
            }
            if counts.is_over.load(Ordering::Relaxed) || odd.len() >= ODD_MAX {
                return odd;
            }
            tokio::time::sleep(REST).await;
        }
        tokio::time::sleep(REST).await;
    }
    odd
}
