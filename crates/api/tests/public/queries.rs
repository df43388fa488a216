//! Ids, queries and cursors that somebody made up, changed or took from elsewhere.

use std::time::Duration;

use posthaste_contract::model::Segment;
use posthaste_contract::{Condition, Op};
use posthaste_core::DeliveryState;

use crate::registration::id_of;
use crate::rig::{Ask, CONTRACTS, Rig};

const URL: &str = "https://hooks.example.com/a";

/// Made-up ids, as they stand in paths.
fn odd_ids(rig: &Rig) -> Vec<String> {
    let sound = rig.contract.ids.webhook.random(rig.clock.time(), &crate::rig::Chance::default());
    let mut ids: Vec<String> = [
        "..",
        ".",
        "...",
        "%00",
        "%0a",
        "%0d%0a",
        "%20",
        "%2e%2e",
        "%2F",
        "..%2f..",
        "%25",
        "%",
        "%zz",
        "'",
        "\"",
        ";",
        "*",
        "%",
        "null",
        "undefined",
        "NaN",
        "0",
        "-1",
        "1",
        "true",
        "[]",
        "{}",
        "urn:uuid:x",
        "wh_",
        "wh_2A4F10",
        "wh_2a4f1",
        "wh_2a4f10000",
        "wh_zzzzzzzz",
        "'%20OR%201=1%20--",
        "$ne",
        "%7B%24ne%7D",
        "é",
        "%C3%A9",
        "%FF",
        "test",
        "deliveries",
        "00000000-0000-0000-0000-000000000000",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.extend([
        sound.to_uppercase(),
        format!("{{{sound}}}"),
        format!("urn:uuid:{sound}"),
        sound.replace('-', ""),
        format!("{sound}%00"),
        format!("{sound}%20"),
        format!("{sound}.json"),
        format!("{sound};x"),
        format!("%{:02x}{}", sound.as_bytes()[0], &sound[1..]),
        sound[..sound.len() - 1].to_owned(),
        format!("{sound}{sound}"),
        "a".repeat(5_000),
    ]);
    ids
}

/// Every route with an id in it, for every id, answers alike.
#[tokio::test]
async fn odd_ids_are_unknown_on_every_route() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let webhook =
            id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        let mut told = Vec::new();
        for route in rig.contract.routes.clone() {
            let ids = route.segments.iter().filter(|segment| !matches!(segment, Segment::Literal(_))).count();
            if ids == 0 {
                continue;
            }
            for odd in odd_ids(&rig) {
                // The last id is the odd one; what stands before it is there.
                let ids: Vec<&str> =
                    std::iter::repeat_n(webhook.as_str(), ids - 1).chain([odd.as_str()]).collect();
                let ask = rig.ask(&rig.holder, route.op, &ids, "", None);
                let body = route.input.map(|_| "{}".to_owned());
                let ask = match body {
                    Some(body) => {
                        let ask = Ask::new(&ask.method, &ask.target)
                            .header("Content-Type", "application/json")
                            .body(body);
                        rig.signed_by(&rig.holder, ask)
                    }
                    None => ask,
                };
                let row = format!("Q1-Q8 D1 {} {}", route.path, &odd[..odd.len().min(60)]);
                // Some of these are another route's path; then the method may be unknown there.
                let reply = rig.assert_harmless(&row, &ask.bytes()).await;
                let not_found = rig.contract.error_rule(Condition::NotFound).unwrap().status;
                let method = rig.contract.error_rule(Condition::Method).unwrap().status;
                assert!(reply.status == not_found || reply.status == method, "{row}: {reply:?}");
                if reply.status == not_found {
                    told.push(rig.told(&reply));
                }
            }
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{contract}: {told:?}");
        rig.tell("Q1-Q8 D1 ids");
    }
}

#[tokio::test]
async fn odd_queries_have_one_fixed_answer() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        let webhook = rig.webhook(&rig.holder, &id).await;
        let event_type = rig.event_type();
        let key = rig.publish(&webhook, &event_type, "{}").await;
        rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
        let mut rows = 0;
        for name in [
            "page", "per_page", "limit", "cursor", "status", "event", "state", "unknown", "page[]", "%70age",
            "",
        ] {
            for value in [
                "0",
                "-1",
                "1.5",
                "abc",
                "",
                "%00",
                "%201",
                "+1",
                "1e3",
                "0x1",
                "%D9%A1",
                "9223372036854775807",
                "9223372036854775808",
                "1000000000000000000000000000000000000000",
                "NaN",
                "null",
                "%FF",
                "%zz",
                "%",
                "'",
                "1&limit=2&page=3&cursor=x",
                "a=b=c",
                "[]",
                "{}",
                "*",
                "active",
                "../..",
            ] {
                let query = format!("?{name}={value}");
                for (op, ids) in [(Op::WebhookList, vec![]), (Op::DeliveryList, vec![id.as_str()])] {
                    let ask = rig.ask(&rig.holder, op, &ids, &query, None);
                    let (first, second) = (rig.send(&ask).await, rig.send(&ask).await);
                    let row = format!("{contract} {op:?} {query}");
                    assert_eq!(rig.told(&first).0, rig.told(&second).0, "{row}");
                    assert!(
                        first.status == 200
                            || first.status == rig.contract.error_rule(Condition::Invalid).unwrap().status,
                        "{row}: {first:?}"
                    );
                    rig.assert_keeps_quiet(&row, &ask.bytes(), &first);
                    rig.clock.advance(Duration::from_secs(2));
                    rows += 1;
                }
            }
        }
        rig.assert_ready().await;
        println!("counted | requests | Q10-Q13 Q26 queries ({contract}) | {rows}");
    }
}

/// Reads a page of one; answers its cursor.
async fn cursor_of(rig: &Rig, ask: &Ask) -> String {
    let page = rig.assert_taken("page", ask).await.json();
    page["next_cursor"].as_str().or(page["next"].as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn cursors_open_only_where_they_were_given() {
    for contract in ["pipai", "standard"] {
        let rig = Rig::start(contract).await;
        let mut ids = Vec::new();
        for number in 0..3 {
            let ask = rig.create(&rig.holder, &rig.new_webhook(&format!("{URL}/{number}")));
            ids.push(id_of(&rig.assert_taken("create", &ask).await));
        }
        for id in &ids {
            let webhook = rig.webhook(&rig.holder, id).await;
            for _ in 0..3 {
                let key = rig.publish(&webhook, &rig.event_type(), "{}").await;
                rig.attempt(key, 1, Some(200), DeliveryState::Delivered).await;
            }
        }
        let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
        let webhooks = |query: &str| rig.ask(&rig.holder, Op::WebhookList, &[], query, None);
        let log = |id: &str, query: &str| rig.ask(&rig.holder, Op::DeliveryList, &[id], query, None);
        let of_webhooks = cursor_of(&rig, &webhooks("?limit=1")).await;
        let of_log = cursor_of(&rig, &log(&ids[0], "?limit=1")).await;
        rig.assert_taken("the right list", &webhooks(&format!("?limit=1&cursor={of_webhooks}"))).await;
        rig.assert_taken("the right log", &log(&ids[0], &format!("?limit=1&cursor={of_log}"))).await;

        for at in 0..of_webhooks.len() {
            let mut changed = of_webhooks.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let ask = webhooks(&format!("?limit=1&cursor={changed}"));
            rig.assert_refused(&format!("Q20 character {at}"), &ask, Condition::Invalid).await;
        }
        for (row, ask) in [
            ("of the log", webhooks(&format!("?limit=1&cursor={of_log}"))),
            ("of the list", log(&ids[0], &format!("?limit=1&cursor={of_webhooks}"))),
            ("of another log", log(&ids[1], &format!("?limit=1&cursor={of_log}"))),
            ("of another filter", webhooks(&format!("?limit=1&status=active&cursor={of_webhooks}"))),
            ("cut", webhooks(&format!("?cursor={}", &of_webhooks[..of_webhooks.len() - 1]))),
            ("longer", webhooks(&format!("?cursor={of_webhooks}A"))),
            ("padded", webhooks(&format!("?cursor={of_webhooks}="))),
            ("twice", webhooks(&format!("?cursor={of_webhooks}{of_webhooks}"))),
            ("NUL", webhooks(&format!("?cursor={of_webhooks}%00"))),
            ("one letter", webhooks("?cursor=1")),
            ("7 KB", webhooks(&format!("?cursor={}", "A".repeat(7_000)))),
            (
                "a stranger's",
                rig.ask(&stranger, Op::WebhookList, &[], &format!("?limit=1&cursor={of_webhooks}"), None),
            ),
        ] {
            rig.assert_refused(&format!("Q20 {row}"), &ask, Condition::Invalid).await;
        }
        let long = webhooks(&format!("?cursor={}", "A".repeat(10_000)));
        assert_eq!(rig.assert_harmless("Q20 10 KB", &long.bytes()).await.status, 414);
        let foreign = format!("?limit=1&cursor={of_log}");
        let ask = rig.ask(&stranger, Op::DeliveryList, &[&ids[0]], &foreign, None);
        rig.assert_refused("Q20 a stranger's log", &ask, Condition::NotFound).await;
        rig.tell("Q20 cursors");
    }
}

#[tokio::test]
async fn head_answers_lists_without_their_bodies() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let id = id_of(&rig.assert_taken("create", &rig.create(&rig.holder, &rig.new_webhook(URL))).await);
        for (op, ids) in [(Op::WebhookList, vec![]), (Op::DeliveryList, vec![id.as_str()])] {
            let get = rig.ask(&rig.holder, op, &ids, "", None);
            // A signed request is signed with its own method.
            let head = rig.signed_by(&rig.holder, Ask::new("HEAD", &get.target));
            let (got, headed) = (rig.assert_taken("Q32", &get).await, rig.assert_taken("Q32", &head).await);
            let names =
                |reply: &crate::rig::Reply| reply.headers.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
            assert_eq!((headed.body.as_str(), names(&got)), ("", names(&headed)), "{contract} {op:?}");
            assert_eq!(got.header("content-length"), headed.header("content-length"), "{contract} {op:?}");
        }
        rig.tell("Q32 HEAD");
    }
}
