//! Receivers with manners, who write everything into a [`Diary`].

use std::sync::Arc;
use std::time::Duration;

use super::diary::Diary;
use super::listener::{Listener, Reply, Request};

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
    _listener: Listener,
}

impl Mailbox {
    /// Begins to take deliveries of numbered events.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(name: &'static str, manner: Manner, diary: &Arc<Diary>) -> anyhow::Result<Self> {
        let diary = diary.clone();
        let listener = Listener::start(move |request| answer(manner, diary.clone(), request)).await?;
        Ok(Self { name, url: listener.url(name), _listener: listener })
    }
}

async fn answer(manner: Manner, diary: Arc<Diary>, request: Request) -> Reply {
    let place = diary.arrive(&request);
    match manner {
        Manner::Prompt => {}
        Manner::Slow(delay) => tokio::time::sleep(delay).await,
        Manner::Failing => return Reply::of(500),
        Manner::Silent => std::future::pending().await,
    }
    if let Some(place) = place {
        diary.take(place);
    }
    Reply::OK
}
