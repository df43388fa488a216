//! The audit log: no change without its row, and no row without its change.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{
    Action, Actor, Audience, By, Change, DeliveryKey, Secret, Seq, UnixMs, WebhookNo, WebhookState,
};

use super::scene::{NOW, after_s, begin, body, draft, failed, new_account, new_webhook};
use super::tokens::new_token;
use crate::change::{
    AccountPatch, ChangeFilter, EventDraft, NewKey, RecordBatch, Rotation, WebhookLimits, WebhookPatch,
    Window,
};
use crate::store::Store;

const ALL: usize = 1_000;

/// Somebody whose every trait is told.
fn somebody(at: UnixMs) -> By {
    By {
        at,
        actor: Actor::Token { id: "tok_1".into(), name: "deploy é".into() },
        request_id: Some("req_1".into()),
        address: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        object: None,
    }
}

async fn log(store: &Arc<dyn Store>, filter: ChangeFilter) -> Vec<Change> {
    let mut rows = store.changes(filter, None, ALL).await.unwrap().items;
    rows.reverse();
    rows
}

fn new_key(scene: &super::scene::Scene, id: &str) -> NewKey {
    NewKey {
        id: id.to_owned(),
        account: scene.account.no,
        key: Secret::from(format!("text of {id}")),
        signing_secret: Some(Secret::from(format!("signs for {id}"))),
        tier: None,
        roles: vec![],
        scopes: vec![],
        description: Some("told to nobody".to_owned()),
        expires_at: None,
    }
}

fn rotation() -> WebhookPatch {
    let rotation = Rotation { secret: Secret::from("new".to_owned()), overlap: Duration::ZERO, keep: 1 };
    WebhookPatch { rotate: Some(rotation), ..WebhookPatch::default() }
}

fn state(state: WebhookState) -> WebhookPatch {
    WebhookPatch { state: Some(state), ..WebhookPatch::default() }
}

/// Makes every change there is, and answers what should be told of it: action, account, object and details.
async fn change_everything(store: &Arc<dyn Store>) -> Vec<String> {
    let by = || somebody(after_s(1));
    let none = WebhookLimits::default();
    let scene = begin(store.clone()).await;
    store.create_account(new_account("other"), by()).await.unwrap();
    let name = AccountPatch { name: Some(Some("Other".to_owned())) };
    store.update_account("other", name, by()).await.unwrap();
    store.update_account("other", AccountPatch::default(), by()).await.unwrap();
    store.delete_account("other", by()).await.unwrap();
    store.create_key(new_key(&scene, "key_1"), by()).await.unwrap();
    store.revoke_key(scene.account.no, "key_1", by()).await.unwrap();
    store.create_token(new_token("tok_9", "ci", None), by()).await.unwrap();
    store.revoke_token("tok_9", by()).await.unwrap();
    let no = store.create_webhook(new_webhook(scene.account.no, "wh_1"), none, by()).await.unwrap().no;
    let mut fields = WebhookPatch { description: Some(Some("x".to_owned())), ..WebhookPatch::default() };
    fields.url = Some(("https://b.example".to_owned(), "https://b.example/".to_owned()));
    fields.extension.insert("project".to_owned(), Some("p".to_owned()));
    store.update_webhook(no, fields, none, by()).await.unwrap();
    store.update_webhook(no, WebhookPatch::default(), none, by()).await.unwrap();
    store.update_webhook(no, state(WebhookState::Paused), none, by()).await.unwrap();
    store.update_webhook(no, state(WebhookState::Active), none, by()).await.unwrap();
    store.update_webhook(no, rotation(), none, by()).await.unwrap();
    let test = EventDraft { test_by: Some(Box::new(by())), ..draft(Audience::Webhook(no)) };
    let published = store.publish(vec![test], &|_, _, _| body("{}"), after_s(1)).await.unwrap();
    let key = DeliveryKey { event: published[0].unwrap().seq, webhook: no };
    scene.record(vec![failed(key, 1, after_s(2))]).await;
    store.retry_delivery(key, by().about("dlv_1")).await.unwrap();
    scene.record(vec![failed(key, 2, after_s(3))]).await;
    let window = Window { since: NOW, until: after_s(60), after: Seq(0) };
    assert_eq!(store.recover(no, window, true, 9, by()).await.unwrap().count, 1, "counting changes nothing");
    assert_eq!(store.recover(no, window, false, 9, by()).await.unwrap().count, 1);
    store.delete_webhook(no, by()).await.unwrap();
    [
        "account.created other account:other {}",
        "account.updated other account:other {name}",
        "account.deleted other account:other {}",
        "key.created acme key:key_1 {}",
        "key.revoked acme key:key_1 {}",
        "token.created - token:tok_9 {} name=ci scope=publish",
        "token.revoked - token:tok_9 {} name=ci scope=publish",
        "webhook.created acme webhook:wh_1 {}",
        "webhook.updated acme webhook:wh_1 {url,description,project}",
        "webhook.paused acme webhook:wh_1 {}",
        "webhook.resumed acme webhook:wh_1 {}",
        "webhook.secret_rotated acme webhook:wh_1 {}",
        "webhook.tested acme webhook:wh_1 {}",
        "delivery.retried acme delivery:dlv_1 {}",
        "webhook.recovered acme webhook:wh_1 {} count=1",
        "webhook.deleted acme webhook:wh_1 {}",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn told(change: &Change) -> String {
    let details = &change.details;
    let mut told = format!(
        "{} {} {}:{} {{{}}}",
        change.action.word(),
        change.account.as_deref().unwrap_or("-"),
        change.action.object_kind(),
        change.by.object.as_deref().unwrap_or("?"),
        details.fields.join(","),
    );
    let scope = details.scope.map(|scope| scope.word().to_owned());
    let count = details.count.map(|count| count.to_string());
    for (name, value) in
        [("name", &details.name), ("scope", &scope), ("count", &count), ("reason", &details.reason)]
    {
        if let Some(value) = value {
            told.push_str(&format!(" {name}={value}"));
        }
    }
    told
}

pub async fn every_change_is_told_once(store: Arc<dyn Store>) {
    let expected = change_everything(&store).await;
    let own = ChangeFilter { actor: Some("tok_1".to_owned()), ..ChangeFilter::default() };
    let rows = log(&store, own).await;
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), expected);
    for row in &rows {
        let by = somebody(after_s(1));
        assert_eq!(By { object: None, ..row.by.clone() }, by, "{}", told(row));
    }
    println!("counted | admin | kinds of change held against the audit log | {}", rows.len());
}

pub async fn a_refused_change_is_not_told(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("wh_1").await;
    store.create_token(new_token("tok_1", "ci", None), NOW.into()).await.unwrap();
    store.create_key(new_key(&scene, "key_1"), NOW.into()).await.unwrap();
    store.revoke_key(scene.account.no, "key_1", NOW.into()).await.unwrap();
    let before = log(&store, ChangeFilter::default()).await.len();
    let by = || somebody(NOW);
    let one = WebhookLimits { max: Some(1), per_key: false, unique_url: true };
    let none = WebhookLimits::default();
    let gone = DeliveryKey { event: posthaste_core::Seq(1), webhook: webhook.no };
    let window = Window { since: NOW, until: after_s(60), after: Seq(0) };
    let patch = || WebhookPatch {
        url: Some((webhook.url.clone(), webhook.canonical_url.clone())),
        ..WebhookPatch::default()
    };
    let refusals = [
        store.create_account(new_account("acme"), by()).await.is_err(),
        store.update_account("none", AccountPatch::default(), by()).await.is_err(),
        store.delete_account("none", by()).await.is_err(),
        store.create_key(new_key(&scene, "key_1"), by()).await.is_err(),
        store.revoke_key(scene.account.no, "key_9", by()).await.is_err(),
        store.create_token(new_token("tok_2", "ci", None), by()).await.is_err(),
        store.revoke_token("tok_9", by()).await.is_err(),
        store.create_webhook(new_webhook(scene.account.no, "wh_2"), one, by()).await.is_err(),
        store.create_webhook(new_webhook(scene.account.no, "wh_1"), none, by()).await.is_err(),
        store.update_webhook(WebhookNo(99), patch(), none, by()).await.is_err(),
        store.delete_webhook(WebhookNo(99), by()).await.is_err(),
        store.retry_delivery(gone, by()).await.is_err(),
        store.recover(WebhookNo(99), window, false, 9, by()).await.is_err(),
    ];
    assert!(refusals.iter().all(|refused| *refused), "{refusals:?}");
    // These are done already, or find nothing to do.
    store.revoke_key(scene.account.no, "key_1", by()).await.unwrap();
    assert_eq!(store.recover(webhook.no, window, false, 9, by()).await.unwrap().count, 0);
    assert_eq!(log(&store, ChangeFilter::default()).await.len(), before);
    println!("counted | admin | refused changes that leave no row in the audit log | {}", refusals.len());
}

pub async fn what_the_engine_does_is_told_of_the_system(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("wh_1").await;
    for _ in 0..2 {
        let batch =
            RecordBatch { disable: vec![(webhook.no, "too_many_failures")], ..RecordBatch::default() };
        store.record(batch).await.unwrap();
    }
    let filter = ChangeFilter { action: Some(Action::WebhookDisabled), ..ChangeFilter::default() };
    let rows = log(&store, filter).await;
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        ["webhook.disabled acme webhook:wh_1 {} reason=too_many_failures"]
    );
    assert_eq!(rows[0].by.actor, Actor::System);
}

pub async fn the_log_pages_newest_first_and_is_filtered(store: Arc<dyn Store>) {
    for number in 0..7 {
        let actor = if number % 2 == 0 { Actor::Operator } else { somebody(NOW).actor };
        let by = By { actor, ..By::from(after_s(number)) };
        store.create_account(new_account(&format!("a{number}")), by).await.unwrap();
    }
    let mut from = None;
    let mut objects = Vec::new();
    for page in 0..3 {
        let slice = store.changes(ChangeFilter::default(), from, 3).await.unwrap();
        objects
            .extend(slice.items.iter().filter_map(|change| change.by.object.as_deref().map(str::to_owned)));
        from = slice.next;
        assert_eq!(from.is_none(), page == 2);
    }
    assert_eq!(objects, ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]);
    let filter = ChangeFilter::default;
    let rows = [
        (ChangeFilter { account: Some("a3".to_owned()), ..filter() }, "a3"),
        (ChangeFilter { account: Some("a".to_owned()), ..filter() }, ""),
        (ChangeFilter { actor_kind: Some("operator"), ..filter() }, "a0 a2 a4 a6"),
        (ChangeFilter { actor_kind: Some("system"), ..filter() }, ""),
        (ChangeFilter { actor: Some("tok_1".to_owned()), ..filter() }, "a1 a3 a5"),
        (ChangeFilter { actor: Some("deploy é".to_owned()), ..filter() }, "a1 a3 a5"),
        (ChangeFilter { action: Some(Action::AccountDeleted), ..filter() }, ""),
        (ChangeFilter { since: Some(after_s(2)), until: Some(after_s(5)), ..filter() }, "a2 a3 a4"),
        (ChangeFilter { actor_kind: Some("token"), since: Some(after_s(2)), ..filter() }, "a3 a5"),
    ];
    for (filter, expected) in rows {
        let found = log(&store, filter.clone()).await;
        let found: Vec<&str> = found.iter().filter_map(|change| change.by.object.as_deref()).collect();
        assert_eq!(found.join(" "), expected, "{filter:?}");
    }
}

pub async fn the_log_outlives_the_account_and_ends_in_steps(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    for number in 0..600 {
        let patch = AccountPatch { name: Some(Some(format!("n{number}"))) };
        store.update_account("acme", patch, after_s(number / 6).into()).await.unwrap();
    }
    store.delete_account("acme", after_s(200).into()).await.unwrap();
    while store.tidy(NOW, true, after_s(300)).await.unwrap() {}
    assert_eq!(store.account_by_no(scene.account.no).await.unwrap(), None);
    let of_acme = ChangeFilter { account: Some("acme".to_owned()), ..ChangeFilter::default() };
    assert_eq!(log(&store, of_acme.clone()).await.len(), 602);
    let mut steps = 0;
    while store.tidy_audit(after_s(100)).await.unwrap() {
        steps += 1;
        assert!(steps < 100, "housekeeping ends");
    }
    assert!(steps >= 2, "no step is long");
    let left = log(&store, of_acme).await;
    assert_eq!(left.iter().map(told).collect::<Vec<_>>(), ["account.deleted acme account:acme {}"]);
}
