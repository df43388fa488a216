//! What is done again and again from several sides at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::ledger::Ledger;
use super::publishing::{Numbers, Product, Told};

/// Publishers at work, until they are told to stop or nobody answers.
#[derive(Default)]
pub struct Publishers {
    stop: Arc<AtomicBool>,
    /// Each says whether it ended before it was told to.
    tasks: JoinSet<bool>,
}

impl Publishers {
    /// So many publish events for an account.
    pub fn start(count: usize, product: &Product, numbers: &Numbers, ledger: &Arc<Ledger>) -> Self {
        let mut publishers = Self::default();
        for _ in 0..count {
            let (product, numbers, ledger) = (product.clone(), numbers.clone(), ledger.clone());
            publishers.add(move || {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let (product, ledger) = (product.clone(), ledger.clone());
                async move { product.publish(number, &ledger).await != Told::Nothing }
            });
        }
        publishers
    }

    /// One more does something again and again, which says whether anybody is there.
    pub fn add<A, F>(&mut self, again: A)
    where
        A: Fn() -> F + Send + 'static,
        F: Future<Output = bool> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if !again().await {
                    return true;
                }
            }
            false
        });
    }

    /// Tells them to stop and waits for their last answers; answers how many had ended before.
    pub async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().filter(|has_ended| *has_ended).count()
    }
}
