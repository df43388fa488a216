//! What is said about files with mistakes.

use expect_test::{Expect, expect};
use posthaste_contract::{Contract, builtin};

/// The findings after replacing one text by another in a built-in contract.
fn check(name: &str, replaced: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&faults(name, replaced));
}

fn faults(name: &str, replaced: &[(&str, &str)]) -> String {
    let mut text = builtin::text(name).unwrap().to_owned();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let found = Contract::read("c.toml", &text).map_or_else(|found| found, |(_, found)| found);
    found.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn unknown_words_and_keys() {
    check(
        "aioka",
        &[
            (r#"from = "endpoint.url""#, r#"from = "endpoint.ulr""#),
            (r#"view   = "webhook""#, r#"veiw   = "webhook""#),
            (r#"as = "rfc3339""#, r#"as = "rfc339""#),
            (r#"do     = "endpoint.list""#, r#"do     = "endpoint.lsit""#),
            (r#"timeout      = "10s""#, r#"timeout      = "10 seconds""#),
        ],
        expect![[r#"
            c.toml:65:43: error: views.webhook.fields[1].from: unknown word `endpoint.ulr`; did you mean `endpoint.url`?
            c.toml:68:71: error: views.webhook.fields[4].as: unknown word `rfc339`; known are rfc3339, rfc3339-ms, unix, unix-ms, int, ms, text, bool, enum, plain; did you mean `rfc3339`?
            c.toml:150:1: error: routes.create_webhook.veiw: unknown key `veiw`; did you mean `view`?
            c.toml:154:10: error: routes.list_webhooks.do: unknown word `endpoint.lsit`; known are endpoint.create, endpoint.list, endpoint.get, endpoint.update, endpoint.delete, endpoint.rotate, endpoint.test, endpoint.pause, endpoint.resume, delivery.list, delivery.get, delivery.resend; did you mean `endpoint.list`?
            c.toml:251:16: error: delivery.timeout: `10 seconds` is no duration; write a whole number and ms, s, m, h or d, such as "10s"
        "#]],
    );
}

#[test]
fn dangling_references() {
    check(
        "aioka",
        &[
            (r#"input  = "webhook_create""#, r#"input  = "webhok_create""#),
            (r#"auth   = "key""#, r#"auth   = "keys""#),
            (r#"needs  = "basic""#, r#"needs  = "bsic""#),
            (r#"rates  = ["per_minute"]"#, r#"rates  = ["per_minut"]"#),
            (r#"each = "delivery""#, r#"each = "delivry""#),
        ],
        expect![[r#"
            c.toml:94:52: error: views.delivery_list.fields[1].each: there is no view `delivry`; did you mean `delivery`?
            c.toml:146:10: error: routes.create_webhook.auth: there is no auth `keys`; did you mean `key`?
            c.toml:147:10: error: routes.create_webhook.needs: there is no tier `bsic`; did you mean `basic`?
            c.toml:148:10: error: routes.create_webhook.input: there is no input `webhok_create`; did you mean `webhook_create`?
            c.toml:203:11: error: routes.list_deliveries.rates[0]: there is no rate `per_minut`; did you mean `per_minute`?
        "#]],
    );
}

#[test]
fn wrong_types() {
    check(
        "aira",
        &[(r#"status = 201"#, r#"status = "201""#), (r#"limit   = 60"#, r#"limit   = 0"#)],
        expect![[r#"
            c.toml:135:10: error: routes.create_webhook.status: expected a whole number, found a string
            c.toml:217:11: error: rates.all.limit: must be from 1 to 1000000000
        "#]],
    );
}

#[test]
fn duplicate_routes() {
    check(
        "elydora",
        &[(r#"on     = "GET /v1/webhooks/{endpoint}""#, r#"on     = "GET /v1/webhooks""#)],
        expect![[r#"
            c.toml:152:9: error: routes.get_webhook: `list_webhooks` answers the same requests
        "#]],
    );
}

#[test]
fn events_that_are_not_in_the_catalogue() {
    check(
        "pipai",
        &[
            (r#"required_with = "account.balance_low""#, r#"required_with = "account.balance_lo""#),
            (r#""backtest.*", "#, r#""backtests.*", "#),
        ],
        expect![[r#"
            c.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
            c.toml:43:28: warning: events.wildcards[1]: no event type begins with `backtests.`
            c.toml:157:129: error: inputs.webhook_create.fields[3].required_with: there is no event type `account.balance_lo`; did you mean `account.balance_low`?
        "#]],
    );
}

#[test]
fn reachable_errors_without_mapping() {
    check(
        "pipai",
        &[(r#"duplicate_url  ="#, r#"conflict2  ="#), (r#"endpoint_limit ="#, r#"# "#)],
        expect![[r#"
            c.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
            c.toml:366:9: error: errors.when: `endpoint_limit` is missing: [limits] has a largest number of webhooks
            c.toml:366:9: error: errors.when: `duplicate_url` is missing: [limits] asks for unique URLs
            c.toml:374:1: error: errors.when.conflict2: there is no condition `conflict2`; did you mean `conflict`?
        "#]],
    );
}

#[test]
fn ids_that_are_too_short() {
    check(
        "pipai",
        &[
            (r#"prefix = "evt_", length = 12, accept = [10, 12]"#, r#"prefix = "evt_", length = 11"#),
            (r#"length = 24"#, r#"length = 12"#),
            (r#"length = 8, accept = [6, 8]"#, r#"length = 6"#),
        ],
        expect![[r#"
            c.toml:29:1: warning: ids.endpoint: 24 free bits are few: among 10000 webhooks the odds that two would draw the same id are 94.9 %
            c.toml:30:1: error: ids.event: 44 free bits are too few; event ids need at least 48
            c.toml:31:1: warning: ids.delivery: 48 free bits are too few; delivery ids need 74 and are made as long as that takes
        "#]],
    );
}

#[test]
fn bodies_without_data_or_with_it_twice() {
    let data = r#"{ at = "data",      from = "event.data" }"#;
    check(
        "aioka",
        &[(data, r#"{ at = "data", from = "event.id" }"#)],
        expect![[r#"
        c.toml:235:1: error: payload.fields: the body has to carry event.data exactly once, by `from` or `spread`; it does 0 times
    "#]],
    );
    check(
        "aioka",
        &[(data, r#"{ at = "data", from = "event.data" }, { spread = "event.data" }"#)],
        expect![[r#"
            c.toml:235:1: error: payload.fields: the body has to carry event.data exactly once, by `from` or `spread`; it does 2 times
        "#]],
    );
    check(
        "aioka",
        &[(data, r#"{ at = "event", from = "event.data" }"#)],
        expect![[r#"
        c.toml:238:10: error: payload.fields[2].at: `event` is there already
    "#]],
    );
}

#[test]
fn answers_that_say_too_many_without_when() {
    check(
        "aioka",
        &[(r#"endpoint_limit   = { status = 409"#, r#"endpoint_limit   = { status = 429"#)],
        expect![[r#"
            c.toml:294:1: warning: errors.when.endpoint_limit: a 429 without Retry-After; say `retry_after = false` if waiting does not help
        "#]],
    );
}

#[test]
fn signatures_receivers_cannot_verify() {
    check(
        "pipai",
        &[(r#"{ name = "X-PipAI-Timestamp",        from = "attempt.timestamp", as = "unix-ms" },"#, r#""#)],
        expect![[r#"
            c.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
            c.toml:312:1: warning: signatures.0: attempt.timestamp is signed, but no header carries it: receivers cannot verify
        "#]],
    );
}

#[test]
fn secrets_shown_or_brought_against_the_rule() {
    check(
        "elydora",
        &[
            (
                r#"{ at = "webhook_id",   from = "endpoint.id" }"#,
                r#"{ at = "webhook_id",   from = "endpoint.secret" }"#,
            ),
            (r#"type = "secret", required = true"#, r#"type = "secret""#),
        ],
        expect![[r#"
            c.toml:45:1: error: views.webhook.fields: [secret] says `show = "never"`, but this view shows it
            c.toml:143:9: error: routes.register_webhook: [secret] says that callers bring it, but the field is not `required`
        "#]],
    );
}

#[test]
fn views_within_themselves() {
    check(
        "elydora",
        &[(
            r#"fields = [{ at = "webhook", view = "webhook" }]"#,
            r#"fields = [{ at = "webhook", view = "webhook_one" }]"#,
        )],
        expect![[r#"
            c.toml:55:8: error: views.webhook_one: this view contains itself
        "#]],
    );
}

#[test]
fn formats_that_do_not_suit() {
    check(
        "aira",
        &[
            (
                r#"as = "enum", map = { active = "active", paused = "paused", disabled = "disabled" }"#,
                r#"as = "enum", map = { active = "active", stopped = "x" }"#,
            ),
            (
                r#"{ at = "id",         from = "endpoint.id" }"#,
                r#"{ at = "id", from = "endpoint.id", as = "unix" }"#,
            ),
        ],
        expect![[r#"
            c.toml:59:1: error: views.webhook.fields: `id`: text cannot be spelled so; use no `as`
            c.toml:59:1: error: views.webhook.fields: `status`: there is no word `stopped`; known are active, paused, disabled
        "#]],
    );
}

#[test]
fn no_toml() {
    check(
        "aira",
        &[(r#"contract = 1"#, r#"contract = = 1"#)],
        expect![[r#"
            c.toml:3:12: error: extra `=`, expected nothing
            c.toml:3:14: error: unexpected key or value, expected newline, `#`
        "#]],
    );
}

#[test]
fn missing_tables() {
    check(
        "aira",
        &[(r#"[payload]"#, r#"[extension.x]"#)],
        expect![[r#"
            c.toml:1:1: error: `payload` is missing
        "#]],
    );
}

#[test]
fn nonsense_in_rates_of_attempts() {
    for (rate, says) in [
        ("\"50/s\"", "delivery.rate: expected a table"),
        ("{ limit = 0, window = \"1s\" }", "delivery.rate.limit: must be from 1 to 1000000"),
        ("{ limit = 1000001, window = \"1s\" }", "delivery.rate.limit: must be from 1 to 1000000"),
        ("{ limit = 5 }", "delivery.rate: `window` is missing"),
        ("{ limit = 5, window = \"0s\" }", "delivery.rate: the window must be longer than nothing"),
        ("{ limit = 5, window = \"6m\" }", "at most 1m for each attempt"),
        ("{ limit = 5, window = \"1s\", per = \"key\" }", "delivery.rate.per: unknown key"),
    ] {
        let line = format!("timeout      = \"15s\"\nrate = {rate}");
        let faults = faults("standard", &[(r#"timeout      = "15s""#, &line)]);
        assert!(faults.contains(says), "{rate}: {faults}");
    }
    let line = "timeout = \"15s\"\nrate = { limit = 50, window = \"1s\" }";
    assert_eq!(faults("standard", &[(r#"timeout      = "15s""#, line)]), "");
}

#[test]
fn nonsense_in_retries() {
    check(
        "standard",
        &[
            (r#""5s", "5m""#, r#""5m", "5s", "8d""#),
            (r#"jitter      = 0.1"#, r#"jitter      = 2"#),
            (r#"timeout      = "15s""#, r#"timeout      = "5m""#),
            (r#"success      = ["2xx"]"#, r#"success      = ["2x", "204-200"]"#),
        ],
        expect![[r#"
            c.toml:275:16: error: delivery.timeout: must be from 500ms to 60s
            c.toml:276:16: error: delivery.success: at least one status has to mean success
            c.toml:276:17: error: delivery.success[0]: `2x` is no status; write "2xx", "200" or "200-204"
            c.toml:276:23: error: delivery.success[1]: `204-200` is no status; write "2xx", "200" or "200-204"
            c.toml:284:22: warning: retry.delays[1]: this delay is shorter than the one before it
            c.toml:284:28: error: retry.delays[2]: a delay is at most 7d
            c.toml:284:34: warning: retry.delays[3]: this delay is shorter than the one before it
            c.toml:285:15: error: retry.jitter: must be from 0.0 to 1.0
        "#]],
    );
}

#[test]
fn spread_data_that_repeats_the_envelope() {
    check(
        "aira",
        &[(
            r#"{ at = "case_id",               type = "string" }"#,
            r#"{ at = "timestamp", type = "string" }"#,
        )],
        expect![[r#"
            c.toml:38:1: error: events.types.case.complete.data: `timestamp` would stand twice in the body: the envelope has it too
        "#]],
    );
}

#[test]
fn limits_that_are_no_numbers() {
    let field = r#"to = "endpoint.ext.balance_low_threshold", type = "decimal", positive = true"#;
    let text = r#"to = "endpoint.ext.balance_low_threshold", type = "string""#;
    check(
        "pipai",
        &[(field, text), (field, text)],
        expect![[r#"
        c.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
        c.toml:58:55: error: events.types.account.balance_low.when.limit: no input reads `balance_low_threshold` as a decimal, so nothing can cross it
    "#]],
    );
}

#[test]
fn paths_of_watched_values() {
    check(
        "pipai",
        &[
            (r#"value = "data.available""#, r#"value = "event.data""#),
            (r#"limit = "endpoint.ext.balance_low_threshold""#, r#"limit = "endpoint.ext.threshold""#),
            (r#"per = "data.asset""#, r#"per = "data.""#),
        ],
        expect![[r#"
            c.toml:29:1: warning: ids.endpoint: 32 free bits are few: among 10000 webhooks the odds that two would draw the same id are 1.2 %
            c.toml:58:18: error: events.types.account.balance_low.when.value: a path is `data.` and a name in the data, such as "data.available"
            c.toml:58:59: error: events.types.account.balance_low.when.limit: there is no [extension.threshold]
            c.toml:58:91: error: events.types.account.balance_low.when.per: a path is `data.` and a name in the data, such as "data.available"
        "#]],
    );
}
