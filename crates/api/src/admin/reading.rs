//! Reading request bodies and paths.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body::Body;
use posthaste_contract::json::{self, Value};
use posthaste_core::{Actor, UnixMs};
use serde::de::DeserializeOwned;

use super::caller::Caller;
use super::gate::still_good;
use super::problem::{Kind, Problem};
use super::state::Admin;
use crate::body::{BodyTrouble, read_whole};
use crate::publishing::MemberFault;

/// Media types of one JSON document.
const JSON: &[&str] = &["application/json"];
/// Media types of many.
const JSON_OR_LINES: &[&str] =
    &["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"];

/// How many unknown members an answer names.
const UNKNOWN_NAMED_MAX: usize = 16;

/// The names in a path. A path that cannot be read leads nowhere.
pub(crate) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Admin>> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let Path(names) = Path::from_request_parts(parts, admin).await.map_err(|_| Problem::not_found())?;
        Ok(Self(names))
    }
}

/// A JSON body, unread.
pub(crate) struct JsonBody(pub Bytes);

impl FromRequest<Arc<Admin>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let caller: &Caller = head.extensions.get().ok_or_else(Problem::unauthorized)?;
        read_event(&head.headers, body, admin, &caller.actor).await.map(Self)
    }
}

/// The body with one event, or any other JSON, from somebody whose token was still good when it had come.
pub(crate) async fn read_event<B>(
    headers: &HeaderMap,
    body: B,
    admin: &Admin,
    actor: &Actor,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    let body = take(headers, body, JSON, admin.limits.event_bytes).await?;
    still_good(admin, headers, actor).await?;
    Ok(body)
}

/// The body with many events, in the same way.
pub(crate) async fn read_events<B>(
    headers: &HeaderMap,
    body: B,
    admin: &Admin,
    actor: &Actor,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    let body = take(headers, body, JSON_OR_LINES, admin.limits.batch_bytes).await?;
    still_good(admin, headers, actor).await?;
    Ok(body)
}

async fn take<B>(headers: &HeaderMap, body: B, kinds: &[&str], limit_bytes: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    check_media(headers, kinds)?;
    read_whole(body, limit_bytes).await.map_err(|trouble| refused(trouble, limit_bytes))
}

/// A body without a media type is taken for what is expected.
fn check_media(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Problem> {
    let refused = |detail: String| Problem::new(Kind::Media, detail);
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(refused("Compressed bodies are not read.".to_owned()));
    }
    let mut named = headers.get_all(CONTENT_TYPE).iter();
    let is_known = match (named.next(), named.next()) {
        (None, _) => true,
        (Some(only), None) => only.to_str().is_ok_and(|text| {
            let essence = text.split(';').next().unwrap_or_default().trim();
            kinds.iter().any(|kind| essence.eq_ignore_ascii_case(kind))
        }),
        (Some(_), Some(_)) => false,
    };
    if is_known { Ok(()) } else { Err(refused(format!("The body must be {}.", kinds.join(" or ")))) }
}

fn refused(trouble: BodyTrouble, limit_bytes: usize) -> Problem {
    match trouble {
        BodyTrouble::TooLong => {
            Problem::new(Kind::TooLarge, format!("The body may have at most {limit_bytes} bytes."))
        }
        BodyTrouble::TooSlow => Problem::new(Kind::Timeout, "The body did not arrive in time."),
        BodyTrouble::Broken => Problem::new(Kind::BadBody, "The body broke off."),
    }
}

/// The members of a small JSON object, taken one after the other; faults are gathered.
pub(crate) struct Members<'a> {
    left: Vec<(Cow<'a, str>, Value<'a>)>,
    faults: Vec<MemberFault>,
}

/// What a body says about a member.
pub(crate) enum Said<T> {
    /// Nothing.
    Nothing,
    /// That it is null.
    Null,
    /// This.
    This(T),
}

impl<T> Said<T> {
    /// What was said, null being nothing.
    pub fn this(self) -> Option<T> {
        match self {
            Self::This(value) => Some(value),
            Self::Nothing | Self::Null => None,
        }
    }
}

impl<'a> Members<'a> {
    /// Reads an object; nothing at all is an empty one where `may_be_empty`.
    pub fn read(body: &'a [u8], may_be_empty: bool) -> Result<Self, Problem> {
        if may_be_empty && body.is_empty() {
            return Ok(Self { left: Vec::new(), faults: Vec::new() });
        }
        match json::parse(body) {
            Ok(Value::Object(left)) => Ok(Self { left, faults: Vec::new() }),
            Ok(_) => Err(Problem::new(Kind::BadBody, "The body must be a JSON object.")),
            Err(fault) => Err(Problem::new(Kind::BadBody, format!("The body is not sound JSON: {fault}."))),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.swap_remove(at).1)
    }

    fn said<T>(&mut self, name: &str, expected: &str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Said<T> {
        match self.take(name) {
            None => Said::Nothing,
            Some(Value::Null) => Said::Null,
            Some(value) => match read(value) {
                Some(value) => Said::This(value),
                None => {
                    self.refuse(name, format!("{name} must be {expected}"));
                    Said::Nothing
                }
            },
        }
    }

    /// Notes that a member breaks a rule.
    pub fn refuse(&mut self, name: &str, detail: String) {
        self.faults.push(MemberFault::at(name, detail));
    }

    /// Notes that a member is missing, unless it is there and wrong.
    pub fn require(&mut self, name: &str) {
        let fault = MemberFault::at(name, format!("{name} is missing"));
        if !self.faults.iter().any(|known| known.pointer == fault.pointer) {
            self.faults.push(fault);
        }
    }

    /// A text of at most `max` characters.
    pub fn text(&mut self, name: &str, max: usize) -> Said<String> {
        self.said(name, &format!("a string of at most {max} characters"), |value| {
            let text = value.as_str()?;
            (text.chars().count() <= max && !text.contains('\0')).then(|| text.to_owned())
        })
    }

    /// A list of words.
    pub fn words(&mut self, name: &str, max: usize) -> Vec<String> {
        let read = self.said(name, &format!("a list of at most {max} strings"), |value| match value {
            Value::Array(items) if items.len() <= max => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        });
        read.this().unwrap_or_default()
    }

    /// `true` or `false`; `false` if nothing is said.
    pub fn flag(&mut self, name: &str) -> bool {
        let read = self.said(name, "true or false", |value| match value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        });
        read.this().unwrap_or(false)
    }

    /// A time.
    pub fn time(&mut self, name: &str) -> Option<UnixMs> {
        let expected = "an RFC 3339 time with its offset";
        self.said(name, expected, |value| UnixMs::parse_rfc3339(value.as_str()?)).this()
    }

    /// A whole number from 0 to `max`.
    pub fn number(&mut self, name: &str, max: u64) -> Option<u64> {
        let read = self.said(name, &format!("a whole number from 0 to {max}"), |value| match value {
            Value::Number(text) => text.parse().ok().filter(|number| *number <= max),
            _ => None,
        });
        read.this()
    }

    /// Ends the reading: whatever is left has no meaning here.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.left).iter().take(UNKNOWN_NAMED_MAX) {
            let shown: String = name.chars().take(64).collect();
            self.refuse(&shown, "no member of this body has this name".to_owned());
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}
