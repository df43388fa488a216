//! Bad bodies, and what each gets.

use posthaste_contract::{BodyFault, Condition, Contract, ErrorContext, Op};
use posthaste_core::{Subscription, WebhookState};

use crate::support::{at, input_of, route_of, webhook};

/// `ok`, `bad_body`, or the rules that were broken.
fn verdict(contract: &Contract, op: Op, body: &[u8]) -> String {
    match contract.read_input(input_of(contract, op), body, None) {
        Ok(_) => "ok".into(),
        Err(BodyFault::Malformed(_)) => "bad_body".into(),
        Err(BodyFault::Fields(faults)) => {
            faults.iter().map(|fault| format!("{}:{}", fault.field, fault.rule)).collect::<Vec<_>>().join(" ")
        }
    }
}

fn check(name: &str, rows: &[(&str, &str)]) {
    let contract = Contract::builtin(name).unwrap();
    for (body, expected) in rows {
        assert_eq!(verdict(&contract, Op::WebhookCreate, body.as_bytes()), *expected, "{name} {body}");
    }
}

#[test]
fn bodies_that_are_no_sound_object() {
    for name in ["aioka", "aira", "elydora", "pipai", "standard"] {
        let contract = Contract::builtin(name).unwrap();
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "",
            "{",
            "{}}",
            "{} {}",
            "{},",
            "null",
            "true",
            "1",
            "\"x\"",
            "[]",
            r#"["https://ok.example/x",["verdict.new"]]"#,
            r#"{"url":"https://a.example","\u0075rl":"https://b.example"}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":NaN}"#,
            r#"{"x":01}"#,
            r#"{"x":+1}"#,
            r#"{"x":.5}"#,
            r#"{"x":1.}"#,
            "{\"url\":\"\n\"}",
            "{}\0",
            &deep,
        ] {
            assert_eq!(
                verdict(&contract, Op::WebhookCreate, body.as_bytes()),
                "bad_body",
                "{name} {body:.60}"
            );
        }
        for body in [&b"\xff\xfe{\0}\0"[..], b"{\"url\":\"\xc0\xaf\"}", b"{\"url\":\"\xed\xa0\x80\"}"] {
            assert_eq!(verdict(&contract, Op::WebhookCreate, body), "bad_body", "{name}");
        }
    }
}

#[test]
fn urls() {
    let long = |characters: usize| {
        format!(r#"{{"url":"https://a.example/{}","events":["verdict.new"]}}"#, "é".repeat(characters - 18))
    };
    check(
        "aioka",
        &[
            (r#"{"events":["verdict.new"]}"#, "url:required"),
            (r#"{"url":"","events":["verdict.new"]}"#, "url:required"),
            (r#"{"url":"  ","events":["verdict.new"]}"#, "url:required"),
            (r#"{"url":null,"events":["verdict.new"]}"#, "url:type"),
            (r#"{"url":1,"events":["verdict.new"]}"#, "url:type"),
            // Whether it can be read as a URL, and by everybody alike, is the address guard's to say.
            (r#"{"url":"\u0000","events":["verdict.new"]}"#, "ok"),
            (r#"{"url":"a.example","events":["verdict.new"]}"#, "ok"),
            (r#"{"url":"ftp:a.example","events":["verdict.new"]}"#, "url:scheme"),
            (r#"{"url":"http://a.example","events":["verdict.new"]}"#, "url:scheme"),
            (r#"{"url":"HTTPS://a.example","events":["verdict.new"]}"#, "ok"),
            (&long(2048), "ok"),
            (&long(2049), "url:max"),
            (r#"{}"#, "url:required events:required"),
        ],
    );
}

#[test]
fn events() {
    let with = |events: &str| format!(r#"{{"url":"https://a.example","events":{events}}}"#);
    let many = format!("[{}]", vec!["\"verdict.new\""; 100_000].join(","));
    let all_five = r#"["verdict.new","council.new","regime.change","ghost.signal","macro.alert"]"#;
    for (events, expected) in [
        ("[]", "events:min"),
        ("null", "events:type"),
        (r#""verdict.new""#, "events:type"),
        ("{}", "events:type"),
        ("1", "events:type"),
        ("[1]", "events:type"),
        ("[null]", "events:type"),
        (r#"[["x"]]"#, "events:type"),
        (r#"[""]"#, "events:unknown"),
        (r#"[" verdict.new"]"#, "events:unknown"),
        (r#"["VERDICT.NEW"]"#, "events:unknown"),
        (r#"["*"]"#, "events:unknown"),
        (r#"["verdict.*"]"#, "events:unknown"),
        (r#"["verdict.new","verdict.new"]"#, "events:unique"),
        (r#"["a","b","c","d","e","f"]"#, "events:max"),
        (&many, "events:max"),
        (all_five, "ok"),
    ] {
        check("aioka", &[(&with(events), expected)]);
    }
    for (events, expected) in [
        (r#"["*"]"#, "ok"),
        (r#"["strategy.*"]"#, "ok"),
        (r#"["*","strategy.error"]"#, "ok"),
        (r#"["webhook.test"]"#, "events:unknown"),
        (r#"["webhook.*"]"#, "events:unknown"),
        (r#"["strat*"]"#, "events:unknown"),
    ] {
        check("pipai", &[(&with(events), expected)]);
    }
    check("aira", &[(r#"{"url":"https://a.example"}"#, "ok"), (&with("null"), "events:type")]);
    for (events, expected) in [
        (r#"["invoice.paid","invoice.*","*"]"#, "ok"),
        (r#"["Invoice.paid"]"#, "events:unknown"),
        (r#"["*.*"]"#, "events:unknown"),
        (r#"["group.*"]"#, "ok"),
    ] {
        check("standard", &[(&with(events), expected)]);
    }
}

#[test]
fn duplicates_are_dropped_where_they_are_not_refused() {
    let contract = Contract::builtin("aira").unwrap();
    let body = br#"{"url":"https://a.example","events":["case.complete","case.complete"]}"#;
    let values = contract.read_input(input_of(&contract, Op::WebhookCreate), body, None).ok().unwrap();
    assert_eq!(values.events, Some(Subscription::Patterns(vec!["case.complete".into()])));
}

#[test]
fn secrets_of_callers() {
    let with = |secret: &str| {
        format!(r#"{{"endpoint_url":"https://a.example","events":["epoch.created"],"secret":{secret}}}"#)
    };
    for (secret, expected) in [
        ("null", "secret:type"),
        ("16", "secret:type"),
        (&format!("\"{}\"", "😀".repeat(16)), "ok"),
        (&format!("\"{}\"", "😀".repeat(15)), "secret:min"),
        (&format!("\"{}\"", " ".repeat(16)), "secret:blank"),
        (&format!("\"{}\"", "a".repeat(16)), "ok"),
        (&format!("\"{}\"", "a".repeat(257)), "secret:max"),
    ] {
        check("elydora", &[(&with(secret), expected)]);
    }
    check(
        "elydora",
        &[(r#"{"endpoint_url":"https://a.example","events":["epoch.created"]}"#, "secret:required")],
    );
    let own = |secret: &str| format!(r#"{{"url":"https://a.example","secret":"{secret}"}}"#);
    check("standard", &[(&own("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "ok")]);
    check("standard", &[(&own("whsec_????????????????????????????????"), "secret:form")]);
}

#[test]
fn descriptions_and_unknown_members() {
    let with = |more: &str| format!(r#"{{"url":"https://a.example","events":["*"],{more}}}"#);
    let described = |text: &str| with(&format!(r#""description":{text}"#));
    for (text, expected) in [
        ("null", "ok"),
        ("1", "description:type"),
        ("[]", "description:type"),
        ("\"\"", "ok"),
        (&format!("\"{}\"", "x".repeat(200)), "ok"),
        (&format!("\"{}\"", "😀".repeat(200)), "ok"),
        (&format!("\"{}\"", "x".repeat(201)), "description:max"),
    ] {
        check("pipai", &[(&described(text), expected)]);
    }
    for more in [
        r#""status":"broken","is_active":false,"consecutive_failures":-5,"created_at":"1970""#,
        r#""__proto__":{},"constructor":1,"$ne":null,"' OR 1=1 --":"%s%n""#,
    ] {
        check("pipai", &[(&with(more), "ok")]);
    }
}

#[test]
fn thresholds() {
    let with = |events: &str, threshold: &str| {
        format!(r#"{{"url":"https://a.example","events":{events},"balance_low_threshold":{threshold}}}"#)
    };
    let named = r#"["account.balance_low"]"#;
    for threshold in [
        "\"0\"",
        "\"0.0\"",
        "\"-0\"",
        "\"-1\"",
        "\"+1\"",
        "\"1e3\"",
        "\"1E3\"",
        "\"0x10\"",
        "\"1_000\"",
        "\"1,000\"",
        "\"1 000\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"١٢\"",
        "\"１０\"",
        "\"\"",
        "0.1",
        "null",
        "[]",
        &format!("\"{}\"", "1".repeat(1000)),
    ] {
        let body = with(named, threshold);
        let contract = Contract::builtin("pipai").unwrap();
        let found = verdict(&contract, Op::WebhookCreate, body.as_bytes());
        assert!(found.starts_with("balance_low_threshold:"), "{threshold}: {found}");
        check("pipai", &[(&with(r#"["strategy.error"]"#, threshold), "ok")]);
    }
    for threshold in ["\"0.000000000000000001\"", "\"79228162514264337593543950336\"", "\"0.1\""] {
        check("pipai", &[(&with(named, threshold), "ok")]);
    }
    let without = |events: &str| format!(r#"{{"url":"https://a.example","events":{events}}}"#);
    check("pipai", &[(&without(named), "balance_low_threshold:required"), (&without(r#"["*"]"#), "ok")]);
}

#[test]
fn thresholds_are_kept_only_where_they_mean_something() {
    let contract = Contract::builtin("pipai").unwrap();
    let kept = |events: &str| {
        let body = format!(r#"{{"url":"https://a.example","events":{events},"balance_low_threshold":"5"}}"#);
        let read = contract.read_input(input_of(&contract, Op::WebhookCreate), body.as_bytes(), None);
        read.ok().unwrap().extension.get("balance_low_threshold").cloned().flatten()
    };
    assert_eq!(kept(r#"["account.*"]"#).as_deref(), Some("5"));
    assert_eq!(kept(r#"["strategy.error"]"#), None);
}

#[test]
fn updates_change_what_they_mention() {
    let contract = Contract::builtin("pipai").unwrap();
    let mut current = webhook(
        "wh_1",
        "acme",
        "https://a.example",
        &["account.balance_low"],
        "s",
        at("2026-01-01T00:00:00Z"),
    );
    current.extension.insert("balance_low_threshold".into(), "5".into());
    let read = |body: &str| {
        contract.read_input(input_of(&contract, Op::WebhookUpdate), body.as_bytes(), Some(&current))
    };
    let none = read("{}").ok().unwrap();
    assert!(
        none.url.is_none() && none.events.is_none() && none.description.is_none() && none.state.is_none()
    );
    assert_eq!(read(r#"{"description":null}"#).ok().unwrap().description, Some(None));
    assert_eq!(read(r#"{"status":"paused"}"#).ok().unwrap().state, Some(WebhookState::Paused));
    assert!(read(r#"{"status":"broken"}"#).is_err());
    assert!(read(r#"{"balance_low_threshold":null}"#).is_err(), "the event is still named");
    let moved = read(r#"{"events":["strategy.error"],"balance_low_threshold":"x"}"#).ok().unwrap();
    assert!(moved.extension.is_empty());
    let aioka = Contract::builtin("aioka").unwrap();
    let paused = aioka.read_input(input_of(&aioka, Op::WebhookUpdate), br#"{"is_active":false}"#, None);
    assert_eq!(paused.ok().unwrap().state, Some(WebhookState::Paused));
}

#[test]
fn a_body_may_be_left_out_where_nothing_is_required() {
    let contract = Contract::builtin("pipai").unwrap();
    let values = contract.read_input(input_of(&contract, Op::WebhookTest), b"", None).ok().unwrap();
    assert_eq!(values.event_type.as_deref(), Some("webhook.test"));
    assert_eq!(verdict(&contract, Op::WebhookUpdate, b""), "bad_body");
}

#[test]
fn faults_are_told_in_the_contracts_words() {
    for (name, expected) in [
        ("aioka", r#"{"error":"validation_error","message":"url is required"}"#),
        (
            "aira",
            r#"{"error":{"code":"VALIDATION_ERROR","message":"url is required","details":{"fields":{"url":"url is required"}}},"request_id":"req_1"}"#,
        ),
        (
            "elydora",
            r#"{"error":{"code":"VALIDATION_ERROR","message":"endpoint_url is required","request_id":"req_1"}}"#,
        ),
        ("pipai", r#"{"code":"INVALID_PARAMETER","message":"url is required"}"#),
        (
            "standard",
            r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"url is required","code":"invalid","errors":[{"field":"url","rule":"required","message":"url is required"}],"request_id":"req_1"}"#,
        ),
    ] {
        let contract = Contract::builtin(name).unwrap();
        let body: &[u8] = br#"{"events":["*","epoch.created"],"secret":"0123456789abcdef"}"#;
        let Err(BodyFault::Fields(mut faults)) =
            contract.read_input(input_of(&contract, Op::WebhookCreate), body, None)
        else {
            panic!("{name}: the URL is missing")
        };
        faults.truncate(1);
        let context = ErrorContext { request_id: "req_1", message: None, fields: &faults };
        assert_eq!(contract.error(Condition::Invalid, &context).body, expected, "{name}");
    }
}

#[test]
fn conditions_have_their_status_and_code() {
    for (name, condition, status, waits) in [
        ("aioka", Condition::WebhookLimit, 409, false),
        ("aioka", Condition::RateLimited, 429, true),
        ("aira", Condition::BadBody, 422, false),
        ("aira", Condition::Media, 415, false),
        ("pipai", Condition::WebhookLimit, 429, false),
        ("pipai", Condition::DuplicateUrl, 409, false),
        ("elydora", Condition::AuthSkew, 401, false),
        ("standard", Condition::Unavailable, 503, true),
    ] {
        let contract = Contract::builtin(name).unwrap();
        let answer = contract.error(condition, &ErrorContext::default());
        assert_eq!((answer.status, answer.retry_after), (status, waits), "{name} {condition:?}");
    }
}

#[test]
fn routes_are_found_by_their_most_literal_path() {
    use posthaste_contract::RouteMatch::{Found, OtherMethods, Unknown};
    let contract = Contract::builtin("aioka").unwrap();
    let op = |method: &str, path: &str| match contract.find_route(method, path) {
        Found { route, webhook, .. } => {
            format!("{} {}", contract.routes[route].op.word(), webhook.unwrap_or("-"))
        }
        OtherMethods(methods) => {
            format!("only {}", methods.iter().map(|m| m.word()).collect::<Vec<_>>().join(" "))
        }
        Unknown => "unknown".into(),
    };
    for (method, path, expected) in [
        ("POST", "/v1/webhooks", "endpoint.create -"),
        ("POST", "/v1/webhooks/test", "endpoint.test -"),
        ("GET", "/v1/webhooks/test", "only POST"),
        ("GET", "/v1/webhooks/abc", "endpoint.get abc"),
        ("GET", "/v1/webhooks/abc/deliveries", "delivery.list abc"),
        ("PUT", "/v1/webhooks", "only POST GET"),
        ("GET", "/v1/webhooks/", "unknown"),
        ("GET", "//v1/webhooks", "unknown"),
        ("GET", "/v1/./webhooks", "unknown"),
        ("GET", "/V1/webhooks", "unknown"),
        ("GET", "/v1/webhooks/a/b/c", "unknown"),
        ("GET", "", "unknown"),
    ] {
        assert_eq!(op(method, path), expected, "{method} {path}");
    }
    assert_eq!(route_of(&contract, Op::WebhookTest).segments.len(), 3);
}

#[test]
fn filters_speak_the_contracts_words() {
    let contract = Contract::builtin("pipai").unwrap();
    let route = contract.routes.iter().find(|route| route.op == Op::WebhookList).unwrap();
    let ask = route.read_query("status=broken&event=strategy.error").unwrap();
    assert_eq!(ask.webhook_state, Some(WebhookState::Disabled));
    assert_eq!(ask.covers.as_deref(), Some("strategy.error"));
    assert_eq!(route.read_query("status=disabled").unwrap_err()[0].field, "status");
}
