//! Fields that break the contract's rules.

use std::time::Duration;

use posthaste_contract::Condition;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::rig::{Ask, CONTRACTS, Rig};

const URL: &str = "https://hooks.example.com/a";

/// A sound registration with one field changed; `None` takes it out.
fn changed(rig: &Rig, field: &str, value: Option<Value>) -> Ask {
    let mut body = rig.new_webhook(URL);
    let fields = body.as_object_mut().unwrap();
    match value {
        Some(value) => drop(fields.insert(field.to_owned(), value)),
        None => drop(fields.remove(field)),
    }
    rig.create(&rig.holder, &body)
}

#[tokio::test]
async fn urls_that_lead_nowhere_good_are_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let field = rig.url_field();
        for url in [
            json!(null),
            json!(1),
            json!([URL]),
            json!(""),
            json!("   "),
            json!("hooks.example.com"),
            json!("http://hooks.example.com/a"),
            json!("ftp://hooks.example.com/a"),
            json!("javascript:alert(1)"),
            json!("https:/hooks.example.com"),
            json!("https:hooks.example.com"),
            json!("https://"),
            json!(" https://hooks.example.com/a"),
            json!("https://hooks.example.com/a\n"),
            json!("https://hooks.example.com/\u{0}"),
            json!("https://user:pass@hooks.example.com/a"),
            json!("https://hooks.example.com/a#b"),
            json!("https://hooks.example.com/%zz"),
            json!("https://hooks.example.com:99999/"),
            json!("https://hooks.example.com:22/"),
            json!("https://hooks.example.com:6379/"),
            json!("https://127.0.0.1/"),
            json!("https://0x7f000001/"),
            json!("https://2130706433/"),
            json!("https://10.0.0.1/"),
            json!("https://169.254.169.254/latest/meta-data/"),
            json!("https://[::1]/"),
            json!("https://[::ffff:127.0.0.1]/"),
            json!("https://localhost/"),
            json!("https://hooks.internal/"),
            json!("https://intranet/"),
            json!("https://-a.example.com/"),
            json!("https://hooks.example.com\\@evil.example/"),
        ] {
            let row = format!("B31 B32 {url}");
            let reply = rig.assert_refused(&row, &changed(&rig, &field, Some(url)), Condition::Invalid).await;
            assert!(reply.body.contains(&field), "the field is named: {reply:?}");
        }
        rig.assert_refused("missing", &changed(&rig, &field, None), Condition::Invalid).await;
        rig.tell("B31 B32 URLs");
    }
}

#[tokio::test]
async fn urls_may_have_2048_characters() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let field = rig.url_field();
        let of_length = |length: usize| json!(format!("{URL}{}", "a".repeat(length - URL.len())));
        rig.assert_taken("B34 B35", &changed(&rig, &field, Some(of_length(2048)))).await;
        rig.assert_refused("B34 B35", &changed(&rig, &field, Some(of_length(2049))), Condition::Invalid)
            .await;
        // Characters, not bytes: every é takes six once it is encoded.
        let wide = |length: usize| json!(format!("{URL}{}", "é".repeat(length - URL.len())));
        rig.assert_taken("B34", &changed(&rig, &field, Some(wide(2048)))).await;
        rig.assert_refused("B34", &changed(&rig, &field, Some(wide(2049))), Condition::Invalid).await;
        rig.tell("B34 B35 lengths of URLs");
    }
}

#[tokio::test]
async fn lists_of_events_must_name_known_ones() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let known = rig.event_type();
        for events in [
            json!(null),
            json!(known),
            json!({}),
            json!(1),
            json!([]),
            json!([1]),
            json!([null]),
            json!([[known]]),
            json!([""]),
            json!([format!(" {known}")]),
            json!([known.to_uppercase()]),
            json!(["no-such event!"]),
            json!([known, "no such"]),
            json!(["a".repeat(10_000)]),
        ] {
            rig.assert_refused("B40 B41", &changed(&rig, "events", Some(events)), Condition::Invalid).await;
        }
        let began = Instant::now();
        let many = changed(&rig, "events", Some(json!(vec!["x"; 50_000])));
        rig.assert_refused("B46", &many, Condition::Invalid).await;
        assert!(began.elapsed() < Duration::from_secs(2));
        rig.tell("B40-B46 events");
    }
}

#[tokio::test]
async fn each_contract_has_its_own_rules_for_events() {
    for (contract, events, condition) in [
        ("aioka", json!(["verdict.new", "verdict.new"]), Some(Condition::Invalid)),
        (
            "aioka",
            json!([
                "verdict.new",
                "council.new",
                "regime.change",
                "ghost.signal",
                "macro.alert",
                "verdict.new"
            ]),
            Some(Condition::Invalid),
        ),
        (
            "aioka",
            json!(["verdict.new", "council.new", "regime.change", "ghost.signal", "macro.alert"]),
            None,
        ),
        ("aioka", json!(["*"]), Some(Condition::Invalid)),
        ("aioka", json!(["verdict.*"]), Some(Condition::Invalid)),
        ("aira", json!(["*"]), Some(Condition::Invalid)),
        ("aira", json!(["case.complete", "case.complete"]), None),
        ("elydora", json!(["*"]), Some(Condition::Invalid)),
        ("elydora", json!(["operation.*"]), Some(Condition::Invalid)),
        ("pipai", json!(["*"]), None),
        ("pipai", json!(["strategy.*"]), None),
        ("pipai", json!(["*", "strategy.error"]), None),
        ("pipai", json!(["nothing.*"]), Some(Condition::Invalid)),
        ("pipai", json!(["webhook.test"]), Some(Condition::Invalid)),
        ("standard", json!(["*"]), None),
        ("standard", json!(["invoice.*", "anything.at.all"]), None),
    ] {
        let rig = Rig::start(contract).await;
        let ask = changed(&rig, "events", Some(events.clone()));
        match condition {
            Some(condition) => drop(rig.assert_refused(&events.to_string(), &ask, condition).await),
            None => drop(rig.assert_taken(&events.to_string(), &ask).await),
        }
    }
}

#[tokio::test]
async fn leaving_the_events_out_means_all_where_the_contract_says_so() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let ask = changed(&rig, "events", None);
        match contract {
            "aira" | "standard" => drop(rig.assert_taken("B37", &ask).await),
            _ => drop(rig.assert_refused("B37", &ask, Condition::Invalid).await),
        }
        rig.tell("B37 no events");
    }
}

#[tokio::test]
async fn a_callers_own_secret_has_rules() {
    let rig = Rig::start("elydora").await;
    let emoji = "\u{1f600}";
    for (row, secret, is_good) in [
        ("B50 null", json!(null), false),
        ("B50 number", json!(1_234_567_890_123_456_u64), false),
        ("B52 16", json!(emoji.repeat(16)), true),
        ("B52 15", json!(emoji.repeat(15)), false),
        ("B53 spaces", json!(" ".repeat(16)), false),
        ("B53 letters", json!("a".repeat(16)), true),
        ("256", json!("a".repeat(256)), true),
        ("257", json!("a".repeat(257)), false),
        ("B56", json!(rig.holder.text), false),
    ] {
        let ask = changed(&rig, "secret", Some(secret));
        let reply = match is_good {
            true => rig.assert_taken(row, &ask).await,
            false => rig.assert_refused(row, &ask, Condition::Invalid).await,
        };
        assert!(!reply.body.contains("aaaaaaaa") && !reply.body.contains(emoji), "never shown: {reply:?}");
    }
    rig.assert_refused("B50 missing", &changed(&rig, "secret", None), Condition::Invalid).await;
    rig.tell("B50-B56 secrets");
}

#[tokio::test]
async fn what_only_we_decide_cannot_be_sent_along() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let mut body = rig.new_webhook(URL);
        for (name, value) in [
            ("is_active", json!(false)),
            ("consecutive_failures", json!(-5)),
            ("failures_since_success", json!(-5)),
            ("created_at", json!("1970-01-01T00:00:00Z")),
            ("id", json!("wh_00000000")),
        ] {
            body.as_object_mut().unwrap().insert(name.into(), value);
        }
        let reply = rig.assert_taken("B61", &rig.create(&rig.holder, &body)).await;
        assert!(!reply.body.contains("1970") && !reply.body.contains("-5"), "{reply:?}");
        assert!(
            !reply.body.contains("\"is_active\":false") && !reply.body.contains("wh_00000000"),
            "{reply:?}"
        );
        rig.tell("B61 our own fields");
    }
}

#[tokio::test]
async fn descriptions_are_counted_in_characters() {
    let rig = Rig::start("pipai").await;
    let mut place = 0;
    for (row, description, is_good) in [
        ("B70", json!("d".repeat(200)), true),
        ("B70", json!("d".repeat(201)), false),
        ("B70", json!("\u{1f600}".repeat(200)), true),
        ("B71", json!(null), true),
        ("B71", json!(1), false),
        ("B71", json!(["x"]), false),
        ("B71", json!(""), true),
    ] {
        place += 1;
        let mut body = rig.new_webhook(&format!("{URL}/{place}"));
        body["description"] = description;
        let ask = rig.create(&rig.holder, &body);
        match is_good {
            true => drop(rig.assert_taken(row, &ask).await),
            false => drop(rig.assert_refused(row, &ask, Condition::Invalid).await),
        }
    }
    rig.tell("B70 B71 descriptions");
}

#[tokio::test]
async fn thresholds_are_positive_decimals_where_they_count() {
    let rig = Rig::start("pipai").await;
    let ask = |place: usize, events: Value, threshold: Option<&str>| {
        let mut body = rig.new_webhook(&format!("{URL}/{place}"));
        body["events"] = events;
        if let Some(text) = threshold {
            body["balance_low_threshold"] = json!(text);
        }
        rig.create(&rig.holder, &body)
    };
    let named = || json!(["account.balance_low"]);
    rig.assert_refused("B80", &ask(0, named(), None), Condition::Invalid).await;
    let long = "1".repeat(1000);
    for text in [
        "0", "0.0", "-0", "-1", "+1", "1e3", "1E3", "0x10", "1_000", "1,000", "1 000", "NaN", "Infinity",
        "١٢", "１０", "", " 1", ".", "1.", ".5", &long,
    ] {
        rig.assert_refused(&format!("B82-B89 {text}"), &ask(0, named(), Some(text)), Condition::Invalid)
            .await;
    }
    for (place, text) in
        ["0.000000000000000001", "79228162514264337593543950336", "0.1", "100"].iter().enumerate()
    {
        rig.assert_taken("B86 B88", &ask(place, named(), Some(text))).await;
    }
    rig.assert_taken("B92", &ask(10, json!(["strategy.error"]), Some("nonsense"))).await;
    rig.assert_taken("optional under a wildcard", &ask(11, json!(["account.*"]), None)).await;
    rig.tell("B80-B92 thresholds");
}

#[tokio::test]
async fn a_receiver_without_a_valid_certificate_is_refused() {
    let rig = Rig::start("pipai").await;
    let url = "https://hooks.wrong-name.example.net/a";
    let ask = rig.create(&rig.holder, &rig.new_webhook(url));
    let reply = rig.send(&ask).await;
    rig.assert_is("B95", &reply, Condition::Invalid);
    assert_eq!(rig.webhooks().await, 0);
    assert!(reply.body.contains("valid certificate"), "{reply:?}");
}
