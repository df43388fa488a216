//! The contract as OpenAPI 3.1: paths, `webhooks`, security schemes, and schemas folded from views and inputs.

mod example;
mod field;
mod schema;

mod answers;
mod operation;

use serde_json::{Map, Value, json};

use crate::model::{Auth, Contract, EventType, Scheme};
use schema::Schemas;

impl Contract {
    /// The contract as an OpenAPI 3.1 document.
    #[must_use]
    pub fn openapi(&self) -> Value {
        let schemas = Schemas::of(self);
        let mut document = json!({
            "openapi": "3.1.0",
            "info": { "title": self.title, "version": version(self) },
            "paths": self.paths(&schemas),
            "webhooks": self.webhooks(&schemas),
            "components": {
                "schemas": schemas.all(),
                "securitySchemes": security_schemes(&self.auth),
            },
        });
        if !self.servers.is_empty() {
            document["servers"] = self.servers.iter().map(|url| json!({ "url": url })).collect();
        }
        document
    }

    fn paths(&self, schemas: &Schemas<'_>) -> Value {
        let mut paths = Map::new();
        for route in &self.routes {
            let (path, parameters) = operation::path(self, route);
            let item = paths.entry(path).or_insert_with(|| json!({}));
            if !parameters.is_empty() {
                item["parameters"] = Value::Array(parameters);
            }
            item[route.method.word().to_ascii_lowercase()] = operation::operation(self, route, schemas);
        }
        Value::Object(paths)
    }

    fn webhooks(&self, schemas: &Schemas<'_>) -> Value {
        let any;
        let mut types: Vec<&EventType> = self.events.types.iter().collect();
        if types.is_empty() {
            any = EventType {
                name: "event".to_owned(),
                doc: "Any event.".to_owned(),
                data: Vec::new(),
                example: None,
                internal: false,
                when: None,
                basis: crate::model::Basis::Seed,
            };
            types.push(&any);
        }
        let entry = |event: &EventType| {
            let operation = json!({
                "operationId": format!("receive_{}", event.name.replace(['.', '-'], "_")),
                "summary": event.doc,
                "parameters": operation::delivery_headers(self),
                "requestBody": {
                    "required": true,
                    "content": { self.delivery.content_type.as_str(): { "schema": schemas.payload(event) } },
                },
                "responses": { "2XX": { "description": "Delivered." } },
            });
            (event.name.clone(), json!({ "post": operation }))
        };
        Value::Object(types.into_iter().map(entry).collect())
    }
}

fn version(contract: &Contract) -> &str {
    if contract.version.is_empty() { "1" } else { &contract.version }
}

fn security_schemes(auth: &[Auth]) -> Value {
    let mut schemes = Map::new();
    let in_header = |name: &str| json!({ "type": "apiKey", "in": "header", "name": name });
    for way in auth {
        match &way.scheme {
            Scheme::Bearer => {
                schemes.insert(way.name.clone(), json!({ "type": "http", "scheme": "bearer" }));
            }
            Scheme::Basic => {
                schemes.insert(way.name.clone(), json!({ "type": "http", "scheme": "basic" }));
            }
            Scheme::ApiKey { header } => {
                schemes.insert(way.name.clone(), in_header(header));
            }
            Scheme::HmacRequest(signed) => {
                schemes.insert(way.name.clone(), in_header(&signed.key_header));
                schemes.insert(format!("{}_timestamp", way.name), in_header(&signed.timestamp_header));
                schemes.insert(format!("{}_signature", way.name), in_header(&signed.signature_header));
            }
        }
    }
    Value::Object(schemes)
}
