//! Data in, bodies out.

use posthaste_contract::{Contract, DataFault, PayloadFacts};
use posthaste_core::UnixMs;

fn body(contract: &str, account_id: Option<&str>, data: &str) -> posthaste_core::EventBody {
    let contract = Contract::builtin(contract).unwrap();
    let occurred_at = UnixMs(1_776_506_400_250);
    contract.build_body(&PayloadFacts { event_id: "e1", event_type: "a.b", account_id, occurred_at, data })
}

#[test]
fn envelopes() {
    let data = r#" {"n": 1.0, "big":1E+400, "\u00e9":"\/"} "#;
    let inside = data.trim();
    let spread = &inside[1..inside.len() - 1];
    for (contract, expected) in [
        ("aioka", format!(r#"{{"event":"a.b","timestamp":"2026-04-18T10:00:00Z","data":{inside}}}"#)),
        ("aira", format!(r#"{{"event":"a.b",{spread},"timestamp":"2026-04-18T10:00:00Z"}}"#)),
        (
            "elydora",
            format!(
                r#"{{"event_id":"e1","event":"a.b","org_id":"acme","created_at":1776506400250,"data":{inside}}}"#
            ),
        ),
        (
            "pipai",
            format!(r#"{{"id":"e1","type":"a.b","created_at":"2026-04-18T10:00:00.250Z","data":{inside}}}"#),
        ),
        (
            "standard",
            format!(r#"{{"id":"e1","type":"a.b","timestamp":"2026-04-18T10:00:00.250Z","data":{inside}}}"#),
        ),
    ] {
        let made = body(contract, Some("acme"), data);
        assert_eq!(std::str::from_utf8(&made.bytes), Ok(expected.as_str()), "{contract}");
        assert_eq!(made.data_json(), inside, "{contract}");
    }
}

#[test]
fn an_empty_object_leaves_no_stray_comma() {
    for data in ["{}", "{ }"] {
        let made = body("aira", None, data);
        assert_eq!(made.bytes, r#"{"event":"a.b","timestamp":"2026-04-18T10:00:00Z"}"#.as_bytes());
    }
    assert_eq!(body("pipai", None, "{}").data_json(), "{}");
}

#[test]
fn broadcasts_leave_a_gap_for_the_account() {
    let made = body("elydora", None, r#"{"a":1}"#);
    let filled = made.for_account(r#""acme""#);
    assert_eq!(filled, body("elydora", Some("acme"), r#"{"a":1}"#).bytes);
    assert_eq!(made.data_json(), r#"{"a":1}"#);
    assert_eq!(body("aioka", None, "{}").account_at, None);
}

#[test]
fn unsound_data_is_refused() {
    let contract = Contract::builtin("aira").unwrap();
    for data in ["null", "1", "\"x\"", "[]"] {
        assert_eq!(contract.check_data(data.as_bytes()), Err(DataFault::NotAnObject), "{data}");
    }
    for data in ["", "{", r#"{"a":1,"a":2}"#, r#"{"a":"\ud800"}"#, "{\"a\":\"\u{1}\"}"] {
        assert!(matches!(contract.check_data(data.as_bytes()), Err(DataFault::Malformed(_))), "{data}");
    }
    let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(contract.check_data(nested(64).as_bytes()).is_ok());
    assert!(contract.check_data(nested(65).as_bytes()).is_err());
    for key in ["event", "timestamp", "\\u0065vent"] {
        let data = format!("{{\"{key}\":1}}");
        assert!(matches!(contract.check_data(data.as_bytes()), Err(DataFault::RepeatsEnvelope(_))), "{key}");
        assert!(Contract::builtin("aioka").unwrap().check_data(data.as_bytes()).is_ok(), "{key}");
    }
}

#[test]
fn event_types() {
    let pipai = Contract::builtin("pipai").unwrap();
    let standard = Contract::builtin("standard").unwrap();
    for (contract, event_type, expected) in [
        (&pipai, "strategy.error", true),
        (&pipai, "strategy.*", false),
        (&pipai, "*", false),
        (&pipai, "webhook.test", false),
        (&pipai, "invoice.paid", false),
        (&standard, "invoice.paid", true),
        (&standard, "invoice.*", false),
        (&standard, "Invoice.Paid", false),
        (&standard, "", false),
    ] {
        assert_eq!(contract.check_event_type(event_type).is_ok(), expected, "{} {event_type}", contract.name);
    }
}
