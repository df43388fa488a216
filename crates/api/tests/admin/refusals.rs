//! What must be true after every refusal.

use axum::body::Body;
use axum::http::Request;
use posthaste_core::Seq;
use posthaste_store::Store;

use crate::rig::{Answer, Rig, TOKEN, request};

/// More of a request than this never comes back.
const ECHO_MAX: usize = 200;
/// No refusal is longer, whatever was wrong.
const ANSWER_MAX: usize = 4_000;

/// A request as rows write it, so that it can be sent twice.
#[derive(Clone)]
pub struct Bad {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Bad {
    pub fn new(method: &'static str, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: body.into() }
    }

    /// A header beside the token, or in place of the media type.
    pub fn header(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn build(&self) -> Request<Body> {
        let mut asked = request(self.method, &self.path);
        if let Some(headers) =
            asked.headers_mut().filter(|_| self.headers.iter().any(|(name, _)| *name == "content-type"))
        {
            headers.remove("content-type");
        }
        for (name, value) in &self.headers {
            asked = asked.header(*name, value.as_slice());
        }
        asked.body(Body::from(self.body.clone())).unwrap()
    }
}

impl Rig {
    /// Sends a request twice: both times this status and code, one whole problem document, nothing echoed at length,
    /// nothing secret, and nothing has changed.
    pub async fn assert_refused(&self, row: &str, bad: &Bad, expected: &str) -> Answer {
        let before = self.counts().await;
        let (first, second) = (self.send(bad.build()).await, self.send(bad.build()).await);
        let row =
            format!("{row}: {} {:.80} {:.80}", bad.method, bad.path, String::from_utf8_lossy(&bad.body));
        assert_eq!(first.told(), expected, "{row}: {first:?}");
        assert_eq!(first.text.matches(r#""code":"#).count(), 1, "{row}: {first:?}");
        assert_eq!(nameless(&first), nameless(&second), "{row}: the same again");
        self.assert_discreet(&row, bad, &first);
        assert_eq!(first.headers.contains_key("allow"), first.status == 405, "{row}: {first:?}");
        assert_eq!(self.counts().await, before, "{row}: nothing changes");
        assert_eq!(self.store.health(), Ok(()), "{row}");
        first
    }

    /// Neither the token nor much of the request is in an answer.
    pub fn assert_discreet(&self, row: &str, bad: &Bad, answer: &Answer) {
        assert!(!answer.text.contains(TOKEN), "{row}: {answer:?}");
        assert!(answer.text.len() < ANSWER_MAX, "{row}: {} bytes", answer.text.len());
        let said = answer.text.as_bytes();
        for window in said.windows(ECHO_MAX).step_by(ECHO_MAX / 4) {
            let is_echo = bad.body.windows(ECHO_MAX).any(|sent| sent == window)
                || bad.path.as_bytes().windows(ECHO_MAX).any(|sent| sent == window);
            assert!(!is_echo, "{row}: {answer:?}");
        }
    }

    /// How many accounts there are, keys and webhooks of one of them, and events.
    pub async fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for (count, path) in
            counts.iter_mut().zip(["/accounts", "/accounts/acme/keys", "/accounts/acme/webhooks"])
        {
            let listed = self.get(&format!("{path}?limit=200")).await.json();
            *count = listed["data"].as_array().map_or(0, Vec::len);
        }
        counts[3] = self.store.events_after(Seq(0), 10_000).await.unwrap().len();
        counts
    }
}

/// What an answer says, less the id of its request.
fn nameless(answer: &Answer) -> String {
    let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none");
    answer.text.replace(id, "REQUEST")
}
