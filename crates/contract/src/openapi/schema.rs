//! Schemas, folded from views, inputs and the payload.

use serde_json::{Map, Value, json};

use super::example;
use super::field::{self, event_pattern};
use crate::model::delivery::{PayloadMember, PayloadValue};
use crate::model::input::{Input, InputField, Target, Unknown};
use crate::model::route::Op;
use crate::model::view::{Format, Hide, Kind, Member, MemberValue, Source, ViewRoot};
use crate::model::{Contract, EventType, Index};

/// The schemas of one contract.
pub struct Schemas<'a> {
    contract: &'a Contract,
}

impl<'a> Schemas<'a> {
    pub fn of(contract: &'a Contract) -> Self {
        Self { contract }
    }

    /// Every schema that others refer to: one for each view and operation that uses it, one for each input.
    pub fn all(&self) -> Value {
        let mut all = Map::new();
        for route in &self.contract.routes {
            if let Some(view) = route.view {
                self.gather(view, route.op, &mut all);
            }
        }
        self.gather(self.contract.errors.view, Op::WebhookList, &mut all);
        for input in &self.contract.inputs {
            all.insert(input_name(input), self.input_schema(input));
        }
        Value::Object(all)
    }

    /// A reference to an input's schema.
    pub fn input(&self, input: &Input) -> Value {
        reference(&input_name(input))
    }

    /// A reference to the schema of a view as an operation answers it.
    pub fn answer(&self, view: Index, op: Op) -> Value {
        reference(&self.view_name(view, op))
    }

    /// A reference to the error view's schema.
    pub fn error(&self) -> Value {
        self.answer(self.contract.errors.view, Op::WebhookList)
    }

    fn gather(&self, view: Index, op: Op, all: &mut Map<String, Value>) {
        let name = self.view_name(view, op);
        let Some(known) = self.contract.views.get(view) else { return };
        if all.contains_key(&name) {
            return;
        }
        let schema = match &known.root {
            ViewRoot::Items(each) => {
                self.gather(*each, op, all);
                json!({ "type": "array", "items": self.answer(*each, op) })
            }
            ViewRoot::Object(members) => self.object(members, op, all),
        };
        all.insert(name, schema);
    }

    /// The name of a view's schema. Operations that show something special of it have a schema of their own.
    fn view_name(&self, view: Index, op: Op) -> String {
        let Some(known) = self.contract.views.get(view) else { return "unknown".to_owned() };
        if self.differs(view, op) { format!("{}.{}", known.name, op.word()) } else { known.name.clone() }
    }

    /// Does the operation show something that others do not?
    fn differs(&self, view: Index, op: Op) -> bool {
        fn any(schemas: &Schemas<'_>, members: &[Member], op: Op) -> bool {
            members.iter().any(|member| {
                member.shown_by.contains(&op)
                    || match &member.value {
                        MemberValue::Object(inner) => any(schemas, inner, op),
                        MemberValue::View(view) | MemberValue::Items(view) => schemas.differs(*view, op),
                        MemberValue::From(..) | MemberValue::Const(_) => false,
                    }
            })
        }
        match self.contract.views.get(view).map(|known| &known.root) {
            Some(ViewRoot::Object(members)) => any(self, members, op),
            Some(ViewRoot::Items(each)) => self.differs(*each, op),
            None => false,
        }
    }

    fn object(&self, members: &[Member], op: Op, all: &mut Map<String, Value>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for member in members {
            let is_shown = member.shown_by.is_empty() || member.shown_by.contains(&op);
            if !is_shown && member.hide == Hide::Omit {
                continue;
            }
            let mut schema = if is_shown {
                self.value(&member.value, op, all)
            } else if member.hide == Hide::Mask {
                json!({ "const": "********" })
            } else {
                json!({ "type": "null" })
            };
            if is_shown && member.nullable {
                schema = json!({ "oneOf": [schema, { "type": "null" }] });
            }
            if !member.doc.is_empty() {
                schema["description"] = json!(member.doc);
            }
            required.push(member.name.clone());
            properties.insert(member.name.clone(), schema);
        }
        json!({ "type": "object", "properties": properties, "required": required })
    }

    fn value(&self, value: &MemberValue, op: Op, all: &mut Map<String, Value>) -> Value {
        match value {
            MemberValue::Const(text) => json!({ "const": constant(text) }),
            MemberValue::Object(inner) => self.object(inner, op, all),
            MemberValue::View(view) => {
                self.gather(*view, op, all);
                self.answer(*view, op)
            }
            MemberValue::Items(each) => {
                self.gather(*each, op, all);
                json!({ "type": "array", "items": self.answer(*each, op) })
            }
            MemberValue::From(source, format) => self.source(source, format),
        }
    }

    fn source(&self, source: &Source, format: &Format) -> Value {
        let ids = &self.contract.ids;
        match source {
            Source::WebhookId => json!({ "type": "string", "examples": [example::id(&ids.webhook)] }),
            Source::EventId => json!({ "type": "string", "examples": [example::id(&ids.event)] }),
            Source::DeliveryId => json!({ "type": "string", "examples": [example::id(&ids.delivery)] }),
            Source::RequestId => json!({ "type": "string", "examples": [example::id(&ids.request)] }),
            Source::WebhookUrl => json!({ "type": "string", "format": "uri" }),
            Source::WebhookEvents => {
                json!({ "type": "array", "items": event_pattern(&self.contract.events) })
            }
            Source::EventData | Source::ErrorDetails => json!({ "type": "object" }),
            Source::ErrorFields => json!({ "type": "array", "items": { "type": "object" } }),
            _ => by_kind(source.kind(), format),
        }
    }

    fn input_schema(&self, input: &Input) -> Value {
        let mut root = json!({ "type": "object", "properties": {} });
        for field in &input.fields {
            self.place(&mut root, &field.at, field);
            let conditions = field::conditions(self.contract, input, field);
            if conditions.is_empty() {
                continue;
            }
            let is_bound = input.fields.iter().any(|field| field.to == Target::Events && field.required);
            if let (Some(event), [name], true) = (&field.only_with, field.at.as_slice(), is_bound) {
                let about = format!("{} Looked at only where the webhook gets `{event}`.", field.doc);
                root["properties"][name] = json!({ "description": about.trim_start() });
            }
            let all = root["allOf"].as_array().cloned().unwrap_or_default();
            root["allOf"] = all.into_iter().chain(conditions).collect();
        }
        if input.unknown == Unknown::Reject {
            root["additionalProperties"] = json!(false);
        }
        root
    }

    /// Puts a field where its path says; the objects on the way to a required one are required too.
    fn place(&self, object: &mut Value, path: &[String], field: &InputField) {
        let Some((name, rest)) = path.split_first() else { return };
        if field.required {
            let list = object["required"].as_array().cloned().unwrap_or_default();
            if !list.contains(&json!(name)) {
                object["required"] = list.into_iter().chain([json!(name)]).collect();
            }
        }
        if rest.is_empty() {
            object["properties"][name] = field::field(self.contract, field);
            return;
        }
        let inner = &mut object["properties"][name];
        if inner.is_null() {
            *inner = json!({ "type": "object", "properties": {} });
        }
        self.place(inner, rest, field);
    }

    /// The schema of the body of deliveries of an event type.
    pub fn payload(&self, event: &EventType) -> Value {
        let mut schema = self.payload_object(&self.contract.payload.members, event);
        if let Some(example) = &event.example {
            schema["description"] = json!(format!("Data such as {example}"));
        }
        schema
    }

    fn payload_object(&self, members: &[PayloadMember], event: &EventType) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for member in members {
            match member {
                PayloadMember::SpreadData => properties.extend(data_properties(event)),
                PayloadMember::Named(name, value) => {
                    required.push(name.clone());
                    let schema = match value {
                        PayloadValue::Const(text) => json!({ "const": constant(text) }),
                        PayloadValue::Object(inner) => self.payload_object(inner, event),
                        PayloadValue::Data => {
                            json!({ "type": "object", "properties": data_properties(event) })
                        }
                        PayloadValue::From(Source::EventType, _)
                            if self.contract.events.find(&event.name).is_some() =>
                        {
                            json!({ "const": event.name })
                        }
                        PayloadValue::From(source, format) => self.source(source, format),
                    };
                    properties.insert(name.clone(), schema);
                }
            }
        }
        json!({ "type": "object", "properties": properties, "required": required })
    }
}

fn data_properties(event: &EventType) -> Map<String, Value> {
    let entry = |field: &crate::model::DataField| {
        let mut schema = json!({ "type": field.json_type });
        if !field.doc.is_empty() {
            schema["description"] = json!(field.doc);
        }
        (field.at.clone(), schema)
    };
    event.data.iter().map(entry).collect()
}

fn by_kind(kind: Kind, format: &Format) -> Value {
    match (kind, format) {
        (_, Format::Unix | Format::UnixMs | Format::Int | Format::Ms) | (Kind::Number, Format::Plain) => {
            json!({ "type": "integer" })
        }
        (Kind::Time, _) => json!({ "type": "string", "format": "date-time" }),
        (_, Format::Bool(_)) | (Kind::Flag, _) => json!({ "type": "boolean" }),
        (_, Format::Enum(map)) => {
            let words: Vec<&str> = map.iter().map(|(_, theirs)| theirs.as_str()).collect();
            json!({ "type": "string", "enum": words })
        }
        (Kind::Words(words), _) => json!({ "type": "string", "enum": words }),
        _ => json!({ "type": "string" }),
    }
}

fn input_name(input: &Input) -> String {
    format!("{}.input", input.name)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn constant(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
