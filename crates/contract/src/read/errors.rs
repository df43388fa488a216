//! The error view, and status and code of every condition.

use super::Names;
use super::node::{Node, Table};
use crate::model::errors::{Condition, ErrorRule, Errors};

/// Conditions that a contract need not name, with what stands in: a status, and the condition whose code is taken.
const STAND_INS: &[(Condition, u16, Condition)] = &[
    (Condition::AuthSkew, 401, Condition::AuthInvalid),
    (Condition::AuthReplay, 401, Condition::AuthInvalid),
    (Condition::AuthInactive, 401, Condition::AuthInvalid),
    (Condition::QuotaExceeded, 429, Condition::RateLimited),
    (Condition::Media, 415, Condition::BadBody),
    (Condition::Conflict, 409, Condition::Invalid),
    (Condition::Idempotency, 409, Condition::Invalid),
    (Condition::Timeout, 408, Condition::BadBody),
    // The following are asked for where a request can meet them.
    (Condition::AccessDenied, 403, Condition::AuthInvalid),
    (Condition::RateLimited, 429, Condition::Unavailable),
    (Condition::DuplicateUrl, 409, Condition::Invalid),
    (Condition::WebhookLimit, 409, Condition::Invalid),
    (Condition::TooLarge, 413, Condition::BadBody),
    (Condition::BadBody, 400, Condition::Invalid),
    (Condition::Invalid, 400, Condition::NotFound),
];

pub fn errors(root: &Table<'_>, names: &Names) -> Errors {
    let mut stated: Vec<(Condition, ErrorRule)> = Vec::new();
    let mut made = Errors {
        view: 0,
        content_type: "application/json".to_owned(),
        rules: Vec::new(),
        stated: Vec::new(),
    };
    if let Some(table) = root.need("errors").and_then(|node| node.table()) {
        made.view =
            table.need("view").and_then(|node| node.reference("view", &names.views)).unwrap_or_default();
        if let Some(media_type) = table.str("content_type") {
            made.content_type = media_type;
        }
        if let Some(when) = table.need("when").and_then(|node| node.table()) {
            stated = when.named().iter().filter_map(|(name, node)| one_rule(name, node)).collect();
        }
        table.finish();
    }
    made.stated = stated.iter().map(|(condition, _)| *condition).collect();
    made.rules = Condition::WORDS.iter().map(|(condition, _)| rule_for(*condition, &stated)).collect();
    made
}

fn one_rule(name: &str, node: &Node<'_>) -> Option<(Condition, ErrorRule)> {
    let Some((condition, _)) = Condition::WORDS.iter().find(|(_, word)| *word == name) else {
        let known: Vec<&str> = Condition::WORDS.iter().map(|(_, word)| *word).collect();
        let meant = super::nearest::nearest(name, known.iter().copied());
        node.report.unknown(&node.span, &node.path, format!("there is no condition `{name}`"), meant);
        return None;
    };
    let table = node.table()?;
    let status = table.need("status").and_then(|node| node.int(400..=599)).unwrap_or(500);
    let waits = waiting_helps(*condition);
    let says_when = table.get("retry_after").and_then(|node| node.bool());
    if status == 429 && says_when.is_none() && !waits {
        table.warning("a 429 without Retry-After; say `retry_after = false` if waiting does not help");
    }
    if status == 429 && says_when == Some(false) && waits {
        table.warning("a 429 without Retry-After: callers cannot know how long to wait");
    }
    let rule = ErrorRule {
        status: u16::try_from(status).unwrap_or(500),
        code: table.need_str("code"),
        message: table.str("message"),
        retry_after: says_when.unwrap_or(waits),
    };
    table.finish();
    Some((*condition, rule))
}

fn waiting_helps(condition: Condition) -> bool {
    matches!(condition, Condition::RateLimited | Condition::QuotaExceeded | Condition::Unavailable)
}

fn rule_for(condition: Condition, stated: &[(Condition, ErrorRule)]) -> ErrorRule {
    if let Some((_, rule)) = stated.iter().find(|(known, _)| *known == condition) {
        return rule.clone();
    }
    let stand_in = STAND_INS.iter().find(|(known, ..)| *known == condition);
    let (status, code) = match stand_in {
        Some((_, status, like)) => (*status, rule_for(*like, stated).code),
        None => (500, String::new()),
    };
    ErrorRule { status, code, message: None, retry_after: waiting_helps(condition) }
}
