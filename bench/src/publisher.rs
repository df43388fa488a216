//! The load: publishes events over keep-alive connections, each with one request under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::histogram::{Histogram, Summary};
use crate::pace::Pace;
use crate::payload::filled;
use crate::request::{MESSAGE_MAX_BYTES, first, status};

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
    let options = Arc::new(options);
    let (began, began_us) = (Instant::now(), clock::unix_us());
    let mut publishers = JoinSet::new();
    for number in 0..options.connections {
        publishers.spawn(Publisher::new(options.clone(), number, began).run());
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
    options: Arc<Options>,
    number: u32,
    pace: Pace,
    until: Instant,
    buffer: Vec<u8>,
    done: Done,
}

impl Publisher {
    fn new(options: Arc<Options>, number: u32, began: Instant) -> Self {
        Self {
            pace: Pace::new(options.per_second, options.connections, number, began),
            until: began + Duration::from_secs(options.seconds),
            number,
            options,
            buffer: Vec::with_capacity(16 * 1024),
            done: Done::default(),
        }
    }

    async fn run(mut self) -> anyhow::Result<Done> {
        let mut stream = TcpStream::connect(self.options.server).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        for count in 1..=self.options.requests {
            self.pace.turn(count).await;
            if Instant::now() >= self.until {
                break;
            }
            let request = self.request(count);
            let sent = Instant::now();
            timeout(PATIENCE, self.exchange(&mut stream, &request)).await.context("no answer in time")??;
            self.done.answer.add(sent.elapsed().as_micros() as u64);
        }
        Ok(self.done)
    }

    /// The whole request; its events are numbered without gaps over all connections.
    fn request(&self, count: u64) -> String {
        let options = &*self.options;
        let first_number = ((count - 1) * u64::from(options.connections) + u64::from(self.number))
            * u64::from(options.batch);
        let (path, body) = match options.batch {
            1 => ("/admin/v1/events", self.event(first_number)),
            many => {
                let events: Vec<String> =
                    (0..u64::from(many)).map(|n| self.event(first_number + n)).collect();
                ("/admin/v1/events/batch", format!("[{}]", events.join(",")))
            }
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            options.server,
            options.token,
            body.len(),
        )
    }

    fn event(&self, number: u64) -> String {
        let data = filled(clock::unix_us(), number, self.options.data_bytes);
        match &self.options.account {
            Some(account) => format!(r#"{{"type":"bench.event","account":"{account}","data":{data}}}"#),
            None => format!(r#"{{"type":"bench.event","broadcast":true,"data":{data}}}"#),
        }
    }

    async fn exchange(&mut self, stream: &mut TcpStream, request: &str) -> anyhow::Result<()> {
        stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            ensure!(stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            ensure!(self.buffer.len() <= MESSAGE_MAX_BYTES, "the answer is too long");
            let Some(answer) = first(&self.buffer) else { continue };
            let Some(status) = status(&self.buffer) else { bail!("the answer has no status") };
            let batch = u64::from(self.options.batch);
            let accepted = match (status, batch) {
                (202, 1) => 1,
                (202, _) => accepted(&self.buffer[answer.body])?,
                _ => 0,
            };
            self.done.acknowledged += accepted;
            self.done.failed += batch - accepted.min(batch);
            return Ok(());
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
