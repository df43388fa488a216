//! Auth, access, ids, secrets, limits and rates.

use std::time::Duration;

use posthaste_core::rate::RateLimit;
use posthaste_core::{IdAlphabet, IdKind};

use super::node::{Node, Table};
use crate::model::access::{
    Access, AccessKind, Auth, HmacRequest, KeyFormat, Limits, Owner, Rate, RateHeaders, RateUnit,
    RequestPart, Scheme, SecretEncoding, SecretKey, SecretOrigin, SecretRule, SecretShown,
};
use crate::model::delivery::{Algorithm, Encoding, TimeSpelling};
use crate::model::{Basis, Ids};

const OWNERS: &[(Owner, &str)] = &[(Owner::Key, "key"), (Owner::Account, "tenant")];
const SECRET_BYTES_DEFAULT: i64 = 32;
const KEY_LENGTH_DEFAULT: i64 = 32;

pub fn auth(root: &Table<'_>) -> Vec<Auth> {
    let Some(table) = root.need("auth").and_then(|node| node.table()) else { return Vec::new() };
    let ways: Vec<Auth> =
        table.named().into_iter().filter_map(|(name, node)| one_auth(name, &node.table()?)).collect();
    if ways.is_empty() {
        table.error("at least one way for callers to say who they are is needed");
    }
    ways
}

fn one_auth(name: String, table: &Table<'_>) -> Option<Auth> {
    const KINDS: &[(&str, &str)] =
        &[("api-key", "api-key"), ("bearer", "bearer"), ("basic", "basic"), ("hmac-request", "hmac-request")];
    table.text("doc");
    let kind = table.need("kind")?.word(KINDS)?;
    let scheme = match kind {
        "api-key" => {
            table.word("in", &[((), "header")], ());
            Scheme::ApiKey { header: header_name(table.need("name")) }
        }
        "basic" => Scheme::Basic,
        "hmac-request" => Scheme::HmacRequest(Box::new(hmac_request(table))),
        _ => Scheme::Bearer,
    };
    let key = key_format(table.get("format"));
    table.finish();
    Some(Auth { name, scheme, key })
}

/// A header's name, checked to be one.
pub fn header_name(node: Option<Node<'_>>) -> String {
    let Some(node) = node else { return String::new() };
    let name = node.str().unwrap_or_default();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if node.is_str() && (name.is_empty() || !name.bytes().all(is_token)) {
        node.error("this is no header name");
    }
    name.to_owned()
}

fn hmac_request(table: &Table<'_>) -> HmacRequest {
    let mut made = HmacRequest {
        key_header: String::new(),
        timestamp_header: String::new(),
        timestamps: vec![TimeSpelling::UnixMs],
        skew: Duration::from_secs(300),
        signature_header: String::new(),
        algorithm: Algorithm::HmacSha256,
        encoding: Encoding::Hex,
        forms: table.need("signed").map(|node| request_forms(&node)).unwrap_or_default(),
        join: table.text("join"),
        secret: key_format(table.get("secret")),
        refuses_replays: table.word("replay", &[(true, "refuse"), (false, "allow")], true),
    };
    if let Some(key) = table.need("key").and_then(|node| node.table()) {
        made.key_header = header_name(key.need("header"));
        key.finish();
    }
    if let Some(timestamp) = table.need("timestamp").and_then(|node| node.table()) {
        made.timestamp_header = header_name(timestamp.need("header"));
        let spellings = timestamp.need("as").map(|node| node.items()).unwrap_or_default();
        made.timestamps = spellings.iter().filter_map(|node| node.word(TimeSpelling::WORDS)).collect();
        made.skew = timestamp.duration("skew", made.skew);
        timestamp.finish();
    }
    if let Some(signature) = table.need("signature").and_then(|node| node.table()) {
        made.signature_header = header_name(signature.need("header"));
        made.algorithm = signature.word("algorithm", Algorithm::WORDS, made.algorithm);
        made.encoding = signature.word("encoding", Encoding::WORDS, made.encoding);
        signature.finish();
    }
    made
}

/// One accepted text as a list of parts, or several as a list of lists.
fn request_forms(node: &Node<'_>) -> Vec<Vec<RequestPart>> {
    let items = node.items();
    if items.is_empty() {
        node.error("at least one part is needed");
    }
    let form = |items: &[Node<'_>]| items.iter().filter_map(request_part).collect::<Vec<_>>();
    if items.iter().all(Node::is_array) {
        items.iter().map(|item| form(&item.items())).collect()
    } else {
        vec![form(&items)]
    }
}

fn request_part(node: &Node<'_>) -> Option<RequestPart> {
    if node.is_table() {
        let table = node.table()?;
        let text = table.need_str("text");
        table.finish();
        return Some(RequestPart::Text(text));
    }
    node.word(&[
        (RequestPart::Timestamp, "timestamp"),
        (RequestPart::Method, "method"),
        (RequestPart::Path, "path"),
        (RequestPart::Target, "target"),
        (RequestPart::Body, "body"),
    ])
}

fn key_format(node: Option<Node<'_>>) -> KeyFormat {
    const DIGITS: &[(&str, &str)] = &[
        ("0123456789abcdef", "hex"),
        ("0123456789abcdefghijklmnopqrstuvwxyz", "base36"),
        ("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", "base58"),
        ("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "base62"),
    ];
    let base62 = DIGITS[3].0;
    let plain = KeyFormat { prefix: String::new(), digits: base62, length: 40, level_separator: None };
    let Some(table) = node.and_then(|node| node.table()) else { return plain };
    let embeds = table.word("embed", &[(true, "level")], false);
    let separator = table.str("separator").unwrap_or_else(|| "_".to_owned());
    let made = KeyFormat {
        prefix: table.text("prefix"),
        digits: table.need_word("kind", DIGITS, base62),
        length: table.int("length", 16..=200, KEY_LENGTH_DEFAULT) as usize,
        level_separator: embeds.then_some(separator),
    };
    table.finish();
    made
}

pub fn access(root: &Table<'_>) -> Access {
    #[derive(Clone)]
    enum Kind {
        None,
        Tier,
        Role,
        Scope,
    }
    const KINDS: &[(Kind, &str)] =
        &[(Kind::None, "none"), (Kind::Tier, "tier"), (Kind::Role, "role"), (Kind::Scope, "scope")];
    let Some(table) = root.need("access").and_then(|node| node.table()) else {
        return Access { kind: AccessKind::None, owner: Owner::Account };
    };
    let words = |key: &'static str| {
        let words = table.need(key).map(|node| node.strings()).unwrap_or_default();
        for (n, word) in words.iter().enumerate() {
            if words[..n].contains(word) {
                table.error(format!("`{word}` stands twice in `{key}`"));
            }
        }
        words
    };
    let kind = match table.need_word("kind", KINDS, Kind::None) {
        Kind::None => AccessKind::None,
        Kind::Tier => AccessKind::Tier(words("order")),
        Kind::Role => AccessKind::Role(words("order")),
        Kind::Scope => AccessKind::Scope(words("scopes")),
    };
    let owner = table.need_word("owner", OWNERS, Owner::Account);
    table.finish();
    Access { kind, owner }
}

pub fn ids(root: &Table<'_>) -> Ids {
    let table = root.need("ids").and_then(|node| node.table());
    let kind = |key: &'static str, needed: bool| {
        let found = table.as_ref().and_then(|table| if needed { table.need(key) } else { table.get(key) });
        found.and_then(|node| id_kind(&node)).unwrap_or_else(|| IdKind {
            prefix: String::new(),
            alphabet: IdAlphabet::Uuid7,
            accept: None,
        })
    };
    let event = kind("event", true);
    let made = Ids {
        webhook: kind("endpoint", true),
        test_event: event.clone(),
        event,
        delivery: kind("delivery", true),
        request: kind("request", false),
    };
    kind("tenant", false);
    if let Some(table) = table {
        table.finish();
    }
    made
}

fn id_kind(node: &Node<'_>) -> Option<IdKind> {
    const KINDS: &[(&str, &str)] = &[
        ("uuid", "uuid"),
        ("ulid", "ulid"),
        ("hex", "hex"),
        ("base36", "base36"),
        ("base58", "base58"),
        ("base62", "base62"),
    ];
    let table = node.table()?;
    let length = || {
        table
            .need("length")
            .and_then(|node| node.int(1..=64))
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(26)
    };
    let alphabet = match table.need("kind")?.word(KINDS)? {
        "uuid" if table.int("version", 4..=7, 7) == 4 => IdAlphabet::Uuid4,
        "uuid" => {
            if let Some(version) =
                table.get("version").filter(|node| !matches!(node.int(4..=7), Some(4 | 7) | None))
            {
                version.error("only the versions 4 and 7 are known");
            }
            IdAlphabet::Uuid7
        }
        "hex" => IdAlphabet::Hex { length: length() },
        "base36" => IdAlphabet::Base36 { length: length() },
        "base58" => IdAlphabet::Base58 { length: length() },
        "base62" => IdAlphabet::Base62 { length: length() },
        _ => IdAlphabet::Ulid,
    };
    let accept = table.get("accept").and_then(|node| {
        let bounds: Vec<i64> = node.items().iter().filter_map(|item| item.int(1..=64)).collect();
        match bounds[..] {
            [low, high] if low <= high => Some((low as usize, high as usize)),
            _ => {
                node.error("expected the shortest and the longest length, such as [6, 8]");
                None
            }
        }
    });
    let made = IdKind { prefix: table.text("prefix"), alphabet, accept };
    table.finish();
    Some(made)
}

pub fn secret(root: &Table<'_>) -> SecretRule {
    const ORIGINS: &[(SecretOrigin, &str)] = &[
        (SecretOrigin::Server, "server"),
        (SecretOrigin::Caller, "caller"),
        (SecretOrigin::Either, "either"),
    ];
    const KINDS: &[(SecretEncoding, &str)] = &[
        (SecretEncoding::Hex, "hex"),
        (SecretEncoding::Base64, "base64"),
        (SecretEncoding::Base64Url, "base64url"),
    ];
    const SHOWN: &[(SecretShown, &str)] =
        &[(SecretShown::Once, "once"), (SecretShown::Always, "always"), (SecretShown::Never, "never")];
    let Some(table) = root.need("secret").and_then(|node| node.table()) else { return SecretRule::default() };
    let origin = table.need_word("origin", ORIGINS, SecretOrigin::Server);
    let encoding = if origin == SecretOrigin::Caller {
        table.word("kind", KINDS, SecretEncoding::Hex)
    } else {
        table.need_word("kind", KINDS, SecretEncoding::Hex)
    };
    let alnum = table.word("alphabet", &[(true, "alnum")], false);
    let made = SecretRule {
        origin,
        encoding: if alnum { SecretEncoding::Alnum } else { encoding },
        bytes: table.int("bytes", 16..=64, SECRET_BYTES_DEFAULT) as usize,
        prefix: table.text("prefix"),
        key: table.word("key", SecretKey::WORDS, SecretKey::Utf8),
        shown: table.word("show", SHOWN, SecretShown::Once),
        min_chars: table.int("min", 1..=4096, 1) as usize,
        max_chars: table.int("max", 1..=4096, 256) as usize,
    };
    table.finish();
    made
}

pub fn limits(root: &Table<'_>) -> Limits {
    let mut made = Limits { max_webhooks: None, per: Owner::Account, unique_url: false };
    let Some(table) = root.get("limits").and_then(|node| node.table()) else { return made };
    if let Some(endpoints) = table.get("endpoints").and_then(|node| node.table()) {
        let max = endpoints.need("max").and_then(|node| node.int(0..=1_000_000)).unwrap_or(0);
        made.max_webhooks = u32::try_from(max).ok().filter(|max| *max > 0);
        made.per = endpoints.word("per", OWNERS, Owner::Account);
        endpoints.finish();
    }
    made.unique_url = table.word("unique_url", &[(false, "no"), (true, "tenant")], false);
    table.finish();
    made
}

/// The rates, each with whether it applies to routes that name none.
pub fn rates(root: &Table<'_>, default_basis: Basis) -> Vec<(Rate, bool)> {
    let Some(table) = root.get("rates").and_then(|node| node.table()) else { return Vec::new() };
    let named = table.named().into_iter();
    named.filter_map(|(name, node)| Some(one_rate(name, &node.table()?, default_basis))).collect()
}

fn one_rate(name: String, table: &Table<'_>, default_basis: Basis) -> (Rate, bool) {
    const HEADERS: &[(RateHeaders, &str)] = &[
        (RateHeaders::None, "none"),
        (RateHeaders::XRateLimit, "x-ratelimit"),
        (RateHeaders::RateLimit, "ratelimit"),
    ];
    let units = table.need("limit").and_then(|node| node.int(1..=1_000_000_000)).unwrap_or(1);
    let window = table.need("window");
    let length = window.as_ref().and_then(|node| node.duration()).unwrap_or(Duration::from_secs(60));
    if let Some(node) = window.filter(|_| length.is_zero()) {
        node.error("a window must be longer than nothing");
    }
    table.text("doc");
    let rate = Rate {
        name,
        per: table.need_word("per", OWNERS, Owner::Key),
        limit: RateLimit { units: u32::try_from(units).unwrap_or(u32::MAX), window: length },
        unit: table.word(
            "unit",
            &[(RateUnit::Request, "request"), (RateUnit::Weight, "weight")],
            RateUnit::Request,
        ),
        headers: table.word("headers", HEADERS, RateHeaders::None),
        basis: table.basis(default_basis),
    };
    let is_default = table.flag("default", false);
    table.finish();
    (rate, is_default)
}
