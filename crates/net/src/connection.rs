//! One HTTP/1.1 connection to a receiver. Nothing watches over it while it is idle; it is looked at when it is taken,
//! and now and then by the pool.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::has_budget_remaining;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::dial::{Line, Stream};
use crate::guard::Origin;
use crate::tls::Records;

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

    /// Did nothing come in since the last answer, not even the end?
    ///
    /// What TLS sends between answers is digested first, up to a task's share of a turn: a receiver that sends more
    /// than that is not quiet. Then the socket itself is asked, since what the runtime knows of it is as old as the
    /// runtime's last look.
    pub fn is_quiet(&mut self) -> bool {
        match &mut self.stream {
            Stream::Plain(socket) => is_empty(socket),
            Stream::Tls(stream) => {
                let has_no_plaintext = has_no_plaintext(stream);
                let (records, _) = stream.get_ref();
                has_no_plaintext && records.is_between_records() && is_empty(records.socket())
            }
        }
    }
}

/// Does no plaintext wait behind the TLS records that are known of, nor the end?
fn has_no_plaintext(stream: &mut TlsStream<Records>) -> bool {
    let mut byte = [0];
    let mut room = ReadBuf::new(&mut byte);
    let mut cx = Context::from_waker(Waker::noop());
    let is_pending = Pin::new(stream).poll_read(&mut cx, &mut room).is_pending();
    is_pending && has_budget_remaining()
}

/// Is there nothing to read from the socket at this moment, and is it sound?
fn is_empty(socket: &TcpStream) -> bool {
    let mut byte = [0_u8];
    matches!(recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(Errno::AGAIN))
}

impl Drop for Connection {
    /// TLS wants a good-bye. It is said if the socket takes it at once.
    fn drop(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            let _: Poll<_> = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}
