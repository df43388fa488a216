//! Routes, paging and filters.

use posthaste_core::IdKind;

use super::Names;
use super::node::{Node, Table};
use super::views::word_map;
use crate::model::access::{Access, AccessKind, Need, Rate};
use crate::model::route::{Beyond, Filter, FilterOn, Method, Op, PageSize, Paging, Route, Rows, Segment};
use crate::model::{Basis, Index};

/// What routes refer to that is compiled already.
pub struct Around<'a> {
    pub access: &'a Access,
    pub rates: &'a [(Rate, bool)],
}

pub fn routes(root: &Table<'_>, names: &Names, around: &Around<'_>, default_basis: Basis) -> Vec<Route> {
    let Some(table) = root.need("routes").and_then(|node| node.table()) else { return Vec::new() };
    let mut made: Vec<Route> = Vec::new();
    for (name, node) in table.named() {
        let Some(route) =
            node.table().and_then(|table| one_route(name, &table, names, around, default_basis))
        else {
            continue;
        };
        let same =
            |known: &&Route| known.method == route.method && answers_alike(&known.segments, &route.segments);
        if let Some(known) = made.iter().find(same) {
            node.error(format!("`{}` answers the same requests", known.name));
        }
        made.push(route);
    }
    made
}

/// Would two paths be found for exactly the same requests?
fn answers_alike(a: &[Segment], b: &[Segment]) -> bool {
    let alike = |(a, b): (&Segment, &Segment)| match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Literal(_), _) | (_, Segment::Literal(_)) => false,
        _ => true,
    };
    a.len() == b.len() && a.iter().zip(b).all(alike)
}

fn one_route(
    name: String,
    table: &Table<'_>,
    names: &Names,
    around: &Around<'_>,
    default_basis: Basis,
) -> Option<Route> {
    let op = table.need("do").and_then(|node| node.word(Op::WORDS));
    let on = table.need("on").and_then(|node| method_and_path(&node));
    let auth = match table.get("auth") {
        Some(node) => node.reference("auth", &names.auth).unwrap_or_default(),
        None => {
            if names.auth.len() > 1 {
                table.error("`auth` is missing");
            }
            0
        }
    };
    let reference = |key: &'static str, what: &str, names: &[String]| -> Option<Index> {
        table.get(key).and_then(|node| node.reference(what, names))
    };
    let (input, view) = (reference("input", "input", &names.inputs), reference("view", "view", &names.views));
    let needs = table.get("needs").and_then(|node| need(&node, &around.access.kind));
    let weight = table.int("weight", 0..=1_000_000, 1);
    let rates = route_rates(table, names, around);
    let status = table.need("status").and_then(|node| node.int(200..=299)).unwrap_or(200);
    let rows =
        table.word("rows", &[(Rows::Attempt, "attempt"), (Rows::Delivery, "delivery")], Rows::Delivery);
    let paging = table.get("page").and_then(|node| paging(&node)).unwrap_or(Paging::All);
    let filters = table.get("filters").map(|node| node.items()).unwrap_or_default();
    let test_event_type = test_rule(table).0;
    let doc = table.text("doc");
    let basis = table.basis(default_basis);
    let filters = filters.iter().filter_map(filter).collect();
    table.finish();
    let (op, (method, path, segments)) = (op?, on?);
    Some(Route {
        name,
        op,
        method,
        path,
        segments,
        auth,
        needs,
        weight: u32::try_from(weight).unwrap_or(1),
        rates,
        input,
        status: u16::try_from(status).unwrap_or(200),
        view,
        rows,
        paging,
        filters,
        test_event_type,
        doc,
        basis,
    })
}

/// `POST /v1/webhooks/{endpoint}/test`.
fn method_and_path(node: &Node<'_>) -> Option<(Method, String, Vec<Segment>)> {
    let text = node.str()?;
    let Some((method, path)) = text.split_once(' ') else {
        node.error("expected a method and a path, such as \"GET /v1/webhooks\"");
        return None;
    };
    let Some(method) = Method::WORDS.iter().find(|(_, word)| *word == method).map(|(method, _)| *method)
    else {
        node.unknown_word(method, &Method::WORDS.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        return None;
    };
    let Some(relative) = path.strip_prefix('/') else {
        node.error("a path begins with `/`");
        return None;
    };
    let mut segments = Vec::new();
    for part in relative.split('/') {
        let segment = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some("endpoint") => Segment::Webhook,
            Some("delivery") => Segment::Delivery,
            Some(other) => {
                node.unknown_word(other, &["endpoint", "delivery"]);
                return None;
            }
            None => Segment::Literal(part.to_owned()),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        match &segment {
            Segment::Literal(text) if text.is_empty() || !text.chars().all(is_plain) => {
                node.error(format!("`{part}` is no plain path segment"));
                return None;
            }
            Segment::Literal(_) => {}
            placeholder if segments.contains(placeholder) => {
                node.error(format!("`{part}` stands twice"));
                return None;
            }
            _ => {}
        }
        segments.push(segment);
    }
    Some((method, path.to_owned(), segments))
}

fn need(node: &Node<'_>, kind: &AccessKind) -> Option<Need> {
    match kind {
        AccessKind::None => {
            node.error("`needs` means nothing while [access] has the kind `none`");
            None
        }
        AccessKind::Tier(words) => node.reference("tier", words).map(Need),
        AccessKind::Role(words) => node.reference("role", words).map(Need),
        AccessKind::Scope(words) => node.reference("scope", words).map(Need),
    }
}

fn route_rates(table: &Table<'_>, names: &Names, around: &Around<'_>) -> Vec<Index> {
    let named = table.get("rates").map(|node| node.items()).unwrap_or_default();
    let mut made: Vec<Index> = named.iter().filter_map(|node| node.reference("rate", &names.rates)).collect();
    let defaults = around.rates.iter().enumerate().filter(|(_, (_, is_default))| *is_default);
    for (index, _) in defaults {
        if !made.contains(&index) {
            made.push(index);
        }
    }
    made
}

fn paging(node: &Node<'_>) -> Option<Paging> {
    const STYLES: &[(&str, &str)] = &[
        ("all", "all"),
        ("latest", "latest"),
        ("page", "page"),
        ("offset", "offset"),
        ("cursor", "cursor"),
        ("starting_after", "starting_after"),
    ];
    let table = node.table()?;
    let made = match table.need("style")?.word(STYLES)? {
        "latest" => {
            let max = table.need("max").and_then(|node| node.int(1..=i64::from(PageSize::MOST)));
            Paging::Latest { max: u32::try_from(max.unwrap_or(50)).unwrap_or(50) }
        }
        "page" => Paging::Page { number: table.need_str("number"), size: page_size(&table) },
        "offset" => Paging::Offset { offset: table.need_str("offset"), size: page_size(&table) },
        "cursor" => Paging::Cursor { cursor: table.need_str("cursor"), size: page_size(&table) },
        "starting_after" => Paging::StartingAfter { after: table.need_str("after"), size: page_size(&table) },
        _ => Paging::All,
    };
    table.finish();
    Some(made)
}

fn page_size(table: &Table<'_>) -> PageSize {
    let most = i64::from(PageSize::MOST);
    let number = |value: i64| u32::try_from(value).unwrap_or(PageSize::MOST);
    let made = PageSize {
        param: table.need_str("size"),
        default: number(table.int("default", 1..=most, 20)),
        min: number(table.int("min", 1..=most, 1)),
        max: number(table.int("max", 1..=most, 100)),
        beyond: table.word("beyond", &[(Beyond::Clamp, "clamp"), (Beyond::Error, "error")], Beyond::Clamp),
    };
    if !(made.min..=made.max).contains(&made.default) {
        table.error(format!(
            "`default` ({}) is not from `min` ({}) to `max` ({})",
            made.default, made.min, made.max
        ));
    }
    made
}

fn filter(node: &Node<'_>) -> Option<Filter> {
    const ON: &[(&str, &str)] = &[
        ("endpoint.state", "endpoint.state"),
        ("endpoint.events", "endpoint.events"),
        ("delivery.state", "delivery.state"),
        ("event.type", "event.type"),
    ];
    let table = node.table()?;
    table.text("doc");
    let param = table.need_str("param");
    let map = || table.need("map").map(|node| word_map(&node)).unwrap_or_default();
    let on = match table.need("on")?.word(ON)? {
        "endpoint.state" => FilterOn::WebhookState(map()),
        "endpoint.events" if table.word("match", &[(true, "covers"), (false, "names")], true) => {
            FilterOn::WebhookCovers
        }
        "endpoint.events" => FilterOn::WebhookNames,
        "delivery.state" => FilterOn::DeliveryState(map()),
        _ => FilterOn::EventType,
    };
    table.finish();
    Some(Filter { param, on })
}

/// The type and the id prefix of test events, as far as a route says.
fn test_rule(table: &Table<'_>) -> (Option<String>, Option<String>) {
    let Some(test) = table.get("test").and_then(|node| node.table()) else { return (None, None) };
    let made = (test.str("event_type"), test.str("event_id_prefix"));
    test.finish();
    made
}

/// The form of test events' ids.
pub fn test_event_id(root: &Table<'_>, event: &IdKind) -> IdKind {
    let routes = root.get("routes").filter(Node::is_table).and_then(|node| node.table());
    let named = routes.map(|table| table.named()).unwrap_or_default();
    let mut tables = named.iter().filter(|(_, node)| node.is_table()).filter_map(|(_, node)| node.table());
    match tables.find_map(|table| test_rule(&table).1) {
        Some(prefix) => IdKind { prefix, ..event.clone() },
        None => event.clone(),
    }
}
