//! Receivers that refuse at first, and say when to come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::rig::receiver::number_of;

/// The wait that `/later` asks for.
pub const ASKED_MS: u64 = 2_000;

/// When attempts came, by receiver and event.
type Visits = BTreeMap<(String, u64), Vec<Instant>>;

/// At `/flaky` an event is refused three times; at `/later` and `/sooner` once, with a wait longer or shorter than the
/// contract's; `/far` asks for two hours.
pub struct Receivers {
    pub base: String,
    visits: Arc<Mutex<Visits>>,
    task: JoinHandle<()>,
}

impl Receivers {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let visits = Arc::new(Mutex::new(Visits::new()));
        let written = visits.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let written = written.clone();
                // How a sender ends its connection is its own affair.
                tokio::spawn(async move { serve(stream, &written).await });
            }
        });
        Ok(Self { base, visits, task })
    }

    /// How many events came so often to a receiver.
    pub fn visits(&self, path: &str, times: usize) -> u64 {
        let visits = lock(&self.visits);
        visits.iter().filter(|((known, _), at)| known == path && at.len() >= times).count() as u64
    }

    pub fn all(&self) -> Visits {
        lock(&self.visits).clone()
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(visits: &Mutex<Visits>) -> MutexGuard<'_, Visits> {
    visits.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, visits: &Mutex<Visits>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let (path, body) = request(&mut stream).await?;
        let number = number_of(&body).context("an event without a number")?;
        let answer = answer(&mut lock(visits), path, number);
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The path of the next request without its slash, and its body.
async fn request(stream: &mut BufReader<TcpStream>) -> anyhow::Result<(String, Vec<u8>)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the end");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(target) = line.strip_prefix("post /") {
            path = target.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if line.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            return Ok((path, body));
        }
    }
}

/// Writes down that an attempt came, and what it is answered.
fn answer(visits: &mut Visits, path: String, number: u64) -> String {
    let of_it = visits.entry((path.clone(), number)).or_default();
    of_it.push(Instant::now());
    respond(of_it.len(), &path)
}

fn respond(times: usize, path: &str) -> String {
    let (status, header) = match (path, times) {
        ("flaky", 1..=3) => ("500 Internal Server Error", String::new()),
        ("later", 1) => ("503 Service Unavailable", format!("retry-after: {}\r\n", ASKED_MS / 1_000)),
        ("sooner", 1) => ("429 Too Many Requests", "retry-after: 0\r\n".to_owned()),
        ("far", _) => ("503 Service Unavailable", "retry-after: 7200\r\n".to_owned()),
        _ => ("200 OK", String::new()),
    };
    format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\n\r\n")
}
