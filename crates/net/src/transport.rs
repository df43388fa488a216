//! Sending requests to receivers.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posthaste_core::{Fault, FaultKind, Outcome};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::Connection;
use crate::dial::Dialler;
use crate::exchange::{Broken, exchange};
use crate::guard::Target;
use crate::pool::{Pool, PoolKey, PoolLimits};
use crate::request::{Headers, Message};

/// The longest an attempt may take, whatever is asked for.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(120);

/// A request about to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The number of the account it is sent for. Requests of two partitions never share a connection.
    pub partition: i64,
    /// Where to.
    pub target: Arc<Target>,
    /// The headers, but for those that follow from the rest.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// The longest the attempt may take, from the name lookup to the last byte read.
    pub timeout: Duration,
}

/// When an attempt must end. Connections are made against the time; the exchange waits for one timer.
struct Deadline<'a> {
    at: Instant,
    timer: Pin<&'a mut Sleep>,
}

/// A request that was sent, or tried to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
}

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request with POST and waits for its end.
    async fn send(&self, request: Outgoing) -> Sent;
}

/// HTTP/1.1 over pooled connections. Redirects are not followed and no content is decoded.
///
/// Connections belong to the runtime they were made on; a process with several runtimes has a transport for each.
pub struct HttpTransport {
    dialler: Arc<Dialler>,
    pool: Arc<Pool>,
}

impl HttpTransport {
    /// A transport that connects through `dialler`.
    #[must_use]
    pub fn new(dialler: Arc<Dialler>, limits: PoolLimits) -> Self {
        Self { dialler, pool: Pool::new(limits) }
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        self.pool.clear();
    }

    async fn attempt(
        &self,
        request: &Outgoing,
        started: Instant,
        mut deadline: Deadline<'_>,
    ) -> Result<Outcome, Fault> {
        let target = &*request.target;
        let mut message = Message::post(target, &request.headers, &request.body)?;
        let key = PoolKey { partition: request.partition, origin: target.origin().clone() };
        let mut pooled = self.pooled(&key, target, started);
        loop {
            let was_pooled = pooled.is_some();
            let mut connection = match pooled.take() {
                Some(connection) => connection,
                // Boxed, so that the many requests that need no new connection do not carry room for making one.
                None => Box::pin(self.fresh(target, deadline.at)).await?,
            };
            posthaste_faults::point("net.connected");
            match exchange(&mut connection.stream, &mut message, deadline.timer.as_mut()).await {
                Ok(answered) => {
                    posthaste_faults::point("net.answered");
                    if answered.is_connection_clean {
                        self.pool.put(key, connection);
                    }
                    return Ok(Outcome::Answered(answered.response));
                }
                // The receiver may close a connection at any time while it is idle. A request that met the closing
                // was not refused by anybody: it is sent again, once and within the same limit.
                Err(Broken { is_silent: true, .. }) if was_pooled => message.rewind(),
                Err(broken) => return Err(broken.fault),
            }
        }
    }

    /// An idle connection that the guard still lets through.
    fn pooled(&self, key: &PoolKey, target: &Target, now: Instant) -> Option<Connection> {
        let guard = self.dialler.guard();
        let is_allowed = |connection: &Connection| {
            guard.check_answer(target, &[connection.address], connection.origin).is_ok()
        };
        std::iter::from_fn(|| self.pool.take(key, now)).find(is_allowed)
    }

    async fn fresh(&self, target: &Target, deadline: Instant) -> Result<Connection, Fault> {
        let line = self.dialler.dial(target, deadline).await.inspect_err(|fault| {
            if fault.kind == FaultKind::Internal {
                self.pool.clear();
            }
        })?;
        Ok(Connection::new(line))
    }
}

/// How long an attempt took, as customers are told. What was forbidden took no time: how long a name server or a
/// connection needed would say something about places that are none of theirs.
fn duration_told(outcome: &Outcome, started: Instant) -> Duration {
    match outcome {
        Outcome::Failed(fault) if fault.kind == FaultKind::TargetForbidden => Duration::ZERO,
        _ => started.elapsed(),
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Outgoing) -> Sent {
        let started = Instant::now();
        let at = started + request.timeout.min(ATTEMPT_MAX);
        let deadline = Deadline { at, timer: pin!(sleep_until(at)) };
        let outcome = self.attempt(&request, started, deadline).await.unwrap_or_else(Outcome::Failed);
        Sent { duration: duration_told(&outcome, started), outcome }
    }
}
