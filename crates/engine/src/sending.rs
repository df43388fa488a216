//! One attempt: from a claim to what came of it.

use std::sync::Arc;

use posthaste_contract::{Contract, PublicIds, SigningFacts};
use posthaste_core::{Attempt, Fault, FaultKind, Outcome, Secret};
use posthaste_net::{Guard, Outgoing, Transport};

use crate::dispatcher::Claim;

/// Makes attempts under one contract.
pub struct Sending {
    contract: Arc<Contract>,
    guard: Arc<Guard>,
    transport: Arc<dyn Transport>,
    ids: PublicIds,
}

impl Sending {
    /// `id_key` is the store's.
    #[must_use]
    pub fn new(
        contract: Arc<Contract>,
        guard: Arc<Guard>,
        transport: Arc<dyn Transport>,
        id_key: [u8; 16],
    ) -> Self {
        Self { ids: PublicIds::new(&contract, id_key), contract, guard, transport }
    }

    /// Makes the attempt. Never fails: whatever goes wrong is how the attempt ended.
    pub async fn attempt(&self, claim: &Claim) -> Attempt {
        let target = match self.guard.check_url(&claim.webhook.url) {
            Ok(target) => Arc::new(target),
            Err(refusal) => return not_sent(claim, FaultKind::TargetForbidden, refusal.rule.word()),
        };
        let account_json = serde_json::Value::from(claim.webhook.account_id.as_str()).to_string();
        let body = claim.event.body.for_account(&account_json);
        let (headers, signatures) = self.headers(claim, &body);
        let outgoing = Outgoing {
            partition: claim.webhook.account.0,
            target,
            headers: headers.into_iter().collect(),
            body,
            timeout: self.contract.policy.timeout,
        };
        let sent = self.transport.send(outgoing).await;
        Attempt {
            number: claim.number,
            started_at: claim.at,
            duration: sent.duration,
            outcome: sent.outcome,
            signatures,
        }
    }

    /// The request's headers, and the values among them that the attempt remembers.
    fn headers(&self, claim: &Claim, body: &[u8]) -> (Vec<(String, String)>, Vec<String>) {
        let event_id = self.ids.event(&claim.event);
        let delivery_id = self.ids.delivery(claim.key, claim.event.created_at);
        let facts = SigningFacts {
            webhook_id: &claim.webhook.id,
            url: &claim.webhook.url,
            event_id: &event_id,
            event_type: &claim.event.event_type,
            account_id: &claim.webhook.account_id,
            delivery_id: &delivery_id,
            attempt_number: claim.number,
            at: claim.at,
            body,
        };
        let secrets: Vec<&Secret> = claim.webhook.secrets.signing_at(claim.at).collect();
        let signatures = self.contract.signature_values(&facts, &secrets);
        (self.contract.delivery_headers(&facts, &signatures), signatures)
    }
}

/// An attempt that ended before anything was sent.
pub(crate) fn not_sent(claim: &Claim, kind: FaultKind, detail: &str) -> Attempt {
    Attempt {
        number: claim.number,
        started_at: claim.at,
        duration: std::time::Duration::ZERO,
        outcome: Outcome::Failed(Fault { kind, detail: detail.to_owned() }),
        signatures: Vec::new(),
    }
}
