//! What the vendors' references print is what we write and read: member for member and in order.

use crate::support::{answered, at, input_of, squeezed, view_of, webhook};
use posthaste_contract::{Contract, DeliveryFacts, EventFacts, Op, PageFacts, PayloadFacts, Scope, Subject};
use posthaste_core::{Delivery, DeliveryKey, DeliveryState, Seq, Subscription, UnixMs, Webhook, WebhookNo};

macro_rules! document {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name, ".json"))
    };
}

fn aioka_webhook() -> Webhook {
    webhook(
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "acme",
        "https://your-server.com/aioka-hook",
        &["verdict.new", "ghost.signal"],
        "a1b2c3d4e5f6...",
        at("2026-04-18T10:00:00Z"),
    )
}

fn aira_webhook() -> Webhook {
    webhook(
        "wh_01J8X...",
        "acme",
        "https://app.acme.com/webhooks/aira",
        &["case.complete", "case.requires_human_review"],
        "whsec_a1b2c3d4e5f6...",
        at("2026-03-14T10:30:00Z"),
    )
}

fn elydora_webhook() -> Webhook {
    webhook(
        "0195a1b2-c3d4-7e5f-a6b7-c8d9e0f1a2b3",
        "0195a0b1-c2d3-7e4f-a5b6-c7d8e9f0a1b2",
        "https://hooks.acme.com/elydora",
        &["operation.accepted", "epoch.created"],
        "my-super-secret-signing-key-32chars",
        UnixMs(1_740_700_800_000),
    )
}

fn pipai_webhook() -> Webhook {
    let mut made = webhook(
        "wh_2a4f10",
        "acme",
        "https://example.com/pipai-webhook",
        &["strategy.deployed", "strategy.position_opened", "strategy.error", "backtest.job_done"],
        "k3mB2xQ9rFvT7nLpJhYwS4eUaC1oZ8dRgI6XbN0M",
        at("2026-04-29T12:00:00Z"),
    );
    made.description = Some("Production strategy alerts".into());
    made
}

/// What the contract answers to an operation on a webhook.
fn answer(
    contract: &str,
    op: Op,
    webhook: &Webhook,
    request_id: &str,
    page: Option<&PageFacts<'_>>,
) -> String {
    let contract = Contract::builtin(contract).unwrap();
    let subject = Subject { webhook: Some(webhook), ..Subject::default() };
    contract.render(view_of(&contract, op), &Scope { op, request_id, subject, page, test: None })
}

#[test]
fn create_answers() {
    for (contract, webhook, request_id, document) in [
        ("aioka", aioka_webhook(), "", document!("aioka/create_response")),
        ("aira", aira_webhook(), "req_01J8X...", document!("aira/create_response")),
        ("elydora", elydora_webhook(), "", document!("elydora/create_response")),
        ("pipai", pipai_webhook(), "", document!("pipai/create_response")),
    ] {
        let written = answer(contract, Op::WebhookCreate, &webhook, request_id, None);
        assert_eq!(written, squeezed(document), "{contract}");
    }
}

#[test]
fn list_and_delete_answers() {
    for (contract, webhook, request_id, document) in [
        ("aira", aira_webhook(), "req_...", document!("aira/list_response")),
        ("elydora", elydora_webhook(), "", document!("elydora/list_response")),
    ] {
        let items = [Subject { webhook: Some(&webhook), ..Subject::default() }];
        let page = PageFacts { items: &items, ..PageFacts::default() };
        let written = answer(contract, Op::WebhookList, &webhook, request_id, Some(&page));
        assert_eq!(written, squeezed(document), "{contract}");
    }
    let deleted = answer("elydora", Op::WebhookDelete, &elydora_webhook(), "", None);
    assert_eq!(deleted, squeezed(document!("elydora/delete_response")));
}

#[test]
fn secrets_are_shown_where_they_are_made_and_nowhere_else() {
    for (contract, webhook) in [
        ("aioka", aioka_webhook()),
        ("aira", aira_webhook()),
        ("elydora", elydora_webhook()),
        ("pipai", pipai_webhook()),
        ("standard", aira_webhook()),
    ] {
        let secret = webhook.secrets.current.expose_text().to_owned();
        let shows = |op: Op| answer(contract, op, &webhook, "", None).contains(&secret);
        assert_eq!(shows(Op::WebhookCreate), contract != "elydora", "{contract}");
        assert_eq!(shows(Op::WebhookRotate), contract != "elydora", "{contract}");
        assert!(!shows(Op::WebhookGet) && !shows(Op::WebhookUpdate), "{contract}");
    }
}

fn event<'a>(event_type: &'a str, data: &'a str) -> Option<EventFacts<'a>> {
    Some(EventFacts { id: "evt_1", event_type, occurred_at: UnixMs(0), account_id: Some("acme"), data })
}

#[test]
fn a_log_of_attempts() {
    let contract = Contract::builtin("aioka").unwrap();
    let webhook = aioka_webhook();
    let attempts = [
        answered(1, 200, at("2026-04-18T14:32:10Z"), 143),
        answered(3, 503, at("2026-04-18T14:01:55Z"), 5012),
    ];
    let row = |attempt, event_type| Subject {
        event: event(event_type, "{}"),
        attempt: Some(attempt),
        ..Subject::default()
    };
    let items = [row(&attempts[0], "verdict.new"), row(&attempts[1], "ghost.signal")];
    let page = PageFacts { items: &items, total: 2, ..PageFacts::default() };
    let subject = Subject { webhook: Some(&webhook), ..Subject::default() };
    let op = Op::DeliveryList;
    let scope = Scope { op, request_id: "", subject, page: Some(&page), test: None };
    assert_eq!(
        contract.render(view_of(&contract, op), &scope),
        squeezed(document!("aioka/deliveries_response"))
    );
}

fn delivery(
    state: DeliveryState,
    attempts: u32,
    status: Option<u16>,
    delivered_at: Option<&str>,
) -> Delivery {
    Delivery {
        key: DeliveryKey { event: Seq(1), webhook: WebhookNo(1) },
        state,
        reason: None,
        attempts,
        next_attempt_at: None,
        delivered_at: delivered_at.map(at),
        last_status: status,
        last_attempt_at: None,
    }
}

#[test]
fn a_log_of_deliveries() {
    let contract = Contract::builtin("aira").unwrap();
    let taken = delivery(DeliveryState::Delivered, 1, Some(200), Some("2026-03-14T10:31:00Z"));
    let failed = delivery(DeliveryState::Failed, 3, None, None);
    let row = |id, delivery, created_at, data| Subject {
        event: event("case.complete", data),
        delivery: Some(DeliveryFacts { id, delivery, created_at: at(created_at) }),
        ..Subject::default()
    };
    let items = [
        row(
            "dlv_01J8X...",
            &taken,
            "2026-03-14T10:30:59Z",
            r#"{"case_id":"prn_01J8X...","decision":"APPROVE"}"#,
        ),
        row(
            "dlv_02K9Y...",
            &failed,
            "2026-03-14T09:15:00Z",
            r#"{"case_id":"prn_02K9Y...","decision":"DENY"}"#,
        ),
    ];
    let page =
        PageFacts { items: &items, number: 1, size: 20, total: 42, more: true, ..PageFacts::default() };
    let op = Op::DeliveryList;
    let scope =
        Scope { op, request_id: "req_...", subject: Subject::default(), page: Some(&page), test: None };
    assert_eq!(
        contract.render(view_of(&contract, op), &scope),
        squeezed(document!("aira/deliveries_response"))
    );
}

#[test]
fn request_bodies_are_read() {
    for (name, document, webhook) in [
        ("aioka", document!("aioka/create_request"), aioka_webhook()),
        ("aira", document!("aira/create_request"), aira_webhook()),
        ("elydora", document!("elydora/create_request"), elydora_webhook()),
        ("pipai", document!("pipai/create_request"), pipai_webhook()),
    ] {
        let contract = Contract::builtin(name).unwrap();
        let read = contract.read_input(input_of(&contract, Op::WebhookCreate), document.as_bytes(), None);
        let values = read.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        assert_eq!(values.url, Some(webhook.url), "{name}");
        assert_eq!(values.events, Some(webhook.subscription), "{name}");
        assert_eq!(values.description.flatten(), webhook.description, "{name}");
        let brought = values.secret.map(|secret| secret.expose_text().to_owned());
        assert_eq!(brought.as_deref(), (name == "elydora").then_some("my-super-secret-signing-key-32chars"));
    }
}

#[test]
fn payloads_carry_the_data_as_it_came() {
    let contract = Contract::builtin("aira").unwrap();
    let occurred_at = at("2026-03-14T10:30:59Z");
    for (event_type, document) in [
        ("case.complete", document!("aira/payload_case_complete")),
        ("case.requires_human_review", document!("aira/payload_case_requires_human_review")),
    ] {
        // The documented body is the envelope around the data; take the envelope off to have the data.
        let whole = squeezed(document);
        let inside = whole.strip_prefix(&format!("{{\"event\":\"{event_type}\",")).unwrap();
        let (members, _) = inside.rsplit_once(",\"timestamp\":").unwrap();
        let data = format!("{{{members}}}");
        assert_eq!(contract.check_data(data.as_bytes()), Ok(data.as_str()));
        let facts = PayloadFacts {
            event_id: "evt_1",
            event_type,
            account_id: Some("acme"),
            occurred_at,
            data: &data,
        };
        let body = contract.build_body(&facts);
        assert_eq!(body.bytes, whole.as_bytes(), "{event_type}");
        assert_eq!(body.data_json(), data);
    }
}

#[test]
fn all_is_shown_as_the_types_of_the_day() {
    let aira = Contract::builtin("aira").unwrap();
    assert_eq!(aira.events.listed(&Subscription::All), r#"["case.complete","case.requires_human_review"]"#);
    let standard = Contract::builtin("standard").unwrap();
    assert_eq!(standard.events.listed(&Subscription::All), r#"["*"]"#);
}
