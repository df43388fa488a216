//! Views and what their members hold.

use super::Names;
use super::node::{Node, Table};
use crate::model::route::Op;
use crate::model::view::{Format, Hide, Member, MemberValue, Source, View, ViewRoot};

pub fn views(root: &Table<'_>, names: &Names) -> Vec<View> {
    let Some(table) = root.need("views").and_then(|node| node.table()) else { return Vec::new() };
    table.named().into_iter().map(|(name, node)| one_view(name, &node, names)).collect()
}

fn one_view(name: String, node: &Node<'_>, names: &Names) -> View {
    let empty = ViewRoot::Object(Vec::new());
    let Some(table) = node.table() else { return View { name, root: empty } };
    table.text("doc");
    let root = match (table.get("root"), table.get("fields")) {
        (Some(root), None) => bare_list(&root, names).map_or(empty, ViewRoot::Items),
        (None, Some(fields)) => {
            let mut members = Vec::new();
            for field in fields.items() {
                add_field(&mut members, &field, names);
            }
            ViewRoot::Object(members)
        }
        _ => {
            table.error("a view has either `fields` or `root`");
            empty
        }
    };
    table.finish();
    View { name, root }
}

fn bare_list(node: &Node<'_>, names: &Names) -> Option<usize> {
    let table = node.table()?;
    table.need_word("from", &[((), "page.items")], ());
    let each = table.need("each").and_then(|node| node.reference("view", &names.views));
    table.finish();
    each
}

fn add_field(members: &mut Vec<Member>, node: &Node<'_>, names: &Names) {
    let Some(table) = node.table() else { return };
    if table.get("spread").is_some() {
        table.error("`spread` belongs into [payload] only");
        return;
    }
    let Some(at) = table.need("at") else { return };
    let Some(path) = at.str() else { return };
    let member = Member {
        name: String::new(),
        value: match value(&table, names) {
            Some(value) => value,
            None => MemberValue::Const("null".to_owned()),
        },
        nullable: table.flag("nullable", false),
        shown_by: shown_by(&table),
        hide: table.word(
            "hide",
            &[(Hide::Omit, "omit"), (Hide::Null, "null"), (Hide::Mask, "mask")],
            Hide::Null,
        ),
        doc: table.text("doc"),
    };
    table.finish();
    if let Err(why) = place(members, path, member) {
        at.error(why);
    }
}

fn shown_by(table: &Table<'_>) -> Vec<Op> {
    let shown = table.get("show").map(|node| node.items()).unwrap_or_default();
    shown.iter().filter_map(|node| node.word(Op::WORDS)).collect()
}

fn value(table: &Table<'_>, names: &Names) -> Option<MemberValue> {
    match (table.get("from"), table.get("const"), table.get("view")) {
        (Some(from), None, None) => {
            let each = table.get("each").map(|node| node.reference("view", &names.views));
            let source = source(&from, &names.extensions)?;
            match each {
                Some(each) if source == Source::PageItems => return Some(MemberValue::Items(each?)),
                Some(_) => from.error("`each` goes with page.items only"),
                None if source == Source::PageItems => from.error("`each` has to name the view of an item"),
                None => {}
            }
            Some(MemberValue::From(source, format(table)))
        }
        (None, Some(constant), None) => Some(MemberValue::Const(constant_json(&constant)?)),
        (None, None, Some(view)) => Some(MemberValue::View(view.reference("view", &names.views)?)),
        _ => {
            table.error("a field has exactly one of `from`, `const` and `view`");
            None
        }
    }
}

/// A constant as JSON text; TOML's infinities have none.
pub fn constant_json(node: &Node<'_>) -> Option<String> {
    let text = node.json();
    if crate::json::parse(text.as_bytes()).is_ok() {
        return Some(text);
    }
    node.error("this has no spelling in JSON");
    None
}

/// A native value by its word.
pub fn source(node: &Node<'_>, extensions: &[String]) -> Option<Source> {
    let text = node.str()?;
    if let Some(name) = text.strip_prefix("endpoint.ext.") {
        let known: Vec<String> = extensions.to_vec();
        if known.iter().any(|extension| extension == name) {
            return Some(Source::WebhookExtension(name.to_owned()));
        }
        let meant = super::nearest::nearest(name, known.iter().map(String::as_str));
        let meant = meant.map(|name| format!("endpoint.ext.{name}"));
        let message = format!("there is no [extension.{name}]");
        node.report.unknown(&node.span, &node.path, message, meant.as_deref());
        return None;
    }
    node.word(Source::WORDS)
}

/// The format of a field, with the lists that `bool` and `enum` take.
pub fn format(table: &Table<'_>) -> Format {
    const WORDS: &[(Format, &str)] = &[
        (Format::Rfc3339, "rfc3339"),
        (Format::Rfc3339Ms, "rfc3339-ms"),
        (Format::Unix, "unix"),
        (Format::UnixMs, "unix-ms"),
        (Format::Int, "int"),
        (Format::Ms, "ms"),
        (Format::Text, "text"),
        (Format::Bool(Vec::new()), "bool"),
        (Format::Enum(Vec::new()), "enum"),
        (Format::Plain, "plain"),
    ];
    let trues = table.strings("true");
    let map = table.get("map");
    match table.word("as", WORDS, Format::Plain) {
        Format::Bool(_) => Format::Bool(trues),
        Format::Enum(_) => {
            if map.is_none() {
                table.error("`as = \"enum\"` needs a `map` from our words to the contract's");
            }
            Format::Enum(map.map(|node| word_map(&node)).unwrap_or_default())
        }
        other => {
            if let Some(map) = map {
                map.error("`map` goes with `as = \"enum\"`");
            }
            other
        }
    }
}

/// Pairs of our word and the contract's.
pub fn word_map(node: &Node<'_>) -> Vec<(String, String)> {
    let Some(table) = node.table() else { return Vec::new() };
    let named = table.named().into_iter();
    named.filter_map(|(ours, theirs)| Some((ours, theirs.str()?.to_owned()))).collect()
}

/// Puts a member where its dotted path says, opening objects on the way.
fn place(members: &mut Vec<Member>, path: &str, mut member: Member) -> Result<(), String> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    if name.is_empty() {
        return Err(format!("`{path}` is no path of names"));
    }
    let known = members.iter().position(|known| known.name == name);
    match (rest, known) {
        (None, None) => {
            member.name = name.to_owned();
            members.push(member);
            Ok(())
        }
        (None, Some(_)) => Err(format!("`{name}` is there already")),
        (Some(rest), None) => {
            let mut inner = Vec::new();
            place(&mut inner, rest, member)?;
            members.push(Member {
                name: name.to_owned(),
                value: MemberValue::Object(inner),
                nullable: false,
                shown_by: Vec::new(),
                hide: Hide::Omit,
                doc: String::new(),
            });
            Ok(())
        }
        (Some(rest), Some(at)) => match &mut members[at].value {
            MemberValue::Object(inner) => place(inner, rest, member),
            _ => Err(format!("`{name}` is there already and no object")),
        },
    }
}
