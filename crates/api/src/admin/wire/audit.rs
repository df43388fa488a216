//! Named tokens and the audit log.

use posthaste_core::{Change, Details, Scope, Token};
use serde::Serialize;

use super::{maybe, spelled};

/// A named token without its text.
#[derive(Serialize)]
pub(crate) struct TokenShown {
    id: String,
    name: String,
    scope: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<Token> for TokenShown {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            scope: token.scope.word(),
            created_at: spelled(token.created_at),
            expires_at: maybe(token.expires_at),
            revoked_at: maybe(token.revoked_at),
            last_used_at: maybe(token.last_used_at),
        }
    }
}

/// A new token with its text: the one answer that shows it.
#[derive(Serialize)]
pub(crate) struct NewTokenShown<'a> {
    #[serde(flatten)]
    pub about: TokenShown,
    pub token: &'a str,
}

/// A row of the audit log.
#[derive(Serialize)]
pub(crate) struct ChangeShown {
    seq: i64,
    at: String,
    actor: ActorShown,
    action: &'static str,
    account: Option<String>,
    object: ObjectShown,
    details: DetailsShown,
    address: Option<String>,
    request_id: Option<String>,
}

#[derive(Serialize)]
struct ActorShown {
    kind: &'static str,
    id: Option<String>,
    name: Option<String>,
}

#[derive(Serialize)]
struct ObjectShown {
    kind: &'static str,
    id: String,
}

/// Only what there is to tell.
#[derive(Serialize)]
struct DetailsShown {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

impl From<Details> for DetailsShown {
    fn from(details: Details) -> Self {
        let Details { fields, count, reason, name, scope } = details;
        Self { fields, count, reason, name, scope: scope.map(Scope::word) }
    }
}

impl From<Change> for ChangeShown {
    fn from(change: Change) -> Self {
        let Change { no, by, action, account, details } = change;
        let text = |part: Option<&str>| part.map(str::to_owned);
        Self {
            seq: no,
            at: spelled(by.at),
            actor: ActorShown { kind: by.actor.kind(), id: text(by.actor.id()), name: text(by.actor.name()) },
            action: action.word(),
            account,
            object: ObjectShown {
                kind: action.object_kind(),
                id: text(by.object.as_deref()).unwrap_or_default(),
            },
            details: details.into(),
            address: by.address.map(|address| address.to_string()),
            request_id: text(by.request_id.as_deref()),
        }
    }
}
