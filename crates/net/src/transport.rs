//! Sending requests to receivers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use posthaste_core::{Fault, FaultKind, Outcome};
use tokio::time::{Instant, timeout_at};

use crate::connection::Connection;
use crate::dial::Dialler;
use crate::exchange::{Answered, Broken, exchange};
use crate::fault::fault;
use crate::guard::Target;
use crate::pool::{Pool, PoolKey, PoolLimits, drive};

/// The longest an attempt may take, whatever is asked for.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(120);

/// A request about to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The number of the account it is sent for. Requests of two partitions never share a connection.
    pub partition: i64,
    /// Where to.
    pub target: Arc<Target>,
    /// The headers. `Host` follows from the target unless given; those that frame the message are ours and left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The longest the attempt may take, from the name lookup to the last byte read.
    pub timeout: Duration,
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

    async fn attempt(&self, request: &Outgoing, deadline: Instant) -> Result<Outcome, Fault> {
        let key = PoolKey { partition: request.partition, origin: request.target.origin().clone() };
        let mut pooled = self.pooled(&key, &request.target, deadline).await;
        loop {
            let was_pooled = pooled.is_some();
            let connection = match pooled.take() {
                Some(connection) => connection,
                // Boxed, so that the many requests that need no new connection do not carry room for making one.
                None => Box::pin(self.fresh(&key, &request.target, deadline)).await?,
            };
            match self.exchange_on(connection, &key, request, deadline).await? {
                // The receiver may close a connection at any time while it is idle. A request that met the closing
                // was not refused by anybody: it is sent again, once and within the same limit.
                Err(Broken { is_silent: true, .. }) if was_pooled => {}
                ended => return ended.map_err(|broken| broken.fault),
            }
        }
    }

    /// An idle connection that the guard still lets through and that has nothing left to be read.
    async fn pooled(&self, key: &PoolKey, target: &Target, deadline: Instant) -> Option<Connection> {
        while let Some(mut connection) = self.pool.take(key) {
            let verdict = self.dialler.guard().check_answer(target, &[connection.address], connection.origin);
            if !connection.is_fresh() || verdict.is_err() {
                continue;
            }
            if let Ok(Ok(())) = timeout_at(deadline, connection.sender.ready()).await {
                return Some(connection);
            }
        }
        None
    }

    async fn fresh(&self, key: &PoolKey, target: &Target, deadline: Instant) -> Result<Connection, Fault> {
        let line = self.dialler.dial(target, deadline).await.inspect_err(|fault| {
            if fault.kind == FaultKind::Internal {
                self.pool.clear();
            }
        })?;
        let opened = Connection::open(line).await;
        let (connection, driver) =
            opened.map_err(|_| fault(FaultKind::ConnectionLost, "The connection could not be used."))?;
        let pool = Arc::downgrade(&self.pool);
        tokio::spawn(drive(driver, pool, key.clone(), connection.meter.clone(), connection.expires));
        Ok(connection)
    }

    /// Sends the request over a connection, and puts the connection back if it can serve again.
    async fn exchange_on(
        &self,
        mut connection: Connection,
        key: &PoolKey,
        request: &Outgoing,
        deadline: Instant,
    ) -> Result<Result<Outcome, Broken>, Fault> {
        let answered = match exchange(&mut connection, http_request(request)?, deadline).await {
            Ok(answered) => answered,
            Err(broken) => return Ok(Err(broken)),
        };
        let Answered { response, is_connection_clean } = answered;
        if is_connection_clean {
            self.pool.put(key.clone(), connection);
        }
        Ok(Ok(Outcome::Answered(response)))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Outgoing) -> Sent {
        let started = Instant::now();
        let deadline = started + request.timeout.min(ATTEMPT_MAX);
        let outcome = self.attempt(&request, deadline).await.unwrap_or_else(Outcome::Failed);
        Sent { outcome, duration: started.elapsed() }
    }
}

fn http_request(outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, Fault> {
    let malformed = || fault(FaultKind::Internal, "A header of the request is malformed.");
    let target = &outgoing.target;
    let mut headers = HeaderMap::with_capacity(outgoing.headers.len() + 2);
    headers.insert(HOST, target.host_header().clone());
    for (name, value) in &outgoing.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
        let value = HeaderValue::from_str(value).map_err(|_| malformed())?;
        match name {
            HOST => drop(headers.insert(HOST, value)),
            CONNECTION | CONTENT_LENGTH | TRANSFER_ENCODING => {}
            name => drop(headers.append(name, value)),
        }
    }
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(target.request_target().clone());
    *request.headers_mut() = headers;
    Ok(request)
}
