//! One HTTP/1.1 connection to a receiver. Nothing watches over it while it is idle; it is looked at when it is taken,
//! and now and then by the pool.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tokio::time::Instant;

use crate::dial::{Line, Stream};
use crate::guard::Origin;

/// How long a connection is used after it was made. A name that leads elsewhere since then is followed after this
/// time at the latest, however busy the connection is.
pub(crate) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);

/// A connection that requests can be sent over, one after the other.
pub(crate) struct Connection {
    pub stream: Stream,
    pub address: SocketAddr,
    pub origin: Origin,
    /// No request may begin on it from this time on.
    expires: Instant,
}

impl Connection {
    /// Prepares a fresh line for HTTP.
    pub fn new(line: Line) -> Self {
        let expires = Instant::now() + CONNECTION_AGE_MAX;
        Self { stream: line.stream, address: line.address, origin: line.origin, expires }
    }

    /// Is it young enough for another request?
    pub fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires
    }

    /// Did nothing come in since the last answer, not even the end? What TLS sends between answers is digested, up to
    /// a task's share of a turn: one that sends more than that is not quiet.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut room = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let is_pending = Pin::new(&mut self.stream).poll_read(&mut cx, &mut room).is_pending();
        is_pending && has_budget_remaining()
    }
}

impl Drop for Connection {
    /// TLS wants a good-bye. It is said if the socket takes it at once.
    fn drop(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            let _: Poll<_> = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}
