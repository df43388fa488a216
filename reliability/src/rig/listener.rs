//! Takes HTTP requests on this machine, as many at one time as come, and hands them to whoever answers. It shares no code
//! with the program that is tried.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

/// More than any request here.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// As many as attempts may be under way at one time, or as the system allows.
const CALLERS_WAITING_MAX: u32 = 8 * 1024;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When all of it was there.
    pub at: Instant,
    /// Without its leading slash.
    pub path: String,
    /// In the order they came, with their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The number of its event.
    pub fn number(&self) -> Option<u64> {
        number_of(&self.body)
    }

    /// Bytes of padding in its event.
    pub fn padding(&self) -> Option<usize> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body["data"]["padding"].as_str().map(str::len)
    }
}

/// The number that an event carries.
pub fn number_of(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["data"]["number"].as_u64()
}

/// What a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    retry_after: Option<Duration>,
}

impl Reply {
    /// It is taken.
    pub const OK: Self = Self::of(200);

    /// With this status.
    pub const fn of(status: u16) -> Self {
        Self { status, retry_after: None }
    }

    /// The same, asking to come back after whole seconds.
    pub const fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Does it say that the event is taken?
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.status)
    }

    fn text(self) -> String {
        let wait = self.retry_after.map(|wait| format!("retry-after: {}\r\n", wait.as_secs()));
        format!("HTTP/1.1 {} .\r\n{}content-length: 0\r\n\r\n", self.status, wait.unwrap_or_default())
    }
}

/// Takes requests until it is dropped; then its connections end too.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    open: watch::Receiver<Open>,
    task: JoinHandle<()>,
}

/// The connections of a listener.
#[derive(Default)]
struct Open {
    /// How many there are.
    count: usize,
    /// The ports of callers that were accepted so far.
    accepted: BTreeSet<u16>,
}

impl Listener {
    /// Begins to take requests. A caller that hangs up drops the future of its answer.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start<A, F>(answer: A) -> anyhow::Result<Self>
    where
        A: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let answer = Arc::new(answer);
        let (told, open) = watch::channel(Open::default());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let mut caller = None;
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, peer)) = accepted else { return };
                        caller = Some(peer.port());
                        connections.spawn(serve(stream, answer.clone()));
                    }
                    // How a sender ends its connection is its own affair.
                    Some(_) = connections.join_next() => {}
                }
                told.send_modify(|open| {
                    open.count = connections.len();
                    open.accepted.extend(caller);
                });
            }
        });
        Ok(Self { address, open, task })
    }

    /// Waits until all is read that callers sent who are gone: what they sent last may lie in their sockets for a while. None
    /// may be left who could call.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn drained(&self) -> anyhow::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        // Callers are accepted in their order, so all are once this one is.
        let last = TcpStream::connect(self.address).await?;
        let port = last.local_addr()?.port();
        let mut open = self.open.clone();
        let drained = async {
            open.wait_for(|open| open.accepted.contains(&port)).await?;
            drop(last);
            open.wait_for(|open| open.count == 0).await.map(drop)
        };
        timeout(PATIENCE, drained).await.context("connections of a process that is gone do not end")??;
        Ok(())
    }

    /// Where a webhook points to reach it by this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at a free port. Callers wait for as long as it takes until they are accepted: where the queue is full the system
/// drops who comes, and they come again after a second, which some parts allow for the whole request.
fn listen() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(socket.listen(CALLERS_WAITING_MAX)?)
}

/// One connection, request after request.
async fn serve<A, F>(mut stream: TcpStream, answer: Arc<A>) -> anyhow::Result<()>
where
    A: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    stream.set_nodelay(true)?;
    let (mut bytes, mut ahead) = (Vec::new(), [0]);
    loop {
        let request = read(&mut stream, &mut bytes).await?;
        let reply = tokio::select! {
            biased;
            reply = answer(request) => reply,
            // A sender says nothing before it is answered: it has hung up.
            _ = stream.peek(&mut ahead) => return Ok(()),
        };
        stream.write_all(reply.text().as_bytes()).await?;
    }
}

/// Reads one request, and leaves in `bytes` what comes behind it.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<Request> {
    const END: &[u8] = b"\r\n\r\n";
    let head_bytes = loop {
        match bytes.windows(END.len()).position(|window| window == END) {
            Some(at) => break at + END.len(),
            None => read_more(stream, bytes).await?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_bytes]).into_owned();
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).context("no path")?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").context("no length")?;
    let bytes_in_all = head_bytes + length.1.parse::<usize>()?;
    while bytes.len() < bytes_in_all {
        read_more(stream, bytes).await?;
    }
    let body = bytes[head_bytes..bytes_in_all].to_vec();
    bytes.drain(..bytes_in_all);
    Ok(Request { at: Instant::now(), path: path.trim_start_matches('/').to_owned(), headers, body })
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    ensure!(bytes.len() < REQUEST_BYTES_MAX, "a request of that size");
    ensure!(stream.read_buf(bytes).await? > 0, "the caller is gone");
    Ok(())
}

/// A gate that holds answers back while it is closed.
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A gate.
    pub fn new(is_open: bool) -> Self {
        Self(watch::Sender::new(is_open))
    }

    /// Opens or closes it.
    pub fn set(&self, is_open: bool) {
        self.0.send_replace(is_open);
    }

    /// Comes through as soon as it is open.
    pub fn passing(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut gate = self.0.subscribe();
        async move {
            let _ = gate.wait_for(|is_open| *is_open).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_lies_in_the_sockets_of_callers_that_are_gone_is_read() {
        let noted = Arc::new(AtomicUsize::new(0));
        let counted = noted.clone();
        let listener = Listener::start(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Reply::OK)
        });
        let listener = listener.await.unwrap();
        for _ in 0..20 {
            // Nothing waits here, so nothing is accepted or read.
            let mut caller = std::net::TcpStream::connect(listener.address).unwrap();
            caller.write_all(b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
        assert_eq!(noted.load(Ordering::Relaxed), 0);
        listener.drained().await.unwrap();
        assert_eq!(noted.load(Ordering::Relaxed), 20);
    }
}
