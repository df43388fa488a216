//! A receiver of many webhooks that can be closed, has a capacity, and says when and how many came at one time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The webhook's number in the path that it was registered with.
pub type Webhook = u32;

/// How requests are answered.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long an answer takes.
    pub takes: Duration,
    /// How many requests it takes in a second; beyond that it answers 429 and asks for [`ASKED_FOR`].
    pub per_second: Option<usize>,
}

/// What the receiver asks for in `Retry-After`.
pub const ASKED_FOR: Duration = Duration::from_secs(2);
/// More than any request here.
const REQUEST_MAX: usize = 64 * 1024;

/// A request that came.
#[derive(Debug, Clone, Copy)]
pub struct Knock {
    /// When.
    pub at: Instant,
    /// To which webhook.
    pub webhook: Webhook,
    /// The number of its event.
    pub number: u64,
    /// Was it taken?
    pub is_taken: bool,
    /// Requests of this webhook under way, this one among them.
    pub at_one_time: usize,
    /// Requests of all webhooks under way, this one among them.
    pub in_all: usize,
    /// How many of this webhook had been answered with success before.
    pub taken_before: usize,
    /// How many of all webhooks had been answered before.
    pub answered_before: usize,
}

#[derive(Default)]
struct Book {
    knocks: Vec<Knock>,
    under_way: HashMap<Webhook, usize>,
    taken: HashMap<Webhook, usize>,
    in_all: usize,
    answered: usize,
    given_up: usize,
}

/// The receiver. It answers until it is dropped.
pub struct Door {
    /// Where webhooks point, less the number.
    pub base: String,
    open: watch::Sender<bool>,
    book: Arc<Mutex<Book>>,
    task: JoinHandle<()>,
}

impl Door {
    /// Begins to take requests; while it is closed none is answered.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(manner: Manner, is_open: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let (open, gate) = watch::channel(is_open);
        let book = Arc::<Mutex<Book>>::default();
        let kept = book.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, gate.clone(), kept.clone()));
            }
        });
        Ok(Self { base, open, book, task })
    }

    /// Answers from now on, those too that wait.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// What came so far.
    pub fn knocks(&self) -> Vec<Knock> {
        lock(&self.book).knocks.clone()
    }

    /// How many callers hung up before they were answered.
    pub fn given_up(&self) -> usize {
        lock(&self.book).given_up
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        lock(&self.book).knocks.len()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, request after request. A caller that gives up is noticed.
async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    mut gate: watch::Receiver<bool>,
    book: Arc<Mutex<Book>>,
) {
    let (mut bytes, mut ahead) = (Vec::new(), [0]);
    while let Ok((webhook, number)) = request(&mut stream, &mut bytes).await {
        let is_taken = arrive(&book, webhook, number, manner);
        let answering = async {
            let _ = gate.wait_for(|is_open| *is_open).await;
            tokio::time::sleep(manner.takes).await;
        };
        let is_there = tokio::select! {
            () = answering => true,
            _ = stream.peek(&mut ahead) => false,
        };
        leave(&book, webhook, is_taken, is_there);
        let answer = match is_taken {
            true => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            false => format!(
                "HTTP/1.1 429 Too Many Requests\r\nretry-after: {}\r\ncontent-length: 0\r\n\r\n",
                ASKED_FOR.as_secs()
            ),
        };
        if !is_there || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads one request: the number in its path and that of its event.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<(Webhook, u64)> {
    bytes.clear();
    loop {
        let text = String::from_utf8_lossy(bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= length_of(head)?
        {
            let path = head.split(' ').nth(1).context("no path")?;
            let number = body.split_once("\"number\":").context("no number")?.1;
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            return Ok((path.trim_start_matches('/').parse()?, digits.parse()?));
        }
        anyhow::ensure!(bytes.len() < REQUEST_MAX, "a request of that size");
        anyhow::ensure!(stream.read_buf(bytes).await? > 0, "the caller is gone");
    }
}

fn length_of(head: &str) -> anyhow::Result<usize> {
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().to_owned())
    });
    Ok(line.context("no length")?.parse()?)
}

fn arrive(book: &Mutex<Book>, webhook: Webhook, number: u64, manner: Manner) -> bool {
    let (mut book, now) = (lock(book), Instant::now());
    let in_last_second = |knock: &&Knock| now.duration_since(knock.at) < Duration::from_secs(1);
    let lately = |book: &Book| {
        book.knocks.iter().rev().take_while(in_last_second).filter(|knock| knock.is_taken).count()
    };
    let is_taken = manner.per_second.is_none_or(|most| lately(&book) < most);
    book.in_all += 1;
    let under_way = book.under_way.entry(webhook).or_default();
    *under_way += 1;
    let at_one_time = *under_way;
    let taken_before = book.taken.get(&webhook).copied().unwrap_or_default();
    let (in_all, answered_before) = (book.in_all, book.answered);
    book.knocks.push(Knock {
        at: now,
        webhook,
        number,
        is_taken,
        at_one_time,
        in_all,
        taken_before,
        answered_before,
    });
    is_taken
}

fn leave(book: &Mutex<Book>, webhook: Webhook, is_taken: bool, is_there: bool) {
    let mut book = lock(book);
    book.in_all -= 1;
    book.answered += 1;
    book.given_up += usize::from(!is_there);
    if let Some(under_way) = book.under_way.get_mut(&webhook) {
        *under_way -= 1;
    }
    *book.taken.entry(webhook).or_default() += usize::from(is_taken && is_there);
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
