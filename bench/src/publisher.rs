//! The load: publishes events over keep-alive connections, each with one request under way.

mod draft;
mod patience;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::clock;
use crate::histogram::{Histogram, Summary};
use crate::pace::Pace;
use crate::request::{MESSAGE_MAX_BYTES, Message, first, status};
use draft::Draft;
use patience::Patience;

/// How to publish.
#[derive(Args)]
pub struct Options {
    /// The server's admin listener.
    #[arg(long)]
    server: SocketAddr,
    /// The admin token.
    #[arg(long, env = "POSTHASTE_ADMIN_TOKEN", hide_env_values = true)]
    token: String,
    /// The account the events are for; otherwise they are broadcast.
    #[arg(long)]
    account: Option<String>,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// For how long.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// End after so many requests on each connection, if that is sooner.
    #[arg(long, default_value_t = u64::MAX)]
    requests: u64,
    /// Events in each request; more than one go to the batch route.
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// The length of each event's data.
    #[arg(long, default_value_t = 300)]
    data_bytes: usize,
    /// At most so many requests a second, evenly spread; otherwise as fast as they are answered.
    #[arg(long)]
    per_second: Option<u64>,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Events that were accepted.
    pub acknowledged: u64,
    /// Events that were refused or not answered; some of these may have been accepted.
    pub failed: u64,
    /// When the first request began, in microseconds since 1970.
    pub began_us: i64,
    /// How long it took.
    pub seconds: f64,
    /// Events accepted in a second.
    pub per_second: f64,
    /// The publisher's own processor time for each event.
    pub cpu_us_per_event: f64,
    /// From a request to its answer.
    pub answer: Summary,
}

/// The longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes for the given time, then prints what came of it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let (began, began_us) = (Instant::now(), clock::unix_us());
    let mut publishers = JoinSet::new();
    for number in 0..options.connections {
        publishers.spawn(Publisher::new(&options, number, began).run());
    }
    let mut total = Done::default();
    while let Some(ended) = publishers.join_next().await {
        let done = ended??;
        total.acknowledged += done.acknowledged;
        total.failed += done.failed;
        total.answer.merge(&done.answer);
    }
    let seconds = began.elapsed().as_secs_f64();
    let report = Report {
        acknowledged: total.acknowledged,
        failed: total.failed,
        began_us,
        seconds,
        per_second: total.acknowledged as f64 / seconds,
        cpu_us_per_event: clock::cpu_us() as f64 / total.acknowledged.max(1) as f64,
        answer: total.answer.summary(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

#[derive(Default)]
struct Done {
    acknowledged: u64,
    failed: u64,
    answer: Histogram,
}

/// One connection.
struct Publisher {
    server: SocketAddr,
    pace: Pace,
    until: Instant,
    requests: u64,
    /// Events in each request.
    batch: u64,
    /// The number of its first event, and how far it is from one request's first to the next.
    first_number: u64,
    stride: u64,
    draft: Draft,
    answer: Vec<u8>,
    done: Done,
}

impl Publisher {
    /// Events are numbered without gaps over all connections.
    fn new(options: &Options, number: u32, began: Instant) -> Self {
        let batch = u64::from(options.batch);
        Self {
            server: options.server,
            pace: Pace::new(options.per_second, options.connections, number, began),
            until: began + Duration::from_secs(options.seconds),
            requests: options.requests,
            batch,
            first_number: u64::from(number) * batch,
            stride: u64::from(options.connections) * batch,
            draft: Draft::new(options),
            answer: Vec::with_capacity(16 * 1024),
            done: Done::default(),
        }
    }

    async fn run(mut self) -> anyhow::Result<Done> {
        let mut stream = TcpStream::connect(self.server).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let mut patience = Patience::new(PATIENCE);
        for count in 1..=self.requests {
            self.pace.turn(count).await;
            if Instant::now() >= self.until {
                break;
            }
            let request = self.draft.write((count - 1) * self.stride + self.first_number);
            let sent = Instant::now();
            let exchange = exchange(&mut stream, request, &mut self.answer);
            let answer = patience.wait(sent, exchange).await.context("no answer in time")??;
            self.done.answer.add(sent.elapsed().as_micros() as u64);
            self.count(answer)?;
        }
        Ok(self.done)
    }

    fn count(&mut self, answer: Message) -> anyhow::Result<()> {
        let Some(status) = status(&self.answer) else { bail!("the answer has no status") };
        let accepted = match (status, self.batch) {
            (202, 1) => 1,
            (202, _) => accepted(&self.answer[answer.body])?,
            _ => 0,
        };
        self.done.acknowledged += accepted;
        self.done.failed += self.batch - accepted.min(self.batch);
        Ok(())
    }
}

/// Sends a request and reads its answer.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> anyhow::Result<Message> {
    stream.write_all(request).await?;
    answer.clear();
    loop {
        ensure!(stream.read_buf(answer).await? > 0, "the server closed the connection");
        ensure!(answer.len() <= MESSAGE_MAX_BYTES, "the answer is too long");
        if let Some(message) = first(answer)? {
            return Ok(message);
        }
    }
}

/// How many events of a batch were accepted.
fn accepted(body: &[u8]) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Answer {
        events: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        error: Option<serde::de::IgnoredAny>,
    }
    let answer: Answer = serde_json::from_slice(body).context("the answer to a batch cannot be read")?;
    Ok(answer.events.iter().filter(|item| item.error.is_none()).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_items_of_a_batch_do_not_count() {
        let body = br#"{"events":[{"id":"evt_1","type":"a"},{"error":{"status":422}},{"id":"evt_2"}]}"#;
        assert_eq!(accepted(body).unwrap(), 2);
        assert!(accepted(b"{").is_err());
    }
}
