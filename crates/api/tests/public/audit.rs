//! What customers change with their keys is told in the audit log; what they read or are refused is not.

use std::time::Duration;

use posthaste_contract::Op;
use posthaste_contract::model::FieldRule;
use posthaste_core::{Actor, Change, DeliveryState, UnixMs};
use posthaste_store::{ChangeFilter, NewAccount, Store};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::registration::id_of;
use crate::rig::{CONTRACTS, Reply, Rig, read};

const URL: &str = "https://hooks.example.com/a";
const OTHER_URL: &str = "https://hooks.example.com/CANARY?key=CANARY";

impl Rig {
    /// Rows of the log since the one with this number, oldest first.
    async fn told_since(&self, no: i64) -> Vec<Change> {
        let mut rows = self.store.changes(ChangeFilter::default(), None, 100).await.unwrap().items;
        rows.retain(|change| change.no > no);
        rows.reverse();
        rows
    }

    async fn last_told(&self) -> i64 {
        self.store.changes(ChangeFilter::default(), None, 1).await.unwrap().items[0].no
    }

    /// A body with what a route must have, and another URL where it takes one.
    fn body_for(&self, op: Op, webhook: &str) -> Option<Value> {
        let input = &self.contract.inputs[self.route(op).input?];
        let mut body = Map::new();
        for field in &input.fields {
            let value = match &field.rule {
                FieldRule::Url { .. } if op == Op::WebhookUpdate => json!(OTHER_URL),
                FieldRule::Events { .. } if field.required => json!([self.event_type()]),
                FieldRule::Secret { .. } if field.required => json!("another-CANARY-signing-key-of-32-chars"),
                FieldRule::Id => json!(webhook),
                _ => continue,
            };
            body.insert(field.at.join("."), value);
        }
        Some(Value::Object(body))
    }

    /// Does one thing to the webhook, as the contract's route for it wants to be asked.
    async fn act(&self, op: Op, webhook: &str) -> Reply {
        let route = self.route(op);
        let ids = if route.path.contains('{') { vec![webhook] } else { vec![] };
        let body = self.body_for(op, webhook);
        let reply = self.send(&self.ask(&self.holder, op, &ids, "", body.as_ref())).await;
        assert!((200..300).contains(&reply.status), "{} {op:?}: {reply:?}", self.contract.name);
        reply
    }
}

#[tokio::test]
async fn each_change_by_a_customer_is_told_with_the_key_that_made_it() {
    let mut changes = 0;
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let engine = rig.answer_tests_with(Some(204));
        let mut last = rig.last_told().await;
        let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        let mut steps = vec![(Op::WebhookCreate, "webhook.created {}")];
        for (op, told) in [
            (Op::WebhookGet, ""),
            (Op::WebhookUpdate, "webhook.updated {url}"),
            (Op::WebhookPause, "webhook.paused {}"),
            (Op::WebhookResume, "webhook.resumed {}"),
            (Op::WebhookRotate, "webhook.secret_rotated {}"),
            (Op::WebhookTest, "webhook.tested {}"),
            (Op::WebhookDelete, "webhook.deleted {}"),
        ] {
            if rig.has(op) {
                steps.push((op, told));
            }
        }
        for (op, expected) in steps {
            if op != Op::WebhookCreate {
                rig.act(op, &id).await;
            }
            let rows = rig.told_since(last).await;
            let told: Vec<String> = rows
                .iter()
                .map(|row| format!("{} {{{}}}", row.action.word(), row.details.fields.join(",")))
                .collect();
            assert_eq!(told.join(" "), expected, "{contract} {op:?}");
            for row in &rows {
                let by = Actor::ApiKey { id: rig.holder.key.id.as_str().into() };
                assert_eq!((&row.by.actor, row.account.as_deref()), (&by, Some("acme")), "{contract} {op:?}");
                assert_eq!(row.by.object.as_deref(), Some(id.as_str()));
                assert_eq!(row.by.address, Some([127, 0, 0, 1].into()));
                assert!(row.by.request_id.is_some());
                assert!(!format!("{row:?}").contains("CANARY"));
                last = row.no;
                changes += 1;
            }
        }
        engine.abort();
    }
    println!("counted | admin | changes by customers held against the audit log | {changes}");
}

#[tokio::test]
async fn a_delivery_sent_again_is_told_by_its_public_id() {
    let rig = Rig::start("standard").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let webhook = rig.webhook(&rig.holder, &id).await;
    let key = rig.publish(&webhook, "invoice.paid", "{}").await;
    rig.attempt(key, 1, Some(500), DeliveryState::Failed).await;
    let delivery = rig.delivery_id(key).await;
    let last = rig.last_told().await;
    let resend = rig.ask(&rig.holder, Op::DeliveryResend, &[&id, &delivery], "", None);
    rig.assert_taken("resend", &resend).await;
    assert!(rig.send(&resend).await.status >= 400, "while it is pending");
    let rows = rig.told_since(last).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].action.word(), rows[0].by.object.as_deref()),
        ("delivery.retried", Some(delivery.as_str()))
    );
}

/// Whoever asks for what happened since the last row must not miss what comes after it.
#[tokio::test]
async fn no_row_stands_behind_one_with_a_later_time() {
    let rig = Rig::start("aira").await;
    let ask = rig.create(&rig.holder, &rig.new_webhook(URL)).header("Expect", "100-continue");
    let (bytes, body) = (ask.bytes(), ask.body.unwrap());
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(&bytes[..bytes.len() - body.len()]).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    let begun = rig.clock.time();
    rig.clock.advance(Duration::from_secs(7));
    rig.other_account("meanwhile").await;
    stream.write_all(&body).await.unwrap();
    assert_eq!(read(&mut stream).await.status, 201);
    let rows = rig.told_since(0).await;
    let [.., meanwhile, created] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (created.action.word(), created.by.at),
        ("webhook.created", begun.plus(Duration::from_secs(7)))
    );
    assert_eq!(meanwhile.by.at, created.by.at);
    // Changes at the same time may reach the store in another order than they were made in.
    let mut rows = 0;
    for earlier_ms in [5, 59_000] {
        let now = rig.clock.time();
        let by = UnixMs(now.0 - earlier_ms).into();
        let new = NewAccount { id: format!("crossed-{earlier_ms}"), name: None };
        rig.store.create_account(new, by).await.unwrap();
        assert_eq!(rig.told_since(0).await.last().unwrap().by.at, now, "{earlier_ms} ms");
        rows += 1;
    }
    let long_ago = UnixMs(rig.clock.time().0 - 3_600_000);
    rig.store
        .create_account(NewAccount { id: "set-back".into(), name: None }, long_ago.into())
        .await
        .unwrap();
    assert_eq!(rig.told_since(0).await.last().unwrap().by.at, long_ago, "the clock was set back");
    println!("counted | admin | changes that cross | {}", rows + 2);
}

#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let rig = Rig::start("aira").await;
    let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
    let last = rig.last_told().await;
    let mut asked = 0;
    for body in [json!({}), json!({"url": URL})] {
        rig.assert_taken("update", &rig.ask(&rig.holder, Op::WebhookUpdate, &[&id], "", Some(&body))).await;
        asked += 1;
    }
    assert_eq!(rig.told_since(last).await.len(), 0);
    println!("counted | admin | updates that change nothing | {asked}");
}
