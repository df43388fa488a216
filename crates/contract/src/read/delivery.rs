//! Payload, signatures, headers and behaviour towards receivers.

use std::time::Duration;

use posthaste_core::DeliveryPolicy;
use posthaste_core::policy::{
    AttemptRate, DisableCount, DisableRule, QueuedOnDelete, RetrySchedule, StatusSet,
};

use super::Names;
use super::access::header_name;
use super::node::{Node, Table};
use super::views::{constant_json, format, source};
use crate::model::SecretKey;
use crate::model::delivery::{
    Algorithm, DeliveryHeader, DeliveryRules, Encoding, HeaderValue, Layout, Many, Payload, PayloadMember,
    PayloadValue, RotationRule, SignaturePart, SignatureRule, TimeSpelling,
};
use crate::model::view::Source;

/// Every request says who sends it. A contract names its product by a header of this name; else it is us.
const USER_AGENT: &str = "User-Agent";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MIN: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
const DELAY_MAX: Duration = Duration::from_hours(7 * 24);
const DELAYS_MAX: usize = 100;
const RATE_LIMIT_MAX: i64 = 1_000_000;
/// Attempts are spread over the window: a test that somebody waits for must not wait for longer.
const RATE_SPACING_MAX: Duration = Duration::from_secs(60);

pub fn payload(root: &Table<'_>, names: &Names) -> Payload {
    let mut members = Vec::new();
    let Some(table) = root.need("payload").and_then(|node| node.table()) else { return Payload { members } };
    table.text("doc");
    for field in table.need("fields").map(|node| node.items()).unwrap_or_default() {
        payload_field(&mut members, &field, names);
    }
    table.finish();
    Payload { members }
}

fn payload_field(members: &mut Vec<PayloadMember>, node: &Node<'_>, names: &Names) {
    let Some(table) = node.table() else { return };
    table.text("doc");
    if let Some(spread) = table.get("spread") {
        spread.word(&[((), "event.data")]);
        members.push(PayloadMember::SpreadData);
        table.finish();
        return;
    }
    let Some(at) = table.need("at") else { return };
    let Some(path) = at.str() else { return };
    let value = match (table.get("from"), table.get("const")) {
        (Some(from), None) => match source(&from, &names.extensions) {
            Some(Source::EventData) => Some(PayloadValue::Data),
            Some(source) if BODY_SOURCES.contains(&source) => {
                Some(PayloadValue::From(source, format(&table)))
            }
            Some(_) => {
                from.error("a body is built once for all webhooks and holds event.* values only");
                None
            }
            None => None,
        },
        (None, Some(constant)) => constant_json(&constant).map(PayloadValue::Const),
        _ => {
            table.error("a field has exactly one of `from`, `const` and `spread`");
            None
        }
    };
    table.finish();
    if let Some(Err(why)) = value.map(|value| place(members, path, value)) {
        at.error(why);
    }
}

const BODY_SOURCES: [Source; 4] =
    [Source::EventId, Source::EventType, Source::EventAccount, Source::EventOccurredAt];

fn place(members: &mut Vec<PayloadMember>, path: &str, value: PayloadValue) -> Result<(), String> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    if name.is_empty() {
        return Err(format!("`{path}` is no path of names"));
    }
    let known = members.iter_mut().find_map(|member| match member {
        PayloadMember::Named(known, value) if known == name => Some(value),
        _ => None,
    });
    match (rest, known) {
        (None, None) => members.push(PayloadMember::Named(name.to_owned(), value)),
        (Some(rest), None) => {
            let mut inner = Vec::new();
            place(&mut inner, rest, value)?;
            members.push(PayloadMember::Named(name.to_owned(), PayloadValue::Object(inner)));
        }
        (Some(rest), Some(PayloadValue::Object(inner))) => place(inner, rest, value)?,
        _ => return Err(format!("`{name}` is there already")),
    }
    Ok(())
}

pub fn signatures(root: &Table<'_>) -> Vec<SignatureRule> {
    let items = root.get("signatures").map(|node| node.items()).unwrap_or_default();
    items.iter().filter_map(|node| one_signature(&node.table()?)).collect()
}

fn one_signature(table: &Table<'_>) -> Option<SignatureRule> {
    let header = header_name(table.need("header"));
    table.text("doc");
    let made = SignatureRule {
        header,
        algorithm: table.need_word("algorithm", Algorithm::WORDS, Algorithm::HmacSha256),
        key: table.get("key").is_some().then(|| table.word("key", SecretKey::WORDS, SecretKey::Utf8)),
        signed: table.need("signed").map(|node| signed_parts(&node)).unwrap_or_default(),
        join: table.text("join"),
        timestamp: table.word("timestamp", TimeSpelling::WORDS, TimeSpelling::Unix),
        encoding: table.need_word("encoding", Encoding::WORDS, Encoding::Hex),
        layout: table.get("layout").and_then(|node| layout(&node)).unwrap_or(Layout::Bare),
        many: table.get("many").and_then(|node| many(&node)).unwrap_or(Many::Newest),
    };
    table.finish();
    Some(made)
}

fn signed_parts(node: &Node<'_>) -> Vec<SignaturePart> {
    let words = [
        (SignaturePart::Body, "body"),
        (SignaturePart::Timestamp, "attempt.timestamp"),
        (SignaturePart::EventId, "event.id"),
        (SignaturePart::DeliveryId, "delivery.id"),
        (SignaturePart::WebhookId, "endpoint.id"),
        (SignaturePart::Url, "endpoint.url"),
    ];
    let part = |node: &Node<'_>| {
        if !node.is_table() {
            return node.word(&words);
        }
        let table = node.table()?;
        let text = table.need_str("text");
        table.finish();
        Some(SignaturePart::Text(text))
    };
    let parts: Vec<SignaturePart> = node.items().iter().filter_map(part).collect();
    if !parts.contains(&SignaturePart::Body) {
        node.warning("the body is not signed, so receivers cannot trust it");
    }
    parts
}

fn layout(node: &Node<'_>) -> Option<Layout> {
    const STYLES: &[(&str, &str)] = &[("bare", "bare"), ("prefix", "prefix"), ("pairs", "pairs")];
    let table = node.table()?;
    let made = match table.need("style")?.word(STYLES)? {
        "prefix" => Layout::Prefix(table.need_str("prefix")),
        "pairs" => Layout::Pairs {
            timestamp: table.str("timestamp"),
            signature: table.need_str("signature"),
            by: table.str("by").unwrap_or_else(|| ",".to_owned()),
        },
        _ => Layout::Bare,
    };
    table.finish();
    Some(made)
}

fn many(node: &Node<'_>) -> Option<Many> {
    const KINDS: &[(&str, &str)] = &[
        ("join", "join"),
        ("header", "header"),
        ("numbered", "numbered"),
        ("newest", "newest"),
        ("repeat", "repeat"),
    ];
    let table = node.table()?;
    let made = match table.need("kind")?.word(KINDS)? {
        "join" => Many::Join(table.need("by").and_then(|node| node.str()).unwrap_or(" ").to_owned()),
        "header" => Many::Header(header_name(table.need("name"))),
        "numbered" => Many::Numbered,
        "repeat" => Many::Repeat,
        _ => Many::Newest,
    };
    table.finish();
    Some(made)
}

/// The table `delivery`, whose keys two readers share.
fn delivery_table<'r>(root: &Table<'r>) -> Option<Table<'r>> {
    root.need("delivery").and_then(|node| node.table())
}

pub fn rules(root: &Table<'_>) -> DeliveryRules {
    let json = "application/json".to_owned();
    let mut made = DeliveryRules { content_type: json, headers: Vec::new() };
    if let Some(table) = root.get("delivery").filter(Node::is_table).and_then(|node| node.table()) {
        if let Some(media_type) = table.str("content_type") {
            made.content_type = media_type;
        }
        for item in table.get("headers").map(|node| node.items()).unwrap_or_default() {
            made.headers.extend(item.table().and_then(|table| delivery_header(&table)));
        }
    }
    if !made.headers.iter().any(|header| header.name.eq_ignore_ascii_case(USER_AGENT)) {
        let ours = HeaderValue::Const(concat!("Posthaste/", env!("CARGO_PKG_VERSION")).to_owned());
        made.headers.push(DeliveryHeader { name: USER_AGENT.to_owned(), value: ours });
    }
    made
}

fn delivery_header(table: &Table<'_>) -> Option<DeliveryHeader> {
    const SOURCES: [Source; 8] = [
        Source::EventId,
        Source::EventType,
        Source::EventAccount,
        Source::WebhookId,
        Source::WebhookAccount,
        Source::DeliveryId,
        Source::AttemptNumber,
        Source::AttemptTimestamp,
    ];
    let name = header_name(table.need("name"));
    let value = match (table.get("from"), table.get("const")) {
        (Some(from), None) => {
            let source = source(&from, &[])?;
            if !SOURCES.contains(&source) {
                from.error("headers hold ids, types, attempt.number and attempt.timestamp only");
            }
            HeaderValue::From(source, format(table))
        }
        (None, Some(constant)) => {
            let text = constant.str()?.to_owned();
            if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || text.trim() != text {
                constant.error("a header's value is visible ASCII");
            }
            HeaderValue::Const(text)
        }
        _ => {
            table.error("a header has exactly one of `from` and `const`");
            return None;
        }
    };
    table.finish();
    Some(DeliveryHeader { name, value })
}

pub fn policy(root: &Table<'_>) -> DeliveryPolicy {
    let mut made = DeliveryPolicy {
        timeout: TIMEOUT_DEFAULT,
        success: StatusSet(vec![200..=299]),
        gone_disables: false,
        retry: RetrySchedule { delays: Vec::new(), jitter: 0.0, honours_retry_after: true },
        disable: DisableRule { after: None, count: DisableCount::Delivery },
        on_delete: QueuedOnDelete::Drop,
        rate: None,
    };
    if let Some(table) = delivery_table(root) {
        read_delivery(&table, &mut made);
    }
    if let Some(table) = root.need("retry").and_then(|node| node.table()) {
        read_retry(&table, &mut made.retry);
    }
    if let Some(table) = root.get("disable").and_then(|node| node.table()) {
        let counts = [(DisableCount::Delivery, "delivery"), (DisableCount::Attempt, "attempt")];
        let after = table.need("after").and_then(|node| node.int(0..=1_000_000)).unwrap_or(0);
        made.disable.after = u32::try_from(after).ok().filter(|after| *after > 0);
        made.disable.count = table.word("count", &counts, DisableCount::Delivery);
        table.word("becomes", &[((), "disabled")], ());
        made.gone_disables = table.flag("on_410", false);
        table.finish();
    }
    if let Some(table) = root.get("on_delete").and_then(|node| node.table()) {
        table.word("in_flight", &[((), "finish")], ());
        let queued = [(QueuedOnDelete::Drop, "drop"), (QueuedOnDelete::Drain, "drain")];
        made.on_delete = table.word("queued", &queued, QueuedOnDelete::Drop);
        table.finish();
    }
    made
}

fn read_delivery(table: &Table<'_>, policy: &mut DeliveryPolicy) {
    table.get("content_type");
    table.get("headers");
    table.word("redirects", &[((), "fail")], ());
    if let Some(node) = table.get("timeout") {
        if let Some(timeout) = node.duration() {
            policy.timeout = timeout;
        }
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&policy.timeout) {
            node.error("must be from 500ms to 60s");
        }
    }
    if let Some(node) = table.get("success") {
        let ranges: Vec<_> = node.items().iter().filter_map(status_range).collect();
        if ranges.is_empty() {
            node.error("at least one status has to mean success");
        }
        policy.success = StatusSet(ranges);
    }
    policy.rate = table.get("rate").and_then(|node| attempt_rate(&node));
    table.finish();
}

/// How many attempts to one webhook may start in a window.
fn attempt_rate(node: &Node<'_>) -> Option<AttemptRate> {
    let table = node.table()?;
    let limit = table.need("limit").and_then(|node| node.int(1..=RATE_LIMIT_MAX));
    let window = table.need("window").and_then(|node| node.duration());
    table.finish();
    let rate = AttemptRate { attempts: u32::try_from(limit?).ok()?, window: window? };
    if rate.window.is_zero() || rate.spacing() > RATE_SPACING_MAX {
        node.error("the window must be longer than nothing, and at most 1m for each attempt");
        return None;
    }
    Some(rate)
}

/// `2xx`, `200`, `200-204`.
fn status_range(node: &Node<'_>) -> Option<std::ops::RangeInclusive<u16>> {
    let text = node.str()?;
    let code =
        |text: &str| text.parse::<u16>().ok().filter(|code| (200..=599).contains(code) && text.len() == 3);
    let range = match text.strip_suffix("xx") {
        Some(class) => code(&format!("{class}00")).map(|first| first..=first + 99),
        None => match text.split_once('-') {
            Some((low, high)) => code(low).zip(code(high)).map(|(low, high)| low..=high),
            None => code(text).map(|code| code..=code),
        },
    };
    let range = range.filter(|range| !range.is_empty());
    if range.is_none() {
        node.error(format!("`{text}` is no status; write \"2xx\", \"200\" or \"200-204\""));
    }
    range
}

fn read_retry(table: &Table<'_>, retry: &mut RetrySchedule) {
    if let Some(node) = table.need("delays") {
        let items = node.items();
        if items.len() > DELAYS_MAX {
            node.error(format!("at most {DELAYS_MAX} delays are allowed"));
        }
        for item in items {
            let Some(delay) = item.duration() else { continue };
            if delay > DELAY_MAX {
                item.error("a delay is at most 7d");
            }
            if retry.delays.last().is_some_and(|before| *before > delay) {
                item.warning("this delay is shorter than the one before it");
            }
            retry.delays.push(delay);
        }
    }
    retry.jitter = table.get("jitter").and_then(|node| node.share()).unwrap_or(0.0);
    retry.honours_retry_after = table.word("retry_after", &[(true, "honour"), (false, "ignore")], true);
    table.finish();
}

pub fn rotation(root: &Table<'_>) -> RotationRule {
    let mut made = RotationRule { overlap: Duration::ZERO, keys: 1 };
    let Some(table) = root.get("rotation").and_then(|node| node.table()) else { return made };
    made.overlap = table.duration("overlap", made.overlap);
    made.keys = usize::try_from(table.int("keys", 1..=10, 1)).unwrap_or(1);
    if made.keys == 1 && !made.overlap.is_zero() {
        table.warning("an overlap needs at least 2 `keys`");
    }
    table.finish();
    made
}

/// No handshake is known yet; the key is there so that files can say so.
pub fn verification(root: &Table<'_>) {
    if let Some(table) = root.get("verification").and_then(|node| node.table()) {
        table.need_word("kind", &[((), "none")], ());
        table.finish();
    }
}
