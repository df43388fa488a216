//! One damaged row does not stop the others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use posthaste_core::{AccountNo, Clock, Secret, Subscription, UnixMs, Webhook, WebhookNo};
use posthaste_store::{Embedded, NewAccount, NewWebhook, Options, Store, WebhookLimits};
use rusqlite::Connection;

const NOW: UnixMs = UnixMs(1_800_000_000_000);

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Arc<Embedded> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed)).unwrap()
}

async fn account(store: &Embedded, id: &str) -> AccountNo {
    store.create_account(NewAccount { id: id.into(), name: None }, NOW.into()).await.unwrap().no
}

async fn webhook(store: &Embedded, account: AccountNo, id: &str) -> Webhook {
    let new = NewWebhook {
        id: id.to_owned(),
        account,
        key: None,
        url: format!("https://{id}.example/"),
        canonical_url: format!("https://{id}.example/"),
        subscription: Subscription::All,
        description: None,
        extension: BTreeMap::new(),
        secret: Secret::from(format!("secret of {id}")),
    };
    store.create_webhook(new, WebhookLimits::default(), NOW.into()).await.unwrap()
}

/// Changes a row behind the back of the store, which may be open, as a disk would.
fn tamper(dir: &Path, sql: &str) {
    Connection::open(dir.join("posthaste.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_damaged_account_with_many_webhooks_is_one_damaged_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let many = account(&store, "many").await;
    for index in 0..101 {
        webhook(&store, many, &format!("wh_{index}")).await;
    }
    let other = account(&store, "other").await;
    let other = webhook(&store, other, "other").await;
    store.close().await;
    drop(store);
    tamper(dir.path(), "UPDATE accounts SET id = 'changed' WHERE id = 'many'");
    let store = open(dir.path());
    assert_eq!(store.damage().count(), 1);
    let owed_to: Vec<WebhookNo> =
        store.roster().after(WebhookNo(0), 999).iter().map(|webhook| webhook.no).collect();
    assert_eq!(owed_to, [other.no]);
}
