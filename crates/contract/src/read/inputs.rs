//! Inputs and the rules of their fields.

use super::Names;
use super::node::{Node, Table};
use super::views::{constant_json, word_map};
use crate::model::events::Catalogue;
use crate::model::input::{FieldRule, Input, InputField, Probe, Target, Unknown};

const URL_CHARS_MAX: i64 = 2048;
const STRING_CHARS_MAX: i64 = 100_000;
const ENTRIES_MAX: i64 = 1000;

pub fn inputs(root: &Table<'_>, names: &Names, events: &Catalogue) -> Vec<Input> {
    let Some(table) = root.get("inputs").and_then(|node| node.table()) else { return Vec::new() };
    table.named().into_iter().map(|(name, node)| one_input(name, &node, names, events)).collect()
}

fn one_input(name: String, node: &Node<'_>, names: &Names, events: &Catalogue) -> Input {
    let mut made = Input { name, unknown: Unknown::Ignore, body_optional: false, fields: Vec::new() };
    let Some(table) = node.table() else { return made };
    table.text("doc");
    for encoding in table.get("encodings").map(|node| node.items()).unwrap_or_default() {
        encoding.word(&[((), "json")]);
    }
    made.unknown =
        table.word("unknown", &[(Unknown::Ignore, "ignore"), (Unknown::Reject, "reject")], Unknown::Ignore);
    let fields = table.need("fields").map(|node| node.items()).unwrap_or_default();
    for field in fields {
        let Some(read) = one_field(&field, names, events) else { continue };
        if made.fields.iter().any(|known| known.at == read.at) {
            field.error(format!("`{}` is read twice", read.at.join(".")));
        }
        if read.to != Target::Nothing && made.fields.iter().any(|known| known.to == read.to) {
            field.error("another field sets the same thing");
        }
        made.fields.push(read);
    }
    table.finish();
    made
}

fn one_field(node: &Node<'_>, names: &Names, events: &Catalogue) -> Option<InputField> {
    let table = node.table()?;
    let at = table.need("at")?;
    let path: Vec<String> = at.str()?.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        at.error("this is no path of names");
    }
    let to = table.need("to").and_then(|node| target(&node, names));
    let rule = rule(&table);
    let required = table.flag("required", false);
    let is_clearable = matches!(to, Some(Target::Description | Target::Extension(_)));
    let made = InputField {
        at: path,
        required,
        nullable: table.flag("nullable", is_clearable && !required),
        required_with: event_reference(&table, "required_with", events),
        only_with: event_reference(&table, "only_with", events),
        default: table.get("default").and_then(|node| constant_json(&node)),
        doc: table.text("doc"),
        to: to?,
        rule: rule?,
    };
    table.finish();
    if let Err(expected) = suits(&made.to, &made.rule) {
        table.error(format!("a field that sets this has the type {expected}"));
    }
    Some(made)
}

/// An event type that has to be in the catalogue.
fn event_reference(table: &Table<'_>, key: &'static str, events: &Catalogue) -> Option<String> {
    let node = table.get(key)?;
    let known: Vec<String> = events.types.iter().map(|known| known.name.clone()).collect();
    if !events.open {
        node.reference("event type", &known)?;
    }
    node.str().map(str::to_owned)
}

fn target(node: &Node<'_>, names: &Names) -> Option<Target> {
    let text = node.str()?;
    if let Some(name) = text.strip_prefix("endpoint.ext.") {
        if names.extensions.iter().any(|known| known == name) {
            return Some(Target::Extension(name.to_owned()));
        }
        let meant = super::nearest::nearest(name, names.extensions.iter().map(String::as_str));
        let message = format!("there is no [extension.{name}]");
        node.report.unknown(&node.span, &node.path, message, meant);
        return None;
    }
    node.word(&[
        (Target::Url, "endpoint.url"),
        (Target::Events, "endpoint.events"),
        (Target::Description, "endpoint.description"),
        (Target::Secret, "endpoint.secret"),
        (Target::State, "endpoint.state"),
        (Target::WebhookId, "target.endpoint_id"),
        (Target::DeliveryId, "target.delivery_id"),
        (Target::EventType, "target.event_type"),
        (Target::Nothing, "none"),
    ])
}

fn bounds(table: &Table<'_>, most: i64, default: (i64, i64)) -> (usize, usize) {
    let low = table.int("min", 0..=most, default.0);
    let high = table.int("max", 0..=most, default.1);
    if low > high {
        table.error(format!("`min` ({low}) is above `max` ({high})"));
    }
    (usize::try_from(low).unwrap_or_default(), usize::try_from(high).unwrap_or_default())
}

fn rule(table: &Table<'_>) -> Option<FieldRule> {
    const TYPES: &[(&str, &str)] = &[
        ("url", "url"),
        ("events", "events"),
        ("string", "string"),
        ("secret", "secret"),
        ("decimal", "decimal"),
        ("id", "id"),
        ("event", "event"),
        ("bool", "bool"),
        ("int", "int"),
        ("enum", "enum"),
        ("map", "map"),
        ("const", "const"),
    ];
    Some(match table.need("type")?.word(TYPES)? {
        "url" => url_rule(table),
        "events" => {
            let (min, max) = bounds(table, ENTRIES_MAX, (1, ENTRIES_MAX));
            let rejects_duplicates = table.word("unique", &[(true, "reject"), (false, "drop")], false);
            FieldRule::Events { min, max, rejects_duplicates }
        }
        "string" => {
            let (min, max) = bounds(table, STRING_CHARS_MAX, (0, STRING_CHARS_MAX));
            FieldRule::String { min, max }
        }
        "secret" => {
            let (min, max) = bounds(table, 4096, (1, 256));
            FieldRule::Secret { min, max }
        }
        "decimal" => FieldRule::Decimal { positive: table.flag("positive", false) },
        "id" => {
            table.word("of", &[((), "endpoint"), ((), "delivery")], ());
            FieldRule::Id
        }
        "event" => FieldRule::Event,
        "bool" => FieldRule::Bool { when_true: state(table, "true"), when_false: state(table, "false") },
        "int" => {
            let (min, max) =
                (table.int("min", i64::MIN..=i64::MAX, 0), table.int("max", i64::MIN..=i64::MAX, i64::MAX));
            FieldRule::Int { min, max }
        }
        "enum" => {
            let map = table.need("map").map(|node| word_map(&node)).unwrap_or_default();
            FieldRule::Enum(map)
        }
        "map" => {
            let (_, max) = bounds(table, ENTRIES_MAX, (0, 50));
            FieldRule::Map { max }
        }
        _ => FieldRule::Const(table.need_str("value")),
    })
}

fn url_rule(table: &Table<'_>) -> FieldRule {
    const SCHEMES: &[(&str, &str)] = &[("https", "https"), ("http", "http")];
    let schemes = table.get("schemes").map(|node| node.items()).unwrap_or_default();
    let schemes: Vec<String> =
        schemes.iter().filter_map(|node| node.word(SCHEMES)).map(str::to_owned).collect();
    let probes = table.get("probe").map(|node| node.items()).unwrap_or_default();
    let (_, max) = bounds(table, URL_CHARS_MAX * 4, (0, URL_CHARS_MAX));
    FieldRule::Url {
        schemes: if schemes.is_empty() { vec!["https".to_owned()] } else { schemes },
        max,
        probes: probes
            .iter()
            .filter_map(|node| node.word(&[(Probe::Public, "public"), (Probe::Tls, "tls")]))
            .collect(),
    }
}

/// The state that one side of a flag stands for.
fn state(table: &Table<'_>, key: &'static str) -> Option<String> {
    const STATES: &[(&str, &str)] = &[("active", "active"), ("paused", "paused"), ("disabled", "disabled")];
    table.get(key)?.word(STATES).map(str::to_owned)
}

/// Does the rule read what the target needs? The types that do, if not.
fn suits(to: &Target, rule: &FieldRule) -> Result<(), &'static str> {
    let (fits, expected) = match to {
        Target::Url => (matches!(rule, FieldRule::Url { .. }), "url"),
        Target::Events => (matches!(rule, FieldRule::Events { .. }), "events"),
        Target::Secret => (matches!(rule, FieldRule::Secret { .. }), "secret"),
        Target::Description => (matches!(rule, FieldRule::String { .. }), "string"),
        Target::State => match rule {
            FieldRule::Bool { when_true, when_false } => (
                when_true.is_some() && when_false.is_some(),
                "bool, with the states that true and false stand for",
            ),
            _ => (matches!(rule, FieldRule::Enum(_)), "enum or bool"),
        },
        Target::Extension(_) => {
            let fits = matches!(
                rule,
                FieldRule::String { .. }
                    | FieldRule::Decimal { .. }
                    | FieldRule::Int { .. }
                    | FieldRule::Enum(_)
                    | FieldRule::Bool { .. }
            );
            (fits, "string, decimal, int, enum or bool")
        }
        Target::WebhookId | Target::DeliveryId => (matches!(rule, FieldRule::Id), "id"),
        Target::EventType => (matches!(rule, FieldRule::Event), "event"),
        Target::Nothing => (true, ""),
    };
    if fits { Ok(()) } else { Err(expected) }
}
