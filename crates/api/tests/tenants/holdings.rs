//! What a tenant has, and that nobody else changed it.

use posthaste_contract::Op;
use posthaste_core::{DeliveryKey, DeliveryState, Webhook};
use posthaste_store::Store;

use crate::rig::{Holder, Reply, Rig};

/// A webhook with a failed delivery, one that was made, and one that waits.
pub struct Holdings {
    pub webhook: Webhook,
    pub failed: DeliveryKey,
    pub failed_id: String,
}

/// All that is stored of a webhook.
#[derive(PartialEq)]
pub struct Kept {
    webhook: Option<Webhook>,
    in_roster: Option<Webhook>,
    /// Each delivery with its latest attempt.
    deliveries: Vec<String>,
    count: usize,
}

/// The id in the answer to a registration, whatever it is called.
pub fn id_of(reply: &Reply) -> String {
    let json = reply.json();
    let webhook = json.get("webhook").unwrap_or(&json);
    let id = webhook.get("id").or(webhook.get("webhook_id")).unwrap_or_else(|| panic!("{reply:?}"));
    id.as_str().unwrap().to_owned()
}

/// Registers a webhook over the public API.
pub async fn register(rig: &Rig, holder: &Holder, url: &str) -> Webhook {
    let created = rig.assert_taken("create", &rig.create(holder, &rig.new_webhook(url))).await;
    rig.webhook(holder, &id_of(&created)).await
}

/// Deletes it over the public API.
pub async fn delete(rig: &Rig, holder: &Holder, webhook: &Webhook) {
    let ask = rig.ask(holder, Op::WebhookDelete, &[&webhook.id], "", None);
    rig.assert_taken("delete", &ask).await;
}

impl Holdings {
    pub async fn of(rig: &Rig, holder: &Holder, url: &str) -> Self {
        let webhook = register(rig, holder, url).await;
        let event_type = rig.event_type();
        let data = format!("{{\"belongs_to\":\"{url}\"}}");
        let [failed, delivered, waiting] = [
            rig.publish(&webhook, &event_type, &data).await,
            rig.publish(&webhook, &event_type, &data).await,
            rig.publish(&webhook, &event_type, &data).await,
        ];
        rig.attempt(failed, 1, Some(500), DeliveryState::Failed).await;
        rig.attempt(delivered, 1, Some(204), DeliveryState::Delivered).await;
        rig.hold(waiting).await;
        let failed_id = rig.delivery_id(failed).await;
        Self { webhook, failed, failed_id }
    }

    /// Everything as it is now.
    pub async fn kept(&self, rig: &Rig) -> Kept {
        let (store, webhook) = (&rig.store, &self.webhook);
        let rows = store.deliveries(webhook.no, None, 100).await.unwrap().items;
        let deliveries = rows.iter().map(|row| format!("{:?} {:?}", row.delivery, row.attempt)).collect();
        Kept {
            webhook: store.webhook(webhook.account, None, &webhook.id).await.unwrap(),
            in_roster: store.roster().get(webhook.no).map(|known| (*known).clone()),
            deliveries,
            count: store.webhooks(webhook.account, None, None, 1000).await.unwrap().items.len(),
        }
    }

    /// Its failed delivery can still be sent again, and its webhook still takes events.
    pub async fn assert_alive(&self, rig: &Rig) {
        let roster = rig.store.roster();
        let known = roster.get(self.webhook.no).unwrap();
        assert!(known.deleted.is_none() && known.subscription.covers(&rig.event_type()));
        let key = rig.publish(&self.webhook, &rig.event_type(), "{}").await;
        rig.attempt(key, 1, Some(204), DeliveryState::Delivered).await;
        let again = rig.store.retry_delivery(self.failed, rig.clock.time().into()).await.unwrap();
        assert_eq!(again.state, DeliveryState::Pending);
    }
}
