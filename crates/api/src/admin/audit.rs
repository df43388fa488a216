//! The audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use posthaste_core::{Action, Actor, UnixMs};
use posthaste_store::ChangeFilter;

use super::paging::{Page, Paging};
use super::problem::Problem;
use super::state::{Admin, Shared};
use super::wire::ChangeShown;
use crate::publishing::MemberFault;

/// The longest id or name that is looked for.
const WORD_MAX_CHARS: usize = 255;

/// Which changes are wanted.
pub(crate) struct Wanted(ChangeFilter);

impl Wanted {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut filter = ChangeFilter::default();
        let mut faults = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if let Err(detail) = put(&mut filter, &name, &value) {
                faults.push(MemberFault { pointer: name.into_owned(), detail });
            }
        }
        if faults.is_empty() { Ok(Self(filter)) } else { Err(Problem::invalid(faults)) }
    }
}

/// One parameter; those that are none of the filter's say nothing to it.
fn put(filter: &mut ChangeFilter, name: &str, value: &str) -> Result<(), String> {
    let word = || {
        let is_word = !value.is_empty() && value.chars().count() <= WORD_MAX_CHARS && !value.contains('\0');
        is_word
            .then(|| value.to_owned())
            .ok_or_else(|| format!("{name} must have 1 to {WORD_MAX_CHARS} characters"))
    };
    let time = || {
        UnixMs::parse_rfc3339(value).ok_or_else(|| format!("{name} must be an RFC 3339 time with its offset"))
    };
    match name {
        "account" => filter.account = Some(word()?),
        "actor" => match Actor::KINDS.iter().find(|kind| **kind == value) {
            Some(kind) => filter.actor_kind = Some(*kind),
            None => filter.actor = Some(word()?),
        },
        "action" => {
            let action = Action::from_word(value);
            filter.action =
                Some(action.ok_or("action must be one of the log's actions, such as webhook.updated")?);
        }
        "since" => filter.since = Some(time()?),
        "until" => filter.until = Some(time()?),
        _ => {}
    }
    Ok(())
}

impl FromRequestParts<Arc<Admin>> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Admin>) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

/// `GET /audit`, newest first.
pub(crate) async fn list(
    State(admin): Shared,
    Wanted(filter): Wanted,
    paging: Paging,
) -> Result<Json<Page<ChangeShown>>, Problem> {
    let slice = admin.store.changes(filter, paging.from, paging.limit).await?;
    Ok(Json(Page::of(slice, ChangeShown::from)))
}
