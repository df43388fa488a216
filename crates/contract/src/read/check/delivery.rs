//! The body and the headers of deliveries.

use super::Whole;
use super::views::suits;
use crate::model::delivery::{
    HeaderValue, Layout, Many, PayloadMember, PayloadValue, SignaturePart, SignatureRule,
};
use crate::model::view::Source;

pub fn check(whole: &Whole<'_>) {
    let mut times = 0;
    check_members(whole, &whole.contract.payload.members, &mut times);
    if times != 1 {
        whole.error(
            &["payload", "fields"],
            format!(
                "the body has to carry event.data exactly once, by `from` or `spread`; it does {times} times"
            ),
        );
    }
    check_spread(whole);
    if whole.contract.signatures.is_empty() {
        whole.warning(&["payload"], "deliveries are not signed: there is no [[signatures]]");
    }
    for (n, signature) in whole.contract.signatures.iter().enumerate() {
        check_signature(whole, &n.to_string(), signature);
    }
    check_headers(whole);
}

fn check_members(whole: &Whole<'_>, members: &[PayloadMember], times: &mut usize) {
    for member in members {
        match member {
            PayloadMember::SpreadData | PayloadMember::Named(_, PayloadValue::Data) => *times += 1,
            PayloadMember::Named(_, PayloadValue::Object(inner)) => check_members(whole, inner, times),
            PayloadMember::Named(name, PayloadValue::From(source, format)) => {
                if let Err(why) = suits(source.kind(), format) {
                    whole.error(&["payload", "fields"], format!("`{name}`: {why}"));
                }
            }
            PayloadMember::Named(_, PayloadValue::Const(_)) => {}
        }
    }
}

/// Spread data must not repeat a member of the envelope, as far as its members are documented.
fn check_spread(whole: &Whole<'_>) {
    let Some(siblings) = whole.contract.payload.siblings_of_spread() else { return };
    for event in &whole.contract.events.types {
        for field in event.data.iter().filter(|field| siblings.contains(&field.at.as_str())) {
            let message = format!("`{}` would stand twice in the body: the envelope has it too", field.at);
            whole.error(&["events", "types", &event.name, "data"], message);
        }
    }
}

fn check_signature(whole: &Whole<'_>, index: &str, rule: &SignatureRule) {
    let path = ["signatures", index];
    let in_headers = |source: &Source| {
        let mut headers = whole.contract.delivery.headers.iter();
        headers.any(|header| matches!(&header.value, HeaderValue::From(known, _) if known == source))
    };
    let in_body = |source: &Source| {
        let mut members = whole.contract.payload.members.iter();
        members.any(|m| matches!(m, PayloadMember::Named(_, PayloadValue::From(known, _)) if known == source))
    };
    let timestamp_in_layout = matches!(&rule.layout, Layout::Pairs { timestamp: Some(_), .. });
    for part in &rule.signed {
        let (word, reaches) = match part {
            SignaturePart::Timestamp => {
                ("attempt.timestamp", timestamp_in_layout || in_headers(&Source::AttemptTimestamp))
            }
            SignaturePart::EventId => ("event.id", in_headers(&Source::EventId) || in_body(&Source::EventId)),
            SignaturePart::DeliveryId => ("delivery.id", in_headers(&Source::DeliveryId)),
            SignaturePart::WebhookId => ("endpoint.id", in_headers(&Source::WebhookId)),
            SignaturePart::Body | SignaturePart::Url | SignaturePart::Text(_) => continue,
        };
        if !reaches {
            whole.warning(
                &path,
                format!("{word} is signed, but no header carries it: receivers cannot verify"),
            );
        }
    }
    if rule.signed.is_empty() {
        whole.error(&path, "nothing is signed");
    }
    if rule.many == Many::Repeat && !matches!(rule.layout, Layout::Pairs { .. }) {
        whole.error(&path, "`many = { kind = \"repeat\" }` goes with the layout `pairs`");
    }
}

const OURS: [&str; 5] = ["content-type", "content-length", "host", "connection", "transfer-encoding"];

fn check_headers(whole: &Whole<'_>) {
    let contract = whole.contract;
    let mut names: Vec<String> = Vec::new();
    let mut check_name = |path: &[&str], name: &str| {
        let name = name.to_ascii_lowercase();
        if OURS.contains(&name.as_str()) {
            whole.error(path, format!("`{name}` is set by the sender itself"));
        }
        if names.contains(&name) {
            whole.error(path, format!("`{name}` would be sent twice"));
        }
        names.push(name);
    };
    for (n, header) in contract.delivery.headers.iter().enumerate() {
        check_name(&["delivery", "headers", &n.to_string()], &header.name);
        if let HeaderValue::From(source, format) = &header.value
            && let Err(why) = suits(source.kind(), format)
        {
            whole.error(&["delivery", "headers", &n.to_string()], why);
        }
    }
    for (n, signature) in contract.signatures.iter().enumerate() {
        let path = ["signatures", &n.to_string()];
        check_name(&path, &signature.header);
        if let Many::Header(name) = &signature.many {
            check_name(&path, name);
        }
    }
}
