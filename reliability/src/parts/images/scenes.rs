//! What the program goes through while it is recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::json;

use super::load::{Caller, open};
use super::promise::Thing;
use super::recording::Recorder;
use crate::dice::Dice;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{PATIENCE, Server};

/// A course of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// The first moments of a store.
    Young,
    /// Some of everything, an orderly end, a start, and more.
    Varied,
    /// Killed at syncs and started again; publishers repeat what nobody answered.
    Killed,
    /// So much that the log is written back and begun anew.
    Long,
}

/// An account with receivers that take everything and nothing.
struct Setting {
    taking: Receiver,
    failing: Receiver,
}

/// Published by nobody else in a trace.
type Numbers = std::ops::Range<u64>;

impl Scene {
    /// All, with their names.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Young, "young"), (Self::Varied, "varied"), (Self::Killed, "killed"), (Self::Long, "long")];

    /// Plays it.
    ///
    /// # Errors
    /// If the program does not do as it should while nothing is wrong with its disk.
    pub async fn play(self, recorder: &mut Recorder, dice: &mut Dice) -> anyhow::Result<()> {
        let setting = Setting::new().await?;
        match self {
            Self::Young => young(recorder, &setting, dice).await,
            Self::Varied => varied(recorder, &setting).await,
            Self::Killed => killed(recorder, &setting, dice).await,
            Self::Long => long(recorder, &setting).await,
        }
    }
}

impl Setting {
    async fn new() -> anyhow::Result<Self> {
        let diary = Arc::default();
        let taking = Receiver::start("taking", Manner::Prompt, &diary).await?;
        let failing = Receiver::start("failing", Manner::Refusing(500), &diary).await?;
        Ok(Self { taking, failing })
    }

    /// Makes the account and its webhooks; answers its key and the webhook that takes everything.
    async fn make(&self, caller: &mut Caller, recorder: &Recorder) -> anyhow::Result<(Thing, Thing)> {
        caller.account("acme").await?;
        let (key, _) = caller.key("acme").await?;
        let taking = caller.webhook(&key, &self.taking.url).await?;
        let failing = caller.webhook(&key, &self.failing.url).await?;
        let mut books = open(&recorder.books);
        books.account = "acme".to_owned();
        books.steady = vec![taking.clone(), failing];
        Ok((key, taking))
    }
}

async fn end(mut server: Server) -> anyhow::Result<()> {
    server.end().await
}

async fn young(recorder: &mut Recorder, setting: &Setting, dice: &mut Dice) -> anyhow::Result<()> {
    const SYNCS_OF_A_FIRST_START: u64 = 12;
    if !dice.once_in(3) {
        drop(recorder.start_to_die(1 + dice.below(SYNCS_OF_A_FIRST_START)).await);
    }
    let server = recorder.start().await?;
    let mut caller = Caller::new(&server, &recorder.books)?;
    setting.make(&mut caller, recorder).await?;
    for number in 0..10 {
        caller.publish(&[number], 0).await?;
    }
    end(server).await
}

async fn varied(recorder: &mut Recorder, setting: &Setting) -> anyhow::Result<()> {
    let server = recorder.start().await?;
    let mut caller = Caller::new(&server, &recorder.books)?;
    let (key, taking) = setting.make(&mut caller, recorder).await?;
    let singles = [0..40, 40..80, 80..120];
    let mut publishers = Vec::new();
    for numbers in singles {
        publishers.push(publish(Caller::new(&server, &recorder.books)?, numbers, 1));
    }
    publishers.push(publish(Caller::new(&server, &recorder.books)?, 120..180, 10));
    tokio::try_join!(try_join_all(publishers), meddle(&mut caller, &key, &setting.taking.url, "first"))?;
    caller.read_deliveries(&taking).await?;
    rotate(&mut caller).await?;
    end(server).await?;
    let server = recorder.start().await?;
    let mut caller = Caller::new(&server, &recorder.books)?;
    let publishing = publish(Caller::new(&server, &recorder.books)?, 180..200, 1);
    tokio::try_join!(publishing, meddle(&mut caller, &key, &setting.taking.url, "second"))?;
    caller.read_deliveries(&taking).await?;
    end(server).await
}

async fn publish(mut caller: Caller, numbers: Numbers, batch: usize) -> anyhow::Result<()> {
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(batch) {
        ensure!(caller.publish(some, 100).await?, "no answer");
    }
    Ok(())
}

/// Makes things and takes some of them away.
async fn meddle(caller: &mut Caller, key: &Thing, url: &str, round: &str) -> anyhow::Result<()> {
    for turn in 0..5 {
        let name = format!("{round}-{turn}");
        let account = caller.account(&name).await?;
        let (own, id) = caller.key(&name).await?;
        let webhook = caller.webhook(&own, &format!("{url}/{name}")).await?;
        let extra = caller.webhook(key, &format!("{url}/extra-{name}")).await?;
        let (token, token_id) = caller.token(&name).await?;
        caller.delete_webhook(key, &extra).await?;
        match turn % 3 {
            0 => caller.delete(&format!("/accounts/{name}"), &[&account, &own, &webhook]).await?,
            1 => caller.delete(&format!("/accounts/{name}/keys/{id}"), &[&own]).await?,
            _ => caller.delete(&format!("/tokens/{token_id}"), &[&token]).await?,
        }
    }
    Ok(())
}

/// A new master key, until everything is sealed under it.
async fn rotate(caller: &mut Caller) -> anyhow::Result<()> {
    caller.ask("POST", "/secrets/rotate", &json!({})).await?;
    let until = tokio::time::Instant::now() + PATIENCE;
    while caller.ask("GET", "/secrets", &serde_json::Value::Null).await?["state"] != "settled" {
        ensure!(tokio::time::Instant::now() < until, "the master key is not rotated in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn killed(recorder: &mut Recorder, setting: &Setting, dice: &mut Dice) -> anyhow::Result<()> {
    const LIVES: u64 = 6;
    const PUBLISHERS: u64 = 3;
    const EVENTS: u64 = 40;
    let server = recorder.start().await?;
    setting.make(&mut Caller::new(&server, &recorder.books)?, recorder).await?;
    end(server).await?;
    let mut next = 0;
    let mut open_still = Vec::new();
    for life in 0..LIVES {
        if life == LIVES / 2 {
            // Its log is written back, and images stay small.
            end(recorder.start().await?).await?;
        }
        let Some(mut server) = recorder.start_to_die(2 + dice.below(30)).await else { continue };
        // Before anything else is written: what the start found in the log is all there is of some of them.
        let repeated = std::mem::take(&mut open_still);
        for number in &repeated {
            open_still
                .extend(publish_until_it_ends(Caller::new(&server, &recorder.books)?, vec![*number]).await?);
        }
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let first = next + publisher * EVENTS;
                let numbers = (first..first + EVENTS).collect();
                Ok(publish_until_it_ends(Caller::new(&server, &recorder.books)?, numbers))
            })
            .collect::<anyhow::Result<_>>()?;
        next += PUBLISHERS * EVENTS;
        open_still.extend(try_join_all(publishers).await?.concat());
        server.kill().await?;
    }
    let server = recorder.start().await?;
    let mut caller = Caller::new(&server, &recorder.books)?;
    for number in open_still {
        ensure!(caller.publish(&[number], 100).await?, "no answer");
    }
    end(server).await
}

/// Answers what it tried and got no answer to.
async fn publish_until_it_ends(mut caller: Caller, numbers: Vec<u64>) -> anyhow::Result<Vec<u64>> {
    for number in numbers {
        if !caller.publish(&[number], 100).await? {
            return Ok(vec![number]);
        }
    }
    Ok(Vec::new())
}

async fn long(recorder: &mut Recorder, setting: &Setting) -> anyhow::Result<()> {
    /// Together more than the thousand pages of 8 KiB from which on the log is written back.
    const PADDING_BYTES: usize = 100_000;
    const EVENTS: u64 = 100;
    const BURSTS: u64 = 3;
    let server = recorder.start().await?;
    let mut caller = Caller::new(&server, &recorder.books)?;
    let (_, taking) = setting.make(&mut caller, recorder).await?;
    for burst in 0..BURSTS {
        for first in (0..EVENTS).step_by(5) {
            let numbers: Vec<u64> = (first..first + 5).map(|number| burst * EVENTS + number).collect();
            ensure!(caller.publish(&numbers, PADDING_BYTES).await?, "no answer");
        }
        caller.read_deliveries(&taking).await?;
        until_written_back(recorder.data().as_path()).await?;
    }
    end(server).await
}

/// Waits until the file has grown by what the log held.
async fn until_written_back(data: &Path) -> anyhow::Result<()> {
    let database = data.join("posthaste.db");
    let size = || anyhow::Ok(database.metadata().context("there is no store")?.len());
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let now = size()?;
        if now > 0 && now == before {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < until, "the log is not written back");
        before = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
