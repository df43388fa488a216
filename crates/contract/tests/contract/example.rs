//! A contract from outside, whose shapes none of the built-in ones has.

use posthaste_contract::{
    BodyFault, Contract, Op, PageAsk, PageFacts, PayloadFacts, Scope, SigningFacts, Subject,
};
use posthaste_core::{Secret, UnixMs, Webhook};

use crate::support::{at, input_of, route_of, view_of, webhook};

fn contract() -> Contract {
    let text = include_str!("../../../../contracts/examples/pagerduty.toml");
    Contract::read("pagerduty.toml", text).unwrap().0
}

fn subscription() -> Webhook {
    let events = ["incident.triggered", "service.*"];
    webhook("PABC1", "acme", "https://example.com/pd", &events, "s3cret", at("2026-01-01T00:00:00Z"))
}

#[test]
fn nested_and_wrapped_answers() {
    let (contract, webhook) = (contract(), subscription());
    let subject = Subject { webhook: Some(&webhook), ..Subject::default() };
    let answer = |op| {
        contract
            .render(view_of(&contract, op), &Scope { op, request_id: "", subject, page: None, test: None })
    };
    let shown = |secret: &str| {
        format!(
            r#"{{"webhook_subscription":{{"id":"PABC1","type":"webhook_subscription","active":true,"delivery_method":{{"type":"http_delivery_method","url":"https://example.com/pd","secret":{secret},"temporarily_disabled":false}},"description":null,"events":["incident.triggered","service.*"],"filter":{{"type":"account_reference"}}}}}}"#
        )
    };
    assert_eq!(answer(Op::WebhookCreate), shown("\"s3cret\""));
    assert_eq!(answer(Op::WebhookGet), shown("null"));
}

#[test]
fn lists_are_cut_by_offset() {
    let contract = contract();
    let ask = route_of(&contract, Op::WebhookList).read_query("offset=50&limit=10").unwrap();
    assert_eq!((ask.page, ask.size), (PageAsk::Offset(50), 10));
    let page = PageFacts { size: 10, offset: 50, total: 51, more: false, ..PageFacts::default() };
    let op = Op::WebhookList;
    let scope = Scope { op, request_id: "", subject: Subject::default(), page: Some(&page), test: None };
    let expected = r#"{"webhook_subscriptions":[],"limit":10,"offset":50,"total":51,"more":false}"#;
    assert_eq!(contract.render(view_of(&contract, op), &scope), expected);
}

#[test]
fn nested_bodies_are_read() {
    let contract = contract();
    let read =
        |body: &str| contract.read_input(input_of(&contract, Op::WebhookCreate), body.as_bytes(), None);
    let good = r#"{"webhook_subscription":{"type":"webhook_subscription","events":["incident.*"],
        "delivery_method":{"type":"http_delivery_method","url":"https://example.com/pd"}}}"#;
    assert_eq!(read(good).ok().unwrap().url.as_deref(), Some("https://example.com/pd"));
    let Err(BodyFault::Fields(faults)) =
        read(r#"{"webhook_subscription":{"type":"other","delivery_method":[]}}"#)
    else {
        panic!("fields are missing")
    };
    let told: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "webhook_subscription.type must be webhook_subscription",
            "webhook_subscription.delivery_method.type is required",
            "webhook_subscription.delivery_method.url is required",
            "webhook_subscription.events is required",
        ]
    );
}

#[test]
fn deliveries_nest_the_event_and_list_their_signatures() {
    let contract = contract();
    let facts = PayloadFacts {
        event_id: "01E",
        event_type: "incident.triggered",
        account_id: None,
        occurred_at: UnixMs(0),
        data: r#"{"n":1}"#,
    };
    let body = contract.build_body(&facts);
    let expected = r#"{"event":{"id":"01E","event_type":"incident.triggered","resource_type":"incident","occurred_at":"1970-01-01T00:00:00.000Z","data":{"n":1}}}"#;
    assert_eq!(body.bytes, expected.as_bytes());
    let facts = SigningFacts {
        webhook_id: "PABC1",
        url: "https://example.com/pd",
        event_id: "01E",
        event_type: "incident.triggered",
        account_id: "acme",
        delivery_id: "d1",
        attempt_number: 1,
        at: UnixMs(0),
        body: &body.bytes,
    };
    let secrets = ["new", "old"].map(|text| Secret::from(text.to_owned()));
    let values = contract.signature_values(&facts, &[&secrets[0], &secrets[1]]);
    let headers = contract.delivery_headers(&facts, &values);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["Content-Type", "X-Webhook-Id", "X-Webhook-Subscription", "User-Agent", "X-PagerDuty-Signature"]
    );
    assert!(values[0].split(',').all(|one| one.starts_with("v1=") && one.len() == 67), "{values:?}");
}
