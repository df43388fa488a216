//! A receiver that does as its script says, connection by connection.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A small answer that keeps the connection alive.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a receiver does next on a connection. After the last step it closes.
#[derive(Clone)]
pub enum Step {
    /// Waits for a whole request.
    Read,
    /// Waits for any bytes.
    Hear,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes one at a time.
    Drip(Vec<u8>),
    /// Sends bytes again and again until the other side is gone.
    Endless(Vec<u8>),
    /// Does nothing until the other side is gone.
    Hold,
    /// Takes nothing off the socket, and never ends.
    Deaf,
    /// Ends the connection without good-bye: with a reset, if the connection is a plain one.
    Reset,
    /// Ends the connection without TLS's good-bye.
    Drop,
}

/// Gives the same answer to so many requests.
pub fn answering(requests: usize, answer: &[u8]) -> Vec<Step> {
    (0..requests).flat_map(|_| [Step::Read, Step::Send(answer.to_vec())]).collect()
}

pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    accepts: AtomicUsize,
    sent_bytes: AtomicUsize,
    ended: watch::Sender<usize>,
    /// The number of the connection, and the request as it came.
    requests: Mutex<Vec<(usize, String)>>,
}

impl Receiver {
    /// Every connection plays the same script.
    pub async fn always(steps: Vec<Step>) -> Self {
        Self::start(vec![steps], None).await
    }

    /// Answers request after request.
    pub async fn steady() -> Self {
        Self::always(answering(8, OK)).await
    }

    /// The n-th connection plays the n-th script, later ones the last.
    pub async fn start(scripts: Vec<Vec<Step>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            accepts: AtomicUsize::new(0),
            sent_bytes: AtomicUsize::new(0),
            ended: watch::channel(0).0,
            requests: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, scripts, tls, shared.clone()));
        Self { address, shared, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?x=1", self.address)
    }

    pub fn accepts(&self) -> usize {
        self.shared.accepts.load(Ordering::SeqCst)
    }

    /// How many bytes the other side took at most.
    pub fn sent_bytes(&self) -> usize {
        self.shared.sent_bytes.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<(usize, String)> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until this many connections have ended, which must be long before they would end of old age.
    pub async fn ended(&self, connections: usize) {
        let mut ended = self.shared.ended.subscribe();
        let waiting =
            tokio::time::timeout(Duration::from_secs(30), ended.wait_for(|ended| *ended >= connections));
        waiting.await.expect("the connections end").unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    scripts: Vec<Vec<Step>>,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = shared.accepts.fetch_add(1, Ordering::SeqCst);
        let steps = scripts[number.min(scripts.len() - 1)].clone();
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            // How a connection ends is for the sender to notice.
            let _ = serve(stream, tls, number, steps, &shared).await;
            shared.ended.send_modify(|ended| *ended += 1);
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    number: usize,
    steps: Vec<Step>,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => play(tls.accept(stream).await?, number, steps, shared).await,
        None if steps.iter().any(|step| matches!(step, Step::Reset)) => {
            stream.set_zero_linger()?;
            play(stream, number, steps, shared).await
        }
        None => play(stream, number, steps, shared).await,
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    number: usize,
    steps: Vec<Step>,
    shared: &Shared,
) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Read => {
                let request = read_request(&mut stream).await?;
                shared.requests.lock().unwrap().push((number, request));
            }
            Step::Send(bytes) => send(&mut stream, &bytes, shared).await?,
            Step::Drip(bytes) => {
                let mut beat = tokio::time::interval(Duration::from_millis(20));
                for byte in bytes {
                    beat.tick().await;
                    send(&mut stream, &[byte], shared).await?;
                }
            }
            Step::Endless(bytes) => loop {
                send(&mut stream, &bytes, shared).await?;
            },
            Step::Hear => _ = stream.read(&mut [0; 4096]).await?,
            Step::Hold => while stream.read(&mut [0; 16 * 1024]).await? > 0 {},
            Step::Deaf => std::future::pending().await,
            Step::Reset | Step::Drop => return Ok(()),
        }
    }
    stream.shutdown().await
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], shared: &Shared) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    shared.sent_bytes.fetch_add(bytes.len(), Ordering::SeqCst);
    Ok(())
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.extend_from_slice(&chunk[..read]);
        let request = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
            return Ok(request);
        }
    }
}
