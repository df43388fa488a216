//! Receivers with manners, who write everything into a [`Diary`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use posthaste::receiver::{Arrival, Receiver as Listening, Reply};
use tokio::task::JoinHandle;

use super::diary::Diary;
use super::receiver::number_of;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With success, at once.
    Prompt,
    /// With success, after a while.
    Slow(Duration),
    /// With 500, always.
    Failing,
    /// Never.
    Silent,
}

/// A receiver over plain HTTP. It answers until it is dropped.
pub struct Mailbox {
    /// Its name in the diary, and the path of its URL.
    pub name: &'static str,
    /// Where webhooks point to reach it.
    pub url: String,
    under_way: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Mailbox {
    /// Begins to take deliveries of numbered events.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(name: &'static str, manner: Manner, diary: &Arc<Diary>) -> anyhow::Result<Self> {
        let listening = Listening::bind(([127, 0, 0, 1], 0).into(), None).await?;
        let url = format!("http://{}/{name}", listening.address);
        let under_way = Arc::new(AtomicU64::new(0));
        let (diary, counted) = (diary.clone(), under_way.clone());
        let task = tokio::spawn(listening.run(Arc::new(move |arrival| {
            let (diary, counted) = (diary.clone(), counted.clone());
            Box::pin(async move {
                let _here = Here::come(&counted);
                answer(manner, &diary, &arrival).await
            })
        })));
        Ok(Self { name, url, under_way, task })
    }

    /// How many requests arrived and are not answered yet.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request that waits for its answer, or whose sender has gone.
struct Here<'c>(&'c AtomicU64);

impl<'c> Here<'c> {
    fn come(count: &'c AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(manner: Manner, diary: &Diary, arrival: &Arrival) -> Reply {
    let place = number_of(&arrival.body).map(|number| (number, diary.arrive(number, arrival)));
    match manner {
        Manner::Prompt => {}
        Manner::Slow(delay) => tokio::time::sleep(delay).await,
        Manner::Failing => return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        Manner::Silent => std::future::pending().await,
    }
    if let Some((number, place)) = place {
        diary.take(number, arrival, place);
    }
    Reply::empty(StatusCode::OK)
}
