//! One HTTP/1.1 connection to a receiver.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::dial::{Line, Stream};
use crate::guard::Origin;

/// How long a connection is used after it was made. A name that leads elsewhere since then is followed after this
/// time at the latest, however busy the connection is.
pub(crate) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// The longest response head.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Interim answers (1xx) allowed before the answer proper.
const INTERIM_ANSWERS_MAX: u32 = 8;

/// A connection that requests can be sent over, one after the other.
pub(crate) struct Connection {
    pub sender: SendRequest<Full<Bytes>>,
    pub meter: Arc<Meter>,
    pub address: SocketAddr,
    pub origin: Origin,
    /// No request may begin on it from this time on.
    pub expires: Instant,
}

/// The task that moves the bytes of a connection; it must be polled for anything to happen.
pub(crate) type Driver = http1::Connection<TokioIo<Wire>, Full<Bytes>>;

impl Connection {
    /// Prepares a fresh line for HTTP.
    pub async fn open(line: Line) -> hyper::Result<(Self, Driver)> {
        let meter = Arc::new(Meter::default());
        let wire = Wire { stream: line.stream, meter: meter.clone() };
        let (sender, driver) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(HEAD_MAX_BYTES)
            .max_header_size(HEAD_MAX_BYTES)
            .handshake(TokioIo::new(wire))
            .await?;
        let expires = Instant::now() + CONNECTION_AGE_MAX;
        Ok((Self { sender, meter, address: line.address, origin: line.origin, expires }, driver))
    }

    /// May another request begin now?
    pub fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && Instant::now() < self.expires
    }
}

/// What came in over a connection.
#[derive(Default)]
pub(crate) struct Meter {
    received_bytes: AtomicU64,
    interim_answers: AtomicU32,
}

impl Meter {
    /// Begins a request; gives back the mark for [`Meter::is_silent_since`].
    pub fn begin(&self) -> u64 {
        self.interim_answers.store(0, Ordering::Relaxed);
        self.received_bytes.load(Ordering::Relaxed)
    }

    pub fn is_silent_since(&self, mark: u64) -> bool {
        self.received_bytes.load(Ordering::Relaxed) == mark
    }

    pub fn count_interim(&self) {
        self.interim_answers.fetch_add(1, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.interim_answers.load(Ordering::Relaxed) > INTERIM_ANSWERS_MAX
    }
}

/// Too many interim answers came.
#[derive(Debug)]
struct TooManyInterimAnswers;

impl fmt::Display for TooManyInterimAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many interim answers")
    }
}

impl std::error::Error for TooManyInterimAnswers {}

/// The bytes of a connection, metered as they come in.
pub(crate) struct Wire {
    stream: Stream,
    meter: Arc<Meter>,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.meter.is_over() {
            return Poll::Ready(Err(io::Error::other(TooManyInterimAnswers)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let received = buffer.filled().len() - before;
        this.meter.received_bytes.fetch_add(received as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
