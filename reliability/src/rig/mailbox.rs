//! Receivers with manners, who write everything into a [`Diary`].

use std::sync::Arc;
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
        let diary = diary.clone();
        let task = tokio::spawn(listening.run(Arc::new(move |arrival| {
            let diary = diary.clone();
            Box::pin(async move { answer(manner, &diary, &arrival).await })
        })));
        Ok(Self { name, url, task })
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
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
