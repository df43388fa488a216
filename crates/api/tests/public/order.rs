//! Two faults at once: the check that comes first answers.

use posthaste_contract::model::AccessKind;
use posthaste_contract::{Condition, Op};
use posthaste_store::Store;
use serde_json::json;

use crate::rig::{Ask, CONTRACTS, Rig, exchange};

/// A body that is over every limit and no JSON either.
const TOO_LONG_BYTES: usize = 300 * 1024;

/// A registration with this body and kind of body, signed.
fn create(rig: &Rig, kind: &str, body: impl Into<Vec<u8>>) -> Ask {
    let path = rig.route(Op::WebhookCreate).path.clone();
    rig.signed_by(&rig.holder, Ask::new("POST", &path).header("Content-Type", kind).body(body))
}

#[tokio::test]
async fn form_comes_before_route_and_route_before_credentials() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookCreate).path.clone();
        for (row, request) in [
            ("syntax before route", "GET /nothing HTTP/1.1\r\n\r\n".to_owned()),
            ("syntax before method", format!("FOO {path} HTTP/1.1\r\nHost: a/b\r\n\r\n")),
            ("syntax before credentials", format!("POST {path} HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n")),
        ] {
            let reply = rig.assert_harmless(row, request.as_bytes()).await;
            assert_eq!(reply.status, 400, "{contract} {row}: {reply:?}");
        }
        // The length of a head is known before what is in it.
        let long = |method: &str, target: &str| Ask::new(method, target).header("X-A", &"a".repeat(40_000));
        for ask in [long("GET", "/nothing"), long("FOO", &path), long("POST", &path)] {
            let reply = rig.assert_harmless("size of the head before route", &ask.bytes()).await;
            assert_eq!(reply.status, 431, "{contract}: {reply:?}");
        }
        let stranger = Ask::new("POST", "/nothing").body("{");
        rig.assert_refused("route before credentials", &stranger, Condition::NotFound).await;
        let stranger = Ask::new("DELETE", &path).body("{");
        rig.assert_refused("method before credentials", &stranger, Condition::Method).await;
        let stranger = Ask::new("POST", &path).header("Content-Type", "text/plain").body("{");
        rig.assert_refused("credentials before kind", &stranger, Condition::AuthMissing).await;
        let stranger = Ask::new("POST", &path).body(vec![b'{'; TOO_LONG_BYTES]);
        rig.assert_refused("credentials before size", &stranger, Condition::AuthMissing).await;
        rig.tell("order up to credentials");
    }
}

#[tokio::test]
async fn rates_come_between_credentials_and_rights() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let poor = match &rig.contract.access.kind {
            AccessKind::None => Vec::new(),
            AccessKind::Tier(words) | AccessKind::Role(words) | AccessKind::Scope(words) => {
                vec![words[0].clone()]
            }
        };
        let holder = rig.key_with(&rig.account, &poor).await;
        let op =
            if rig.route(Op::WebhookCreate).rates.is_empty() { Op::DeliveryList } else { Op::WebhookCreate };
        let id = rig.contract.ids.webhook.random(rig.clock.time(), &crate::rig::Chance::default());
        let ids = if op == Op::DeliveryList { vec![id.as_str()] } else { Vec::new() };
        let body = (op == Op::WebhookCreate).then(|| json!({}));
        let ask = rig.ask(&holder, op, &ids, "", body.as_ref());
        let rated = rig.contract.error_rule(Condition::RateLimited).unwrap().status;
        let mut sent = 0;
        while exchange(rig.address, &ask.bytes()).await.status != rated {
            sent += 1;
            assert!(sent <= 1_000, "{contract}: the rate is never reached");
        }
        let media = ask.clone().without("Content-Type").header("Content-Type", "text/plain");
        let reply = rig.send(&media).await;
        rig.assert_is("rates before rights and kinds", &reply, Condition::RateLimited);
        let stranger = Ask::new(&ask.method, &ask.target);
        let reply = rig.send(&stranger).await;
        rig.assert_is("credentials before rates", &reply, Condition::AuthMissing);
        rig.store.revoke_key(rig.account.no, &holder.key.id, rig.clock.time().into()).await.unwrap();
        let reply = rig.send(&ask).await;
        rig.assert_is("A40: an inactive key before rates", &reply, Condition::AuthInactive);
        println!("counted | requests | B98 Q34 requests until the rate ({contract}) | {sent}");

        let other = rig.key_of(&rig.other_account("umbrella").await).await;
        let list = rig.ask(&other, Op::WebhookList, &[], "", None);
        rig.assert_taken("B98: others are not affected", &list).await;
    }
}

#[tokio::test]
async fn rights_come_before_bodies() {
    for contract in ["elydora", "pipai"] {
        let rig = Rig::start(contract).await;
        let (AccessKind::Role(words) | AccessKind::Scope(words)) = &rig.contract.access.kind else {
            panic!("{contract} has rights")
        };
        let holder = rig.key_with(&rig.account, &[words[0].clone()]).await;
        let path = rig.route(Op::WebhookCreate).path.clone();
        let bodies = [
            ("kind", "text/plain", "{}"),
            ("syntax", "application/json", "{"),
            ("fields", "application/json", "{}"),
        ];
        for (row, kind, body) in bodies {
            let ask = Ask::new("POST", &path).header("Content-Type", kind).body(body);
            let ask = rig.signed_by(&holder, ask);
            rig.assert_refused(&format!("rights before {row}"), &ask, Condition::AccessDenied).await;
        }
        rig.tell("order from rights");
    }
}

#[tokio::test]
async fn bodies_are_judged_from_the_outside_in() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        // What is signed has to be read before its signature can be checked; nothing else is known of it then.
        let is_signed = contract == "pipai";
        let expected = if is_signed { Condition::TooLarge } else { Condition::Media };
        let long = vec![b'{'; TOO_LONG_BYTES];
        rig.assert_refused("kind before size", &create(&rig, "text/plain", long.clone()), expected).await;
        rig.assert_refused(
            "size before syntax",
            &create(&rig, "application/json", long),
            Condition::TooLarge,
        )
        .await;
        rig.assert_refused("kind before syntax", &create(&rig, "text/plain", "{"), Condition::Media).await;
        let body = format!("{{\"{}\":1,}}", rig.url_field());
        rig.assert_refused(
            "syntax before fields",
            &create(&rig, "application/json", body),
            Condition::BadBody,
        )
        .await;
        rig.tell("order of bodies");
    }
}

#[tokio::test]
async fn fields_come_before_limits_and_limits_before_nothing() {
    for (contract, max) in [("aioka", 5), ("pipai", 25)] {
        let rig = Rig::start(contract).await;
        for number in 0..max {
            let url = format!("https://hooks.example.com/{number}");
            rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(&url))).await;
        }
        let bad = rig.create(&rig.holder, &rig.new_webhook("https://127.0.0.1/"));
        rig.assert_refused("fields before limits", &bad, Condition::Invalid).await;
        let mut body = rig.new_webhook("https://hooks.example.com/more");
        body["events"] = json!(["nothing"]);
        rig.assert_refused("fields before limits", &rig.create(&rig.holder, &body), Condition::Invalid).await;
        let reply =
            rig.send(&rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/more"))).await;
        rig.assert_is("B64 B65", &reply, Condition::WebhookLimit);
        assert!(!reply.body.contains("secret"), "B58: {reply:?}");
        rig.store.close().await;
        let invalid = rig.send(&bad).await;
        let is_known = [Condition::Invalid, Condition::Unavailable]
            .iter()
            .any(|condition| rig.contract.error_rule(*condition).unwrap().status == invalid.status);
        assert!(is_known, "fields before the store: {invalid:?}");
        rig.tell("order of limits");
    }
}

#[tokio::test]
async fn ids_come_before_bodies_and_queries_before_ids() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let id = rig.contract.ids.webhook.random(rig.clock.time(), &crate::rig::Chance::default());
        if rig.has(Op::WebhookUpdate) {
            let update = rig.ask(&rig.holder, Op::WebhookUpdate, &[&id], "", None);
            let of = |kind: &str, body: &str| {
                let ask = Ask::new(&update.method, &update.target).header("Content-Type", kind).body(body);
                rig.signed_by(&rig.holder, ask)
            };
            rig.assert_refused("kind before id", &of("text/plain", "{"), Condition::Media).await;
            rig.assert_refused("id before syntax", &of("application/json", "{"), Condition::NotFound).await;
        }
        rig.tell("order of ids");
    }
}
