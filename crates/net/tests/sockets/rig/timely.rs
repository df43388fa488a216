//! Time limits on a machine that others use too.

use std::time::Duration;

use posthaste_net::Sent;

use super::TIMEOUT;

/// The longest an attempt may go beyond its time limit.
pub const BEYOND: Duration = Duration::from_millis(250);
/// How often a row is played before being late counts against it. Whoever can really hold an attempt does so every time;
/// a machine that was busy for a moment does not.
pub const TRIES: usize = 3;

/// What was sent, once it took no longer than an attempt may. What else is expected of it is expected of every try.
pub async fn in_time(attempt: impl AsyncFn() -> Sent) -> Sent {
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let sent = attempt().await;
        if sent.duration <= TIMEOUT + BEYOND {
            return sent;
        }
        took.push(sent.duration);
    }
    panic!("each time it took too long: {took:?}");
}
