//! Every condition that a request can meet has a status and a code of the contract's own.

use super::Whole;
use crate::model::access::AccessKind;
use crate::model::{Condition, Contract, Op};

pub fn check(whole: &Whole<'_>) {
    let stated = &whole.contract.errors.stated;
    for (condition, why) in reachable(whole.contract) {
        if !stated.contains(&condition) {
            let word = condition.word();
            whole.error(&["errors", "when"], format!("`{word}` is missing: {why}"));
        }
    }
}

fn reachable(contract: &Contract) -> Vec<(Condition, &'static str)> {
    let mut found = vec![
        (Condition::AuthMissing, "every route asks who calls"),
        (Condition::AuthInvalid, "every route asks who calls"),
        (Condition::NotFound, "any path can be asked for"),
        (Condition::Method, "any method can be asked for"),
        (Condition::Internal, "every server can fail"),
        (Condition::Unavailable, "every server can be overloaded"),
    ];
    let has = |op: Op| contract.routes.iter().any(|route| route.op == op);
    if contract.routes.iter().any(|route| route.input.is_some()) {
        found.push((Condition::BadBody, "a route reads a body"));
        found.push((Condition::Invalid, "a route reads a body"));
        found.push((Condition::TooLarge, "a route reads a body"));
    }
    if contract.access.kind != AccessKind::None && contract.routes.iter().any(|route| route.needs.is_some()) {
        found.push((Condition::AccessDenied, "a route has `needs`"));
    }
    if contract.routes.iter().any(|route| !route.rates.is_empty()) {
        found.push((Condition::RateLimited, "a rate applies to a route"));
    }
    if has(Op::WebhookCreate) && contract.limits.max_webhooks.is_some() {
        found.push((Condition::WebhookLimit, "[limits] has a largest number of webhooks"));
    }
    if (has(Op::WebhookCreate) || has(Op::WebhookUpdate)) && contract.limits.unique_url {
        found.push((Condition::DuplicateUrl, "[limits] asks for unique URLs"));
    }
    found
}
