//! Whoever calls the program over HTTP: products with the admin token, customers with keys of theirs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use posthaste::http_client;
use posthaste_core::Secret;
use serde_json::Value;

/// The longest wait for one answer.
const CALL_PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who calls.
#[derive(Clone)]
pub struct Client {
    /// Where the server is, `http://127.0.0.1:8080`.
    base: String,
    token: Arc<Secret>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The id that the request was given.
    pub request_id: Option<String>,
    /// The body, or null.
    pub body: Value,
}

impl Answer {
    /// Is it one of success?
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// Calls the server at `base`.
    pub fn new(base: impl Into<String>, token: Secret) -> Self {
        Self { base: base.into(), token: Arc::new(token) }
    }

    /// Calls the same server as somebody else.
    pub fn with_key(&self, key: &str) -> Self {
        Self::new(self.base.clone(), Secret::from(key.to_owned()))
    }

    /// One call; `None` if nobody answered in time.
    pub async fn call(&self, method: Method, path: &str, body: String) -> Option<Answer> {
        self.call_with(method, path, None, body).await
    }

    /// The same with a further header.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
        body: String,
    ) -> Option<Answer> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token.expose_text()))
            .header("content-type", "application/json");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let sending = http_client::send(request.body(Bytes::from(body)).ok()?);
        let answer = tokio::time::timeout(CALL_PATIENCE, sending).await.ok()?.ok()?;
        let request_id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        let body = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        Some(Answer { status: answer.status().as_u16(), request_id: request_id.map(str::to_owned), body })
    }
}
