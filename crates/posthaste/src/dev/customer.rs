//! A customer of the product: calls the public API as the contract says.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use posthaste_contract::Contract;
use posthaste_contract::model::Member;
use posthaste_contract::model::{
    Index, MemberValue, Op, Route, Scheme, SecretOrigin, Segment, Source, TimeSpelling, ViewRoot,
};
use posthaste_contract::signing::SignedRequest;
use posthaste_core::{Clock as _, Secret, UnixMs};
use serde_json::Value;

use super::example::{self, Facts};
use crate::failure::Failure;
use crate::http_client;
use crate::outside::SystemClock;
use crate::trust::Trust;

/// The secret that the customer brings where the contract asks for one.
pub(super) const OWN_SECRET: &str = "posthaste-dev-secret-0123456789abcdef";

/// A customer with a key.
pub(super) struct Customer {
    pub contract: Arc<Contract>,
    pub base: String,
    trust: Option<Trust>,
    pub account: String,
    pub key: String,
    pub signing_secret: Option<Secret>,
}

/// A webhook that the customer registered.
pub(super) struct Registered {
    pub id: String,
    pub url: String,
    pub event_type: String,
    pub secret: Secret,
    /// Method and path of the request.
    pub request_line: String,
}

impl Customer {
    /// A customer with the key that the admin API just showed, of the API at a base with a certificate to trust.
    pub fn new(
        contract: Arc<Contract>,
        (base, trust): (&str, Option<Trust>),
        account: String,
        key: &Value,
    ) -> Result<Self, Failure> {
        let text = key["key"].as_str().ok_or_else(|| Failure::refused("the admin API shows no key"))?;
        let signing_secret = key["signing_secret"].as_str().map(|secret| Secret::from(secret.to_owned()));
        Ok(Self { contract, base: base.to_owned(), trust, account, key: text.to_owned(), signing_secret })
    }

    /// The contract's route for something.
    pub fn route(&self, op: Op) -> Option<&Route> {
        self.contract.routes.iter().find(|route| route.op == op)
    }

    /// Registers a webhook for one event type by the contract's own route.
    pub async fn register(&self, url: &str, event_type: &str) -> Result<Registered, Failure> {
        let route = self.route(Op::WebhookCreate).ok_or_else(|| {
            Failure::refused(format!(
                "the contract {} has no route that registers webhooks",
                self.contract.name
            ))
        })?;
        let facts = Facts { url, event_type, secret: OWN_SECRET, webhook_id: "" };
        let body = self.body(route, &facts).unwrap_or_default();
        let answer = self.call(route, &route.path, body).await?;
        let shown = |source: &Source| self.find(route.view?, source, &answer).and_then(Value::as_str);
        let secret = match (shown(&Source::WebhookSecret), self.contract.secret.origin) {
            (Some(secret), _) => secret,
            (None, SecretOrigin::Caller) => OWN_SECRET,
            (None, _) => return Err(Failure::refused("the contract's answer shows no signing secret")),
        };
        Ok(Registered {
            id: shown(&Source::WebhookId).unwrap_or_default().to_owned(),
            url: url.to_owned(),
            event_type: event_type.to_owned(),
            secret: Secret::from(secret.to_owned()),
            request_line: format!("{} {}", route.method.word(), route.path),
        })
    }

    /// The body of an example request, if the route reads one.
    pub fn body(&self, route: &Route, facts: &Facts<'_>) -> Option<String> {
        let input = self.contract.inputs.get(route.input?)?;
        Some(example::body(&self.contract, input, facts).to_string())
    }

    /// The route's path with a webhook's id in it; `None` if it takes other ids as well.
    pub fn path(&self, route: &Route, webhook_id: &str) -> Option<String> {
        let mut path = String::new();
        for segment in &route.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Webhook => path.push_str(webhook_id),
                Segment::Delivery => return None,
            }
        }
        Some(path)
    }

    async fn call(&self, route: &Route, path: &str, body: String) -> Result<Value, Failure> {
        let mut request = Request::builder()
            .method(route.method.word())
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        for (name, value) in self.credentials(route, path, &body) {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::from(body)).map_err(|fault| Failure::refused(fault.to_string()))?;
        let answer = http_client::send_trusting(self.trust.as_ref(), request)
            .await
            .map_err(|fault| Failure::unreachable(fault.to_string()))?;
        let text = String::from_utf8_lossy(answer.body());
        if !answer.status().is_success() {
            let call = format!("{} {path}", route.method.word());
            return Err(Failure::refused(format!("{call} was answered {}: {text}", answer.status())));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// The headers that say who is calling.
    fn credentials(&self, route: &Route, path: &str, body: &str) -> Vec<(String, String)> {
        let Some(auth) = self.contract.auth.get(route.auth) else { return Vec::new() };
        let authorization = |value: String| vec![("authorization".to_owned(), value)];
        match &auth.scheme {
            Scheme::ApiKey { header } => vec![(header.clone(), self.key.clone())],
            Scheme::Bearer => authorization(format!("Bearer {}", self.key)),
            Scheme::Basic => authorization(format!("Basic {}", STANDARD.encode(format!("{}:", self.key)))),
            Scheme::HmacRequest(rule) => {
                let spelling = rule.timestamps.first().copied().unwrap_or(TimeSpelling::Unix);
                let timestamp = spelled(spelling, SystemClock.now());
                let secret = self.signing_secret.clone().unwrap_or_else(|| Secret::new(Vec::new()));
                let request = SignedRequest {
                    timestamp: &timestamp,
                    signature: "",
                    method: route.method.word(),
                    target: path,
                    body: body.as_bytes(),
                };
                let signature = rule.sign(&request, &secret);
                vec![
                    (rule.key_header.clone(), self.key.clone()),
                    (rule.timestamp_header.clone(), timestamp),
                    (rule.signature_header.clone(), signature),
                ]
            }
        }
    }

    /// Finds a value of ours in an answer that was written by a view.
    fn find<'v>(&self, view: Index, source: &Source, answer: &'v Value) -> Option<&'v Value> {
        match &self.contract.views.get(view)?.root {
            ViewRoot::Object(members) => self.find_in(members, source, answer),
            ViewRoot::Items(_) => None,
        }
    }

    fn find_in<'v>(&self, members: &[Member], source: &Source, object: &'v Value) -> Option<&'v Value> {
        members.iter().find_map(|member| {
            let value = object.get(&member.name)?;
            match &member.value {
                MemberValue::From(from, _) if from == source => Some(value),
                MemberValue::Object(inner) => self.find_in(inner, source, value),
                MemberValue::View(view) => self.find(*view, source, value),
                _ => None,
            }
        })
    }
}

fn spelled(spelling: TimeSpelling, at: UnixMs) -> String {
    match spelling {
        TimeSpelling::Unix => at.seconds().to_string(),
        TimeSpelling::UnixMs => at.0.to_string(),
        TimeSpelling::Rfc3339 => at.rfc3339(),
        TimeSpelling::Rfc3339Ms => at.rfc3339_ms(),
    }
}
