//! The catalogue of events.

use super::Names;
use super::node::{Node, Table};
use crate::model::Basis;
use crate::model::events::{Catalogue, DataField, DataPath, EventType, Omitted, Trigger};

pub fn catalogue(root: &Table<'_>, names: &Names, default_basis: Basis) -> Catalogue {
    let mut made =
        Catalogue { types: Vec::new(), open: false, wildcards: Vec::new(), omitted: Omitted::Error };
    let Some(table) = root.need("events").and_then(|node| node.table()) else { return made };
    made.open = table.flag("open", false);
    made.omitted = table.word("omitted", &[(Omitted::Error, "error"), (Omitted::All, "all")], Omitted::Error);
    if let Some(types) = table.get("types").and_then(|node| node.table()) {
        for (name, node) in types.named() {
            if !is_event_type(&name) {
                node.error("an event type is dotted words of letters, digits, `_` and `-`");
            }
            made.types.extend(node.table().map(|entry| event_type(name, &entry, names, default_basis)));
        }
    }
    let wildcards = table.get("wildcards").map(|node| node.items()).unwrap_or_default();
    made.wildcards = wildcards.iter().filter_map(|node| wildcard(node, &made)).collect();
    if made.types.is_empty() && !made.open {
        table.error("there are no event types; name them under [events.types] or say `open = true`");
    }
    table.finish();
    made
}

/// Dotted words.
pub fn is_event_type(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    name.len() <= EventType::NAME_MAX_BYTES && name.split('.').all(is_word)
}

fn wildcard(node: &Node<'_>, catalogue: &Catalogue) -> Option<String> {
    let text = node.str()?;
    let is_open_group = catalogue.open && text == Catalogue::ANY_GROUP;
    match text.strip_suffix('*') {
        Some("") => {}
        Some(group) if group.ends_with('.') => {
            let has_member = catalogue.types.iter().any(|known| known.name.starts_with(group));
            if !has_member && !catalogue.open && !is_open_group {
                node.warning(format!("no event type begins with `{group}`"));
            }
        }
        _ => {
            node.error("a wildcard is `*` or ends with `.*`");
            return None;
        }
    }
    Some(text.to_owned())
}

fn event_type(name: String, table: &Table<'_>, names: &Names, default_basis: Basis) -> EventType {
    let data = table.get("data").map(|node| node.items()).unwrap_or_default();
    let made = EventType {
        name,
        doc: table.text("doc"),
        data: data.iter().filter_map(data_field).collect(),
        example: table.get("example").and_then(|node| example(&node)),
        internal: table.flag("internal", false),
        when: table.get("when").and_then(|node| trigger(&node, names)),
        basis: table.basis(default_basis),
    };
    table.finish();
    made
}

fn data_field(node: &Node<'_>) -> Option<DataField> {
    const TYPES: &[(&str, &str)] = &[
        ("string", "string"),
        ("number", "number"),
        ("integer", "integer"),
        ("boolean", "boolean"),
        ("object", "object"),
        ("array", "array"),
    ];
    let table = node.table()?;
    let made = DataField {
        at: table.need_str("at"),
        json_type: table.need_word("type", TYPES, "string"),
        doc: table.text("doc"),
    };
    table.finish();
    Some(made)
}

/// A table, or JSON text.
fn example(node: &Node<'_>) -> Option<String> {
    let text = if node.is_str() { node.str()?.trim().to_owned() } else { node.json() };
    if let Err(fault) = crate::json::members(text.as_bytes(), crate::json::DEPTH_MAX) {
        node.error(format!("the example is no JSON object: {fault}"));
        return None;
    }
    Some(text)
}

fn trigger(node: &Node<'_>, names: &Names) -> Option<Trigger> {
    let table = node.table()?;
    let limit = table.need("limit")?;
    let text = limit.str()?;
    let name = text.strip_prefix("endpoint.ext.").unwrap_or(text);
    if !names.extensions.iter().any(|known| known == name) {
        let meant = super::nearest::nearest(name, names.extensions.iter().map(String::as_str));
        let message = format!("there is no [extension.{name}]");
        limit.report.unknown(&limit.span, &limit.path, message, meant);
    }
    let value = table.need("value");
    let per = table.get("per").and_then(|node| data_path(&node));
    let made = Trigger {
        value: data_path(&value?)?,
        falls_below: table.need_word("crosses", &[(true, "below"), (false, "above")], true),
        extension: name.to_owned(),
        per,
    };
    table.finish();
    Some(made)
}

fn data_path(node: &Node<'_>) -> Option<DataPath> {
    let path = DataPath::parse(node.str()?);
    if path.is_none() {
        node.error("a path is `data.` and a name in the data, such as \"data.available\"");
    }
    path
}
