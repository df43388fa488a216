//! What every attempt for a webhook needs, made once and kept while the webhook stays as it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_contract::{Contract, SigningKeys};
use posthaste_core::{UnixMs, Webhook, WebhookNo};
use posthaste_net::{Guard, Refusal, Target};

/// Webhooks that are kept ready.
const WEBHOOKS_MAX: usize = 4_096;
/// How long the keys of a webhook that gets no more deliveries are kept while others are sent to, at most twice.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// A webhook made ready. It holds secrets, and is therefore not printed.
pub(super) struct Prepared {
    /// The webhook this was made from. Another one under the same number is a changed one.
    webhook: Arc<Webhook>,
    /// The rules about the text of a URL hold for as long as the process runs; addresses are judged at every use.
    pub target: Arc<Target>,
    /// The account's id as it stands in bodies.
    pub account_json: String,
    pub keys: SigningKeys,
}

impl Prepared {
    fn new(contract: &Contract, guard: &Guard, webhook: &Arc<Webhook>) -> Result<Self, Refusal> {
        Ok(Self {
            target: Arc::new(guard.check_registered(&webhook.url)?),
            account_json: serde_json::Value::from(webhook.account_id.as_str()).to_string(),
            keys: contract.signing_keys(&webhook.secrets),
            webhook: webhook.clone(),
        })
    }
}

/// Webhooks made ready, the latest used.
///
/// There are two generations. When the younger one is half of what is kept, or old, it becomes the elder, and the
/// elder is forgotten. A secret that was changed is forgotten with the next attempt for its webhook, or with its
/// generation.
#[derive(Default)]
pub(super) struct PreparedWebhooks(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    younger: HashMap<WebhookNo, Arc<Prepared>>,
    elder: HashMap<WebhookNo, Arc<Prepared>>,
    /// When the younger one began.
    since: Option<UnixMs>,
}

impl PreparedWebhooks {
    /// The webhook, ready for an attempt at `now`.
    pub fn get(
        &self,
        contract: &Contract,
        guard: &Guard,
        webhook: &Arc<Webhook>,
        now: UnixMs,
    ) -> Result<Arc<Prepared>, Refusal> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        if let Some(known) = generations.younger.get(&webhook.no)
            && Arc::ptr_eq(&known.webhook, webhook)
        {
            return Ok(known.clone());
        }
        let elder = generations.elder.remove(&webhook.no);
        let prepared = match elder.filter(|known| Arc::ptr_eq(&known.webhook, webhook)) {
            Some(known) => known,
            None => Arc::new(Prepared::new(contract, guard, webhook)?),
        };
        generations.younger.insert(webhook.no, prepared.clone());
        Ok(prepared)
    }
}

impl Generations {
    fn turn(&mut self, now: UnixMs) {
        let since = *self.since.get_or_insert(now);
        // A clock that was set back makes a generation old too.
        let is_old = now < since || now.since(since) >= KEPT;
        if is_old || self.younger.len() >= WEBHOOKS_MAX / 2 {
            self.elder = std::mem::take(&mut self.younger);
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use posthaste_core::{AccountNo, Health, Secret, Seq, SigningSecrets, Subscription, WebhookState};
    use posthaste_net::GuardPolicy;

    use super::*;

    const START: UnixMs = UnixMs(1_800_000_000_000);

    fn webhook(no: i64, url: &str) -> Arc<Webhook> {
        Arc::new(Webhook {
            no: WebhookNo(no),
            id: format!("wh_{no}"),
            account: AccountNo(1),
            account_id: "a \"b\"".to_owned(),
            key: None,
            url: url.to_owned(),
            canonical_url: url.to_owned(),
            subscription: Subscription::All,
            state: WebhookState::Active,
            description: None,
            extension: BTreeMap::new(),
            secrets: SigningSecrets { current: Secret::from("whsec_AAAA".to_owned()), previous: Vec::new() },
            created_after: Seq(0),
            health: Health::default(),
            created_at: START,
            updated_at: START,
            off_after: None,
            deleted: None,
            is_account_deleted: false,
        })
    }

    struct Rig {
        contract: Contract,
        guard: Guard,
        prepared: PreparedWebhooks,
    }

    impl Rig {
        fn new() -> Self {
            let (contract, prepared) = (Contract::builtin("standard").unwrap(), PreparedWebhooks::default());
            Self { contract, guard: Guard::new(GuardPolicy::default()), prepared }
        }

        fn get(&self, webhook: &Arc<Webhook>, now: UnixMs) -> Result<Arc<Prepared>, Refusal> {
            self.prepared.get(&self.contract, &self.guard, webhook, now)
        }

        fn kept(&self) -> usize {
            let generations = self.prepared.0.lock().unwrap();
            generations.younger.len() + generations.elder.len()
        }
    }

    #[test]
    fn a_webhook_is_prepared_once_and_anew_when_it_changed() {
        let rig = Rig::new();
        let before = webhook(1, "https://example.com/a");
        let first = rig.get(&before, START).unwrap();
        assert_eq!((first.target.path_and_query(), first.account_json.as_str()), ("/a", r#""a \"b\"""#));
        assert!(Arc::ptr_eq(&first, &rig.get(&before, START).unwrap()));
        let after = webhook(1, "https://example.com/b");
        assert_eq!(rig.get(&after, START).unwrap().target.path_and_query(), "/b");
        assert_eq!(rig.kept(), 1, "the former secrets are gone");
        assert!(rig.get(&webhook(2, "https://127.0.0.1/"), START).is_err());
        assert_eq!(rig.kept(), 1);
    }

    #[test]
    fn webhooks_out_of_use_are_forgotten() {
        let rig = Rig::new();
        let (busy, quiet) = (webhook(1, "https://example.com/"), webhook(2, "https://example.com/"));
        rig.get(&quiet, START).unwrap();
        let first = rig.get(&busy, START).unwrap();
        for turn in 1..=2 {
            let now = START.plus(KEPT * turn);
            assert!(Arc::ptr_eq(&first, &rig.get(&busy, now).unwrap()));
        }
        assert_eq!(rig.kept(), 1);
        for no in 0..10_000 {
            rig.get(&webhook(no, "https://example.com/"), START).unwrap();
            assert!(rig.kept() <= WEBHOOKS_MAX);
        }
    }
}
