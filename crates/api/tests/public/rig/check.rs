//! What must be true after every refusal.

use std::sync::atomic::Ordering;
use std::time::Duration;

use posthaste_contract::Condition;
use posthaste_core::Seq;
use posthaste_store::Store;

use super::{Ask, Reply, Rig, exchange};

/// The longest piece of a request that an answer may repeat.
const ECHO_MAX_BYTES: usize = 200;
/// More events than any test makes.
const EVENTS_MAX: usize = 10_000;

impl Rig {
    /// Sends a request twice: both times the contract's answer to this condition, and nothing has changed.
    pub async fn assert_refused(&self, row: &str, ask: &Ask, condition: Condition) -> Reply {
        self.assert_bytes_refused(row, &ask.bytes(), condition).await
    }

    /// The same for bytes that no builder would make.
    pub async fn assert_bytes_refused(&self, row: &str, request: &[u8], condition: Condition) -> Reply {
        let reply = self.assert_harmless(row, request).await;
        self.assert_is(&format!("{} {row}", self.contract.name), &reply, condition);
        reply
    }

    /// Sends bytes twice: both times the same answer, no fault of ours, nothing has changed, nothing is told that was
    /// not known, and the service is ready for others.
    pub async fn assert_harmless(&self, row: &str, request: &[u8]) -> Reply {
        let row = format!("{} {row}", self.contract.name);
        let before = self.remembered().await;
        let first = exchange(self.address, request).await;
        let second = exchange(self.address, request).await;
        assert!((400..500).contains(&first.status), "{row}: {first:?}");
        assert_eq!(self.told(&first), self.told(&second), "{row}: the same again");
        assert_eq!(self.remembered().await, before, "{row}: nothing changes");
        self.assert_keeps_quiet(&row, request, &first);
        self.assert_ready().await;
        // Rates are a matter of their own test.
        self.clock.advance(Duration::from_secs(2));
        self.asserted.fetch_add(1, Ordering::Relaxed);
        first
    }

    /// How many webhooks and events there are.
    async fn remembered(&self) -> (usize, usize) {
        let events = self.store.events_after(Seq(0), EVENTS_MAX).await.unwrap();
        (self.webhooks().await, events.len())
    }

    /// The answer is the contract's to this condition, and keeps what must be kept.
    pub fn assert_is(&self, row: &str, reply: &Reply, condition: Condition) {
        let rule = self.contract.error_rule(condition).unwrap();
        assert_eq!(reply.status, rule.status, "{row}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some(self.contract.errors.content_type.as_str()), "{row}");
        let code = format!("\"{}\"", rule.code);
        assert_eq!(reply.body.matches(&code).count(), 1, "{row}: {reply:?}");
        assert!(reply.json().is_object(), "{row}: {reply:?}");
        assert!(reply.body.len() < 2_000, "{row}: {} bytes", reply.body.len());
        assert_eq!(reply.header("retry-after").is_some(), rule.retry_after, "{row}: {reply:?}");
        let challenges = reply.header("www-authenticate").is_some();
        assert_eq!(challenges, rule.status == 401, "{row}: {reply:?}");
        assert_eq!(reply.header("allow").is_some(), rule.status == 405, "{row}: {reply:?}");
    }

    /// No secret and no long piece of the request stands in the answer, its headers included.
    pub fn assert_keeps_quiet(&self, row: &str, request: &[u8], reply: &Reply) {
        let said = format!("{:?} {}", reply.headers, reply.body);
        assert!(!said.contains(&self.holder.text), "{row}: the key is echoed");
        if let Some(secret) = &self.holder.signing_secret {
            assert!(!said.contains(secret.expose_text()), "{row}: the signing secret is told");
        }
        // A piece longer than the limit holds one of these pieces whole.
        let pieces = said.as_bytes().chunks_exact(ECHO_MAX_BYTES / 2);
        for piece in pieces {
            let is_echo = request.windows(piece.len()).any(|window| window == piece);
            assert!(!is_echo, "{row}: the request is echoed: {reply:?}");
        }
    }

    /// What an answer says, less what differs from request to request.
    pub fn told(&self, reply: &Reply) -> (u16, String) {
        let id = reply.header("x-request-id").unwrap_or("no request id");
        (reply.status, reply.body.replace(id, "REQUEST"))
    }

    /// A request that is taken.
    pub async fn assert_taken(&self, row: &str, ask: &Ask) -> Reply {
        let reply = self.send(ask).await;
        assert!((200..300).contains(&reply.status), "{} {row}: {reply:?}", self.contract.name);
        self.asserted.fetch_add(1, Ordering::Relaxed);
        reply
    }

    /// Says how many rows of a table were asserted.
    pub fn tell(&self, table: &str) {
        let asserted = self.asserted.load(Ordering::Relaxed);
        println!("counted | requests | {table} ({}) | {asserted}", self.contract.name);
    }
}
