//! Lists in parts.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_store::{PageCursor, Slice};
use serde::Serialize;

use super::problem::Problem;
use super::state::Admin;
use crate::publishing::MemberFault;

/// Items in a part unless the caller says otherwise.
const LIMIT_DEFAULT: usize = 50;
/// The most items in a part.
const LIMIT_MAX: usize = 200;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paging {
    /// Where it begins; `None` at the list's beginning.
    pub from: Option<PageCursor>,
    /// The most items.
    pub limit: usize,
}

/// A part of a list.
#[derive(Serialize)]
pub(crate) struct Page<T> {
    data: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// A part of a list whose next part begins at `next`.
    pub fn new(data: Vec<T>, next: Option<PageCursor>) -> Self {
        Self { data, next: next.map(spell) }
    }

    /// A part of a list as the store has it.
    pub fn of<S>(slice: Slice<S>, show: impl FnMut(S) -> T) -> Self {
        Self::new(slice.items.into_iter().map(show).collect(), slice.next)
    }
}

impl Paging {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut paging = Self { from: None, limit: LIMIT_DEFAULT };
        let mut faults = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let detail = match name.as_ref() {
                "limit" => match limit(&value) {
                    Some(limit) => {
                        paging.limit = limit;
                        continue;
                    }
                    None => format!("limit must be a whole number from 1 to {LIMIT_MAX}"),
                },
                "cursor" => match unspell(&value) {
                    Some(cursor) => {
                        paging.from = Some(cursor);
                        continue;
                    }
                    None => "cursor must be the next of an earlier part of this list".to_owned(),
                },
                _ => continue,
            };
            faults.push(MemberFault { pointer: name.into_owned(), detail });
        }
        if faults.is_empty() { Ok(paging) } else { Err(Problem::invalid(faults)) }
    }
}

impl FromRequestParts<Arc<Admin>> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Admin>) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

fn limit(text: &str) -> Option<usize> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| is_plain && (1..=LIMIT_MAX).contains(limit))
}

pub(crate) fn spell(cursor: PageCursor) -> String {
    URL_SAFE_NO_PAD.encode([cursor.0.to_be_bytes(), cursor.1.to_be_bytes()].as_flattened())
}

pub(crate) fn unspell(text: &str) -> Option<PageCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (first, second) = bytes.split_first_chunk()?;
    Some(PageCursor(i64::from_be_bytes(*first), i64::from_be_bytes(second.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        for cursor in [PageCursor(0, 0), PageCursor(i64::MAX, i64::MIN), PageCursor(-1, 7)] {
            assert_eq!(unspell(&spell(cursor)), Some(cursor));
        }
    }

    #[test]
    fn queries_are_read_or_refused() {
        for (query, limit) in [("", Some(50)), ("limit=1", Some(1)), ("limit=200&x=y", Some(200))] {
            assert_eq!(Paging::read(query).ok().map(|paging| paging.limit), limit, "{query}");
        }
        for query in [
            "limit=0",
            "limit=201",
            "limit=",
            "limit=%2B1",
            "limit=1e1",
            "limit=99999999999999999999",
            "cursor=",
            "cursor=AAAA",
            "cursor=%00",
        ] {
            assert!(Paging::read(query).is_err(), "{query}");
        }
    }
}
