//! Watching what arrives at the receiver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use posthaste_contract::Contract;
use posthaste_core::{Clock as _, Secret, WebhookNo};
use posthaste_store::Roster;
use tokio::sync::mpsc;

use crate::outside::SystemClock;
use crate::receiver::{Arrival, Receiver, Reply};
use crate::verdict::Verdict;

use super::RECEIVER_HOST;

/// What the receiver answers.
pub(super) const ANSWERED: StatusCode = StatusCode::OK;
/// Arrivals that wait to be printed; beyond that they are answered and not shown.
const WAITING_MAX: usize = 1_024;
/// Webhooks looked at to find those an arrival may have come from.
const WEBHOOKS_MAX: usize = 1_000;

/// A delivery that arrived.
pub(super) struct Seen {
    pub arrival: Arrival,
    pub verdict: Verdict,
}

/// Knows the secrets that deliveries may be signed with.
pub(super) struct Watch {
    contract: Arc<Contract>,
    roster: Arc<Roster>,
    known: Mutex<BTreeMap<String, Secret>>,
}

impl Watch {
    pub fn new(contract: Arc<Contract>, roster: Arc<Roster>) -> Self {
        Self { contract, roster, known: Mutex::default() }
    }

    /// Notes the secret that a customer was shown, or brought, for a URL.
    pub fn know(&self, url: &str, secret: Secret) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), secret);
    }

    /// Receives from now on.
    pub fn start(self: &Arc<Self>, receiver: Receiver) -> mpsc::Receiver<Seen> {
        let (shown, seen) = mpsc::channel(WAITING_MAX);
        let watch = self.clone();
        tokio::spawn(receiver.run(Arc::new(move |arrival| {
            let (watch, shown) = (watch.clone(), shown.clone());
            Box::pin(async move {
                let verdict = watch.judge(&arrival);
                // Whoever prints may be slow; whoever sends must not feel it.
                let _ = shown.try_send(Seen { arrival, verdict });
                Reply::empty(ANSWERED)
            })
        })));
        seen
    }

    /// Several webhooks may have one URL: the arrival is good if it is by one of their secrets.
    fn judge(&self, arrival: &Arrival) -> Verdict {
        let url = format!("https://{RECEIVER_HOST}{}", arrival.target);
        let now = SystemClock.now();
        let secrets = self.secrets(&url);
        let verdicts =
            secrets.iter().map(|secret| Verdict::of(arrival, &self.contract, Some(secret), &url, now));
        let mut unverified = None;
        for verdict in verdicts {
            if verdict.is_verified() {
                return verdict;
            }
            unverified.get_or_insert(verdict);
        }
        unverified.unwrap_or_else(|| Verdict::of(arrival, &self.contract, None, &url, now))
    }

    fn secrets(&self, url: &str) -> Vec<Secret> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned();
        let webhooks = self.roster.after(WebhookNo(0), WEBHOOKS_MAX).into_iter();
        let others =
            webhooks.filter(|webhook| webhook.url == url).map(|webhook| webhook.secrets.current.clone());
        known.into_iter().chain(others).collect()
    }
}
