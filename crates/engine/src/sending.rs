//! One attempt: from a claim to what came of it.

mod prepared;

use std::sync::Arc;

use posthaste_contract::{Contract, PublicIds, SigningFacts, SigningKeys};
use posthaste_core::{Attempt, Fault, FaultKind, Outcome, UnixMs};
use posthaste_net::{Guard, Headers, Outgoing, Transport, forbidden};

use crate::dispatcher::Claim;
use prepared::PreparedWebhooks;

/// Makes attempts under one contract.
pub struct Sending {
    contract: Arc<Contract>,
    guard: Arc<Guard>,
    transport: Arc<dyn Transport>,
    ids: PublicIds,
    prepared: PreparedWebhooks,
}

/// Room for the headers of an attempt; more is made if needed.
const HEADERS_USUAL_BYTES: usize = 512;

impl Sending {
    /// `id_key` is the store's.
    #[must_use]
    pub fn new(
        contract: Arc<Contract>,
        guard: Arc<Guard>,
        transport: Arc<dyn Transport>,
        id_key: [u8; 16],
    ) -> Self {
        let (ids, prepared) = (PublicIds::new(&contract, id_key), PreparedWebhooks::default());
        Self { contract, guard, transport, ids, prepared }
    }

    /// Makes the attempt. Never fails: whatever goes wrong is how the attempt ended.
    pub async fn attempt(&self, claim: &Claim) -> Attempt {
        let prepared = self.prepared.get(&self.contract, &self.guard, &claim.webhook, claim.at);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            // It was let through when it was registered; the guard has logged what is wrong with it now.
            Err(_) => {
                let fault = forbidden();
                return not_sent(claim, fault.kind, &fault.detail);
            }
        };
        let body = claim.event.body.for_account(&prepared.account_json);
        let (headers, signatures) = self.headers(claim, &prepared.keys, &body);
        let outgoing = Outgoing {
            partition: claim.webhook.account.0,
            target: prepared.target.clone(),
            headers,
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
    fn headers(&self, claim: &Claim, keys: &SigningKeys, body: &[u8]) -> (Headers, Vec<String>) {
        let event_id = self.ids.event(&claim.event);
        let delivery_id = self.ids.delivery(claim.key, claim.event.created_at);
        let is_steady = posthaste_faults::bug("signature-time-steady");
        let signed_at = UnixMs(claim.at.0.saturating_sub(if is_steady { claim.ahead_ms } else { 0 }));
        let facts = SigningFacts {
            webhook_id: &claim.webhook.id,
            url: &claim.webhook.url,
            event_id: &event_id,
            event_type: &claim.event.event_type,
            account_id: &claim.webhook.account_id,
            delivery_id: &delivery_id,
            attempt_number: claim.number,
            at: signed_at,
            body,
        };
        let signatures = self.contract.signatures_by(&facts, keys);
        let mut headers = Headers::with_capacity(HEADERS_USUAL_BYTES);
        self.contract.write_delivery_headers(&facts, &signatures, |name, value| headers.push(name, value));
        (headers, signatures)
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
