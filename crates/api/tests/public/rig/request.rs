//! Requests as a customer of the contract sends them.

use posthaste_contract::Op;
use posthaste_contract::model::{FieldRule, Route, Scheme, Segment, Target};
use posthaste_contract::signing::SignedRequest;
use posthaste_core::UnixMs;
use serde_json::{Map, Value, json};

use super::{Holder, Rig};

/// A request being put together.
#[derive(Clone)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Ask {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Takes a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = text.into_bytes();
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl Rig {
    /// The contract's first route that does this.
    pub fn route(&self, op: Op) -> &Route {
        self.contract.routes.iter().find(|route| route.op == op).unwrap()
    }

    pub fn has(&self, op: Op) -> bool {
        self.contract.routes.iter().any(|route| route.op == op)
    }

    /// A request to a route with these ids in its path and this query, by this key.
    pub fn ask(&self, holder: &Holder, op: Op, ids: &[&str], query: &str, body: Option<&Value>) -> Ask {
        let route = self.route(op);
        let mut ids = ids.iter();
        let mut target = String::new();
        for segment in &route.segments {
            target.push('/');
            match segment {
                Segment::Literal(text) => target.push_str(text),
                Segment::Webhook | Segment::Delivery => target.push_str(ids.next().unwrap()),
            }
        }
        let ask = Ask::new(route.method.word(), &(target + query));
        let ask = match body {
            Some(body) => ask.header("Content-Type", "application/json").body(body.to_string()),
            None => ask,
        };
        self.signed_by(holder, ask)
    }

    /// Adds the credentials of a key.
    pub fn signed_by(&self, holder: &Holder, ask: Ask) -> Ask {
        self.signed_at(holder, ask, &self.clock.time().0.to_string())
    }

    /// The same, with the time that is signed where requests are.
    pub fn signed_at(&self, holder: &Holder, ask: Ask, timestamp: &str) -> Ask {
        match &self.contract.auth[0].scheme {
            Scheme::ApiKey { header } => ask.header(header, &holder.text),
            Scheme::Bearer => ask.header("Authorization", &format!("Bearer {}", holder.text)),
            Scheme::Basic => panic!("no built-in contract uses basic credentials"),
            Scheme::HmacRequest(rule) => {
                let body = ask.body.clone().unwrap_or_default();
                let (method, target) = (ask.method.clone(), ask.target.clone());
                let request =
                    SignedRequest { timestamp, signature: "", method: &method, target: &target, body: &body };
                let signature = rule.sign(&request, holder.signing_secret.as_ref().unwrap());
                ask.header(&rule.key_header, &holder.text)
                    .header(&rule.timestamp_header, timestamp)
                    .header(&rule.signature_header, &signature)
            }
        }
    }

    /// A body that registers a webhook at this URL.
    pub fn new_webhook(&self, url: &str) -> Value {
        let input = &self.contract.inputs[self.route(Op::WebhookCreate).input.unwrap()];
        let mut body = Map::new();
        for field in &input.fields {
            let value = match &field.rule {
                FieldRule::Url { .. } => json!(url),
                FieldRule::Events { .. } => json!([self.event_type()]),
                FieldRule::Secret { .. } if field.required => json!("my-super-secret-signing-key-32chars"),
                _ => continue,
            };
            body.insert(field.at.join("."), value);
        }
        Value::Object(body)
    }

    /// The name of the field with the URL.
    pub fn url_field(&self) -> String {
        let input = &self.contract.inputs[self.route(Op::WebhookCreate).input.unwrap()];
        input.fields.iter().find(|field| field.to == Target::Url).unwrap().at.join(".")
    }

    /// An event type that can be subscribed to.
    pub fn event_type(&self) -> String {
        let known = self.contract.events.types.iter().find(|known| !known.internal);
        known.map_or("invoice.paid".to_owned(), |known| known.name.clone())
    }

    pub fn create(&self, holder: &Holder, body: &Value) -> Ask {
        self.ask(holder, Op::WebhookCreate, &[], "", Some(body))
    }

    /// The time that is signed, moved.
    pub fn shifted(&self, by_ms: i64) -> UnixMs {
        UnixMs(self.clock.time().0 + by_ms)
    }
}
