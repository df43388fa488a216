//! Every bound of the server in one place.

use std::time::Duration;

/// What one listener puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerBounds {
    /// Connections open at one time. When there are so many, those that have waited longest for a request are closed
    /// for new ones; where none wait for one, those whose request's body has been on its way longest, or whose client
    /// does not read the answer.
    pub connections: usize,
    /// Those among them from one address (of IPv6: one /64 network), so that nobody has them all. Trusted proxies, who
    /// stand for many, are not counted by it.
    pub connections_by_address: usize,
    /// The longest a request's head may take, and a new connection may say nothing.
    pub head: Duration,
    /// The longest a connection is kept on which a request was answered and no other comes.
    pub idle: Duration,
    /// The longest head.
    pub head_bytes: usize,
    /// The most header fields.
    pub head_fields: usize,
    /// The longest request target.
    pub target_bytes: usize,
    /// The longest a request's body may take.
    pub body: Duration,
    /// The longest a client may leave an answer unread.
    pub unread: Duration,
    /// How long a closed connection is listened to, so that the last answer is not lost to a reset, and how long an
    /// answer may go on being written where the place is wanted for somebody else.
    pub linger: Duration,
    /// How much is listened to then.
    pub linger_bytes: usize,
    /// How long requests under way may take after the shutdown began.
    pub drain: Duration,
    /// The pause after a connection could not be accepted, and between looks for a free place.
    pub accept_pause: Duration,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_by_address: 5_000,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            head_bytes: 32 * 1024,
            head_fields: 100,
            target_bytes: 8 * 1024,
            body: Duration::from_secs(30),
            unread: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            linger_bytes: 64 * 1024,
            drain: Duration::from_secs(10),
            accept_pause: Duration::from_millis(50),
        }
    }
}
