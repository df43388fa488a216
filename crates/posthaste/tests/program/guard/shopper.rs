//! Customers of any contract, as many as it takes to stay within its limits.

use http::Request;
use posthaste::outside::SystemClock;
use posthaste_contract::model::{AccessKind, FieldRule, Input, Op, Route, Scheme, Segment, Target};
use posthaste_contract::{Contract, SignedRequest};
use posthaste_core::{Clock as _, Secret};
use serde_json::{Map, Value, json};

use crate::support::Server;

pub struct Shopper<'a> {
    server: &'a Server,
    pub contract: &'a Contract,
    pub accounts: Vec<String>,
    key: Value,
}

impl<'a> Shopper<'a> {
    pub async fn new(server: &'a Server, contract: &'a Contract) -> Self {
        let mut shopper = Self { server, contract, accounts: Vec::new(), key: Value::Null };
        shopper.renew().await;
        shopper
    }

    /// Becomes another customer, with another key.
    pub async fn renew(&mut self) {
        let account = format!("shopper-{}", self.accounts.len());
        let rights = match &self.contract.access.kind {
            AccessKind::None => json!({}),
            AccessKind::Tier(tiers) => json!({"tier": tiers.last()}),
            AccessKind::Role(roles) => json!({"roles": [roles.last()]}),
            AccessKind::Scope(scopes) => json!({"scopes": scopes}),
        };
        self.server.admin.post("/accounts", &json!({"id": account})).await.unwrap();
        self.key = self.server.admin.post(&format!("/accounts/{account}/keys"), &rights).await.unwrap();
        self.accounts.push(account);
    }

    /// Registers a URL, or gives another one to a webhook.
    pub async fn offer(&mut self, url: &str, webhook: Option<&str>) -> (u16, Value) {
        let op = if webhook.is_some() { Op::WebhookUpdate } else { Op::WebhookCreate };
        let contract = self.contract;
        let route = contract.routes.iter().find(|route| route.op == op).unwrap();
        let input = &contract.inputs[route.input.unwrap()];
        let body = body(contract, input, url, webhook.is_none());
        loop {
            let (status, answer) = self.call(route, webhook.unwrap_or_default(), &body.to_string()).await;
            // A webhook belongs to its customer; whoever only registers can be somebody else next time.
            if status != 429 || webhook.is_some() {
                return (status, answer);
            }
            self.renew().await;
        }
    }

    /// The URLs that the operator sees registered for the present customer.
    pub async fn registered(&self, account: &str) -> Vec<String> {
        let list = self.server.admin.get(&format!("/accounts/{account}/webhooks")).await.unwrap();
        let items = list["data"].as_array().unwrap_or_else(|| panic!("{list}"));
        items.iter().map(|webhook| webhook["url"].as_str().unwrap().to_owned()).collect()
    }

    async fn call(&self, route: &Route, webhook: &str, body: &str) -> (u16, Value) {
        let segments = route.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Webhook | Segment::Delivery => format!("/{webhook}"),
        });
        let path: String = segments.collect();
        let mut request = Request::builder()
            .method(route.method.word())
            .uri(format!("{}{path}", self.server.base))
            .header("content-type", "application/json");
        for (name, value) in self.credentials(route, &path, body) {
            request = request.header(name, value);
        }
        let request = request.body(body.to_owned().into()).unwrap();
        let answer = posthaste::http_client::send(request).await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    fn credentials(&self, route: &Route, path: &str, body: &str) -> Vec<(String, String)> {
        let key = self.key["key"].as_str().unwrap().to_owned();
        match &self.contract.auth[route.auth].scheme {
            Scheme::ApiKey { header } => vec![(header.clone(), key)],
            Scheme::Bearer => vec![("authorization".to_owned(), format!("Bearer {key}"))],
            Scheme::Basic => panic!("no built-in contract has it"),
            Scheme::HmacRequest(rule) => {
                let timestamp = rule.timestamps[0].spell(SystemClock.now());
                let secret = Secret::from(self.key["signing_secret"].as_str().unwrap().to_owned());
                let signed = SignedRequest {
                    timestamp: &timestamp,
                    signature: "",
                    method: route.method.word(),
                    target: path,
                    body: body.as_bytes(),
                };
                let signature = rule.sign(&signed, &secret);
                vec![
                    (rule.key_header.clone(), key),
                    (rule.timestamp_header.clone(), timestamp),
                    (rule.signature_header.clone(), signature),
                ]
            }
        }
    }
}

/// The member that holds the URL, in requests.
fn body(contract: &Contract, input: &Input, url: &str, with_all: bool) -> Value {
    let mut body = Map::new();
    for field in &input.fields {
        let value = match (&field.to, &field.rule) {
            (Target::Url, _) => json!(url),
            (_, FieldRule::Events { .. }) if with_all => {
                let subscribed = contract.events.types.iter().find(|event| !event.internal);
                json!([subscribed.map_or("invoice.paid", |event| event.name.as_str())])
            }
            (_, FieldRule::Secret { .. }) if with_all && field.required => {
                json!("a-secret-of-the-shopper-0123456789")
            }
            _ => continue,
        };
        body.insert(field.at.join("."), value);
    }
    Value::Object(body)
}
