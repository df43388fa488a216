//! Who may call: keys in every wrong place and form, and keys that may not do what they ask.

use std::time::Duration;

use posthaste_contract::model::{AccessKind, Scheme, Segment};
use posthaste_contract::{Condition, Op};
use posthaste_store::Store;

use crate::rig::{Ask, CONTRACTS, Rig};

/// The header that holds the key.
fn key_header(rig: &Rig) -> &str {
    match &rig.contract.auth[0].scheme {
        Scheme::ApiKey { header } => header,
        Scheme::Bearer | Scheme::Basic => "Authorization",
        Scheme::HmacRequest(rule) => &rule.key_header,
    }
}

/// What stands in that header for a key.
fn value(rig: &Rig, key: &str) -> String {
    let is_bearer = rig.contract.auth[0].scheme == Scheme::Bearer;
    if is_bearer { format!("Bearer {key}") } else { key.to_owned() }
}

/// A sound registration, but for its key.
fn with_key(rig: &Rig, value: &str) -> Ask {
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    ask.without(key_header(rig)).header(key_header(rig), value)
}

#[tokio::test]
async fn credentials_count_only_as_they_are() {
    for contract in CONTRACTS {
        let rig = Rig::for_guesses(contract).await;
        let right = rig.holder.text.clone();
        let sound = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));

        rig.assert_refused("A1", &sound.clone().without(key_header(&rig)), Condition::AuthMissing).await;

        let other = Rig::start(if contract == "aira" { "elydora" } else { "aira" }).await;
        let changed =
            format!("{}{}", &right[..right.len() - 1], if right.ends_with('a') { 'b' } else { 'a' });
        for (row, key) in [
            ("A2", changed),
            ("A4 percent", format!("{right}%00")),
            ("A4 inner space", format!("{right} x")),
            ("A5 lower", flipped(&right)),
            ("A14", format!("{right}\u{e9}")),
            ("A17", other.holder.text.clone()),
            ("A4 space", format!("{right} ")),
            ("A4 tab", format!("{right}\t")),
            ("A4 spaces", format!("{right} \t ")),
            ("A4 quoted", format!("\"{right}\"")),
            ("A4 comma", format!("{right},")),
            ("A5 upper", right.to_uppercase()),
            ("A5 all lower", right.to_lowercase()),
            ("A4 cut", right[..right.len() - 1].to_owned()),
            ("A4 longer", format!("{right}0")),
            ("A14 other digits", right.replace(|c: char| c.is_ascii_digit(), "\u{661}") + "\u{661}"),
            ("A7 both in one", format!("{right}, {right}")),
            ("empty", String::new()),
            ("long", "k".repeat(8_000)),
        ] {
            // Some keys have no capital letters to lose.
            if key == right {
                continue;
            }
            rig.assert_refused(row, &with_key(&rig, &value(&rig, &key)), Condition::AuthInvalid).await;
            // An address may fail only so often in a time.
            rig.clock.advance(Duration::from_secs(2));
        }

        for (row, second) in [("A7", "wrong".to_owned()), ("A8", right.clone())] {
            let twice = sound.clone().header(key_header(&rig), &value(&rig, &second));
            rig.assert_refused(row, &twice, Condition::AuthInvalid).await;
        }
        if rig.contract.auth[0].scheme == Scheme::Bearer {
            for text in [
                format!("Bearer  {right}"),
                "Bearer".into(),
                "Bearer ".into(),
                format!("Bearer \"{right}\""),
                format!("Bearer\t{right}"),
                format!("Bearer:{right}"),
                format!("Bearer{right}"),
                format!("Basic {right}"),
                format!("Token {right}"),
                format!("Bearer {right} x"),
                right.clone(),
            ] {
                rig.assert_refused("A10", &with_key(&rig, &text), Condition::AuthInvalid).await;
                rig.clock.advance(Duration::from_secs(2));
            }
        }
        let elsewhere = sound.clone().without(key_header(&rig)).header("Cookie", &format!("key={right}"));
        rig.assert_refused("A11 cookie", &elsewhere, Condition::AuthMissing).await;
        for name in ["api_key", "key", "token", "access_token", "Authorization", "X-API-Key"] {
            let path = rig.route(Op::WebhookCreate).path.clone();
            let in_query = Ask::new("POST", &format!("{path}?{name}={right}"));
            rig.assert_refused(&format!("A11 query {name}"), &in_query, Condition::AuthMissing).await;
            let in_body = Ask::new("POST", &path)
                .header("Content-Type", "application/json")
                .body(format!("{{\"{name}\":\"{right}\"}}"));
            rig.assert_refused(&format!("A11 body {name}"), &in_body, Condition::AuthMissing).await;
        }
        rig.tell("A1-A17 credentials");
    }
}

fn flipped(text: &str) -> String {
    let flip = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(flip).collect()
}

#[tokio::test]
async fn a_key_that_is_revoked_or_over_is_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let ask = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
        rig.assert_taken("before", &ask).await;
        rig.store.revoke_key(rig.account.no, &rig.holder.key.id, rig.clock.time().into()).await.unwrap();
        rig.assert_refused("A16 A40 revoked", &ask, Condition::AuthInactive).await;

        let expiring = rig.key_until(Duration::from_secs(60)).await;
        rig.assert_taken("before its end", &rig.ask(&expiring, Op::WebhookList, &[], "", None)).await;
        rig.clock.advance(Duration::from_secs(60));
        let late = rig.ask(&expiring, Op::WebhookList, &[], "", None);
        rig.assert_refused("A16 expired", &late, Condition::AuthInactive).await;
        rig.tell("A16 A40 keys that are over");
    }
}

#[tokio::test]
async fn a_key_without_the_right_is_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let words = match &rig.contract.access.kind {
            AccessKind::None => continue,
            AccessKind::Tier(words) | AccessKind::Role(words) | AccessKind::Scope(words) => words.clone(),
        };
        let id = rig.contract.ids.webhook.random(rig.clock.time(), &crate::rig::Chance::default());
        let mut rows = 0;
        for word in words {
            let holder = rig.key_with(&rig.account, &[word]).await;
            for route in rig.contract.routes.clone() {
                if rig.contract.allows(&holder.key, route.needs) {
                    continue;
                }
                let is_id = |segment: &&Segment| !matches!(segment, Segment::Literal(_));
                let ids = vec![id.as_str(); route.segments.iter().filter(is_id).count()];
                let body = route.input.map(|_| rig.new_webhook("https://hooks.example.com/a"));
                let ask = rig.ask(&holder, route.op, &ids, "", body.as_ref());
                rig.assert_refused(&format!("A34 A35 {:?}", route.op), &ask, Condition::AccessDenied).await;
                rows += 1;
            }
        }
        // A tier may limit nothing but rates.
        assert!(rows > 0 || contract == "aioka", "{contract}: some route is out of reach");
        rig.tell("A34 A35 rights");
    }
}

#[tokio::test]
async fn the_rate_is_kept_and_given_back() {
    let rig = Rig::start("aioka").await;
    let created = rig.send(&rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"))).await;
    let id = crate::registration::id_of(&created);
    let ask = rig.ask(&rig.holder, Op::DeliveryList, &[&id], "", None);
    for left in (0..60).rev() {
        let reply = rig.assert_taken("60 a minute", &ask).await;
        assert_eq!(reply.header("x-ratelimit-limit"), Some("60"));
        assert_eq!(reply.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = rig.assert_refused("the 61st", &ask, Condition::RateLimited).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    let other = rig.key_of(&rig.account).await;
    let foreign = rig.ask(&other, Op::DeliveryList, &[&id], "", None);
    rig.assert_refused("another key has its own", &foreign, Condition::NotFound).await;
    rig.clock.advance(Duration::from_secs(1));
    rig.assert_taken("a second later", &ask).await;
}
