//! What must be true after every refusal.

use std::time::Duration;

use posthaste_contract::Condition;

use super::{Ask, Reply, Rig, exchange};

impl Rig {
    /// Sends a request twice: both times the contract's answer to this condition, and nothing has changed.
    pub async fn assert_refused(&self, row: &str, ask: &Ask, condition: Condition) -> Reply {
        self.assert_bytes_refused(row, &ask.bytes(), condition).await
    }

    /// The same for bytes that no builder would make.
    pub async fn assert_bytes_refused(&self, row: &str, request: &[u8], condition: Condition) -> Reply {
        let before = self.webhooks().await;
        let first = exchange(self.address, request).await;
        let second = exchange(self.address, request).await;
        let row = format!("{} {row}", self.contract.name);
        self.assert_is(&row, &first, condition);
        assert_eq!(self.told(&first), self.told(&second), "{row}: the same again");
        assert_eq!(self.webhooks().await, before, "{row}: nothing changes");
        self.assert_ready().await;
        // Rates are a matter of their own test.
        self.clock.advance(Duration::from_secs(2));
        first
    }

    /// The answer is the contract's to this condition, and keeps what must be kept.
    pub fn assert_is(&self, row: &str, reply: &Reply, condition: Condition) {
        let rule = self.contract.error_rule(condition).unwrap();
        assert_eq!(reply.status, rule.status, "{row}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some(self.contract.errors.content_type.as_str()), "{row}");
        let code = format!("\"{}\"", rule.code);
        assert_eq!(reply.body.matches(&code).count(), 1, "{row}: {reply:?}");
        assert!(reply.json().is_object(), "{row}: {reply:?}");
        assert!(!reply.body.contains(&self.holder.text), "{row}: the key is echoed");
        assert!(reply.body.len() < 2_000, "{row}: {} bytes", reply.body.len());
        assert_eq!(reply.header("retry-after").is_some(), rule.retry_after, "{row}: {reply:?}");
        let challenges = reply.header("www-authenticate").is_some();
        assert_eq!(challenges, rule.status == 401, "{row}: {reply:?}");
        assert_eq!(reply.header("allow").is_some(), rule.status == 405, "{row}: {reply:?}");
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
        reply
    }
}
