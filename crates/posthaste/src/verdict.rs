//! Telling people what arrived and whether to trust it.

use posthaste_contract::Contract;
use posthaste_contract::model::delivery::HeaderValue;
use posthaste_contract::model::{PayloadMember, PayloadValue, Source};
use posthaste_core::{Secret, UnixMs};
use serde_json::{Value, json};

use crate::receiver::Arrival;

/// What is known about an arrival.
pub struct Verdict {
    /// The event's type, where the contract shows it.
    pub event_type: Option<String>,
    /// The event's id, where the contract shows it.
    pub event_id: Option<String>,
    /// `None` if there was no secret to check with; else the reason not to trust it.
    pub signature: Option<Result<(), String>>,
}

impl Verdict {
    /// Judges an arrival by the contract. `url` is the webhook's, for contracts that sign it.
    #[must_use]
    pub fn of(
        arrival: &Arrival,
        contract: &Contract,
        secret: Option<&Secret>,
        url: &str,
        now: UnixMs,
    ) -> Self {
        let signature = secret.map(|secret| {
            let headers = arrival.header_pairs();
            let verified = contract.verify_delivery(&headers, url, &arrival.body, secret, now);
            verified.map_err(|fault| fault.to_string())
        });
        let event_type = value_of(&Source::EventType, contract, arrival);
        let event_id = value_of(&Source::EventId, contract, arrival);
        Self { event_type, event_id, signature }
    }

    /// Was the signature checked and found good?
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.signature == Some(Ok(()))
    }

    /// The verdict on the signature in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.signature {
            None => "signature not checked (no --secret)".to_owned(),
            Some(Ok(())) => "signature verified".to_owned(),
            Some(Err(why)) => format!("SIGNATURE NOT GOOD: {why}"),
        }
    }

    /// Arrival and verdict for programs.
    #[must_use]
    pub fn to_json(&self, arrival: &Arrival, status: u16) -> Value {
        let headers: serde_json::Map<String, Value> =
            arrival.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "event_id": self.event_id,
            "event_type": self.event_type,
            "verified": self.signature.as_ref().map(Result::is_ok),
            "fault": self.signature.as_ref().and_then(|verdict| verdict.as_ref().err()),
            "answered": status,
            "method": arrival.method,
            "target": arrival.target,
            "headers": headers,
            "body": String::from_utf8_lossy(&arrival.body),
        })
    }
}

/// Finds a value of ours in an arrival: in the headers that the contract writes it to, else in the body.
fn value_of(source: &Source, contract: &Contract, arrival: &Arrival) -> Option<String> {
    let in_header = contract.delivery.headers.iter().find_map(|header| match &header.value {
        HeaderValue::From(from, _) if from == source => arrival.header(&header.name),
        _ => None,
    });
    if let Some(text) = in_header {
        return Some(text.to_owned());
    }
    let body: Value = serde_json::from_slice(&arrival.body).ok()?;
    in_members(source, &contract.payload.members, &body)
}

fn in_members(source: &Source, members: &[PayloadMember], body: &Value) -> Option<String> {
    members.iter().find_map(|member| match member {
        PayloadMember::Named(name, PayloadValue::From(from, _)) if from == source => {
            body.get(name)?.as_str().map(str::to_owned)
        }
        PayloadMember::Named(name, PayloadValue::Object(inner)) => in_members(source, inner, body.get(name)?),
        _ => None,
    })
}

/// An arrival as people read it: request line, headers, body, indented.
#[must_use]
pub fn pretty(arrival: &Arrival) -> String {
    let mut text = format!("    {} {}\n", arrival.method, printable(&arrival.target));
    for (name, value) in &arrival.headers {
        text.push_str(&format!("    {name}: {}\n", printable(value)));
    }
    text.push('\n');
    let body = match serde_json::from_slice::<Value>(&arrival.body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(&arrival.body).into_owned(),
    };
    body.lines().for_each(|line| text.push_str(&format!("    {}\n", printable(line))));
    text
}

/// Without control characters: they would talk to the terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
