//! The order of checks, the same for every contract and route:
//!
//! 1. the form of the request (the server has looked at it already),
//! 2. route and method,
//! 3. whether the client's address guesses credentials; the credential: there once, known, active; then, for signed
//!    requests, the signature, which needs the body,
//! 4. the rates,
//! 5. what the key may do,
//! 6. the kind of the body, 7. its size, 8. its syntax, 9. its fields (all faults at once),
//! 10. where the URL leads, 11. whether the key is still good, replays of signed writes,
//! 12. equal URLs and the number of webhooks, inside the store's transaction.
//!
//! Steps 2 to 7 are here; 8 to 12 are the handlers', which read their input, admit its URL, ask whether the call is
//! the first of its signature, and go to the store, in that order. The body is not touched before step 3 knows the
//! key, so strangers cannot make us read theirs. A signed body is read, within its limit, before its signature can be
//! checked: one that is too long is refused for that, and so is one too many of a caller's on their way.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method as HttpMethod};
use posthaste_contract::model::{Condition, HmacRequest, Method, Route, Scheme};
use posthaste_contract::{Contract, RouteMatch};
use posthaste_core::{ApiKey, UnixMs};

use super::PublicApi;
use super::answer::Trail;
use super::auth;
use super::awaited;
use super::call::Call;
use super::content;
use super::refusal::Refused;
use crate::body::RequestBody;
use crate::client_address::ClientAddress;
use crate::logins::Door;

/// A body that may have been read already.
enum Pending {
    Unread(RequestBody),
    Read(Bytes),
}

/// Takes a request through the checks.
pub(super) async fn pass<'r>(
    api: &'r PublicApi,
    head: &'r Parts,
    body: RequestBody,
    client: ClientAddress,
    now: UnixMs,
    trail: &mut Trail,
) -> Result<Call<'r>, Refused> {
    let (route, webhook_id, delivery_id) = find(&api.contract, head)?;
    let auth = api.contract.auth.get(route.auth).ok_or(Condition::Internal)?;
    trail.challenge = Some(auth.challenge());
    let limit = api.parts.body_limit_bytes;
    if auth::is_padded(auth, head) {
        return Err(Condition::AuthInvalid.into());
    }

    let steady = api.parts.clock.steady();
    let login = api.parts.logins.begin(Door::Public, client, auth::shown(auth, &head.headers), steady)?;
    let key = match auth::identify(&*api.parts.store, auth, &head.headers, now).await {
        Err(refused) if refused.condition == Condition::AuthInvalid => {
            login.refused()?;
            return Err(refused);
        }
        found => found?,
    };
    let (body, once) = match &auth.scheme {
        Scheme::HmacRequest(rule) => {
            let bytes = read_signed(api, &key, client, body, limit).await?;
            let once = match auth::verify(rule, &key, head, &bytes, now) {
                Err(refused) if refused.condition == Condition::AuthInvalid => {
                    login.refused_proof(auth::proof(rule, &head.headers))?;
                    return Err(refused);
                }
                verified => verified?,
            };
            (Pending::Read(bytes), Some(once).filter(|_| must_be_single(rule, route)))
        }
        _ => (Pending::Unread(body), None),
    };
    login.accepted();
    if let Some((rate, answer)) = api.rates.spend(&api.contract, route, &key, steady) {
        trail.note_rate(rate, &answer, now);
        if !answer.allowed {
            return Err(Refused { retry_in: Some(answer.retry_in), ..Condition::RateLimited.into() });
        }
    }
    if !api.contract.allows(&key, route.needs) {
        return Err(Condition::AccessDenied.into());
    }
    let body = take_body(route, &head.headers, body, limit).await?;
    let query = head.uri.query().unwrap_or_default();
    let request_id = trail.request_id.clone();
    Ok(Call {
        api,
        route,
        head,
        auth,
        key,
        webhook_id,
        delivery_id,
        query,
        body,
        request_id,
        client,
        now,
        once,
    })
}

type Found<'r> = (&'r Route, Option<&'r str>, Option<&'r str>);

fn find<'r>(contract: &'r Contract, head: &'r Parts) -> Result<Found<'r>, Refused> {
    let method = if head.method == HttpMethod::HEAD { "GET" } else { head.method.as_str() };
    match contract.find_route(method, head.uri.path()) {
        RouteMatch::Found { route, webhook, delivery } => {
            let route = contract.routes.get(route).ok_or(Condition::Internal)?;
            Ok((route, webhook, delivery))
        }
        RouteMatch::OtherMethods(known) => Err(other_methods(known)),
        RouteMatch::Unknown if is_common(&head.method) => Err(Condition::NotFound.into()),
        RouteMatch::Unknown => Err(other_methods(Method::WORDS.iter().map(|(method, _)| *method))),
    }
}

/// Methods that some path could know. `TRACE`, `CONNECT` and inventions are refused everywhere.
fn is_common(method: &HttpMethod) -> bool {
    let is_known = Method::WORDS.iter().any(|(_, word)| *word == method.as_str());
    is_known || matches!(*method, HttpMethod::HEAD | HttpMethod::OPTIONS)
}

fn other_methods(known: impl IntoIterator<Item = Method>) -> Refused {
    let known: Vec<Method> = known.into_iter().collect();
    let mut words = Vec::new();
    for (method, word) in Method::WORDS.iter().filter(|(method, _)| known.contains(method)) {
        words.push(*word);
        if *method == Method::Get {
            words.push("HEAD");
        }
    }
    Refused { allow: Some(words.join(", ")), ..Condition::Method.into() }
}

/// The body of a signed request, unless too many of its caller are on their way.
async fn read_signed(
    api: &PublicApi,
    key: &ApiKey,
    client: ClientAddress,
    body: RequestBody,
    limit_bytes: usize,
) -> Result<Bytes, Refused> {
    let Some(_awaited) = api.awaited.begin(key.no, client) else {
        return Err(Refused { retry_in: Some(awaited::PAUSE), ..Condition::RateLimited.into() });
    };
    Ok(body.read(limit_bytes).await?)
}

fn must_be_single(rule: &HmacRequest, route: &Route) -> bool {
    rule.refuses_replays && route.method != Method::Get
}

/// The body, where the route reads one; elsewhere it is not looked at.
async fn take_body(
    route: &Route,
    headers: &HeaderMap,
    body: Pending,
    limit_bytes: usize,
) -> Result<Bytes, Refused> {
    if route.input.is_none() {
        return Ok(Bytes::new());
    }
    if !content::is_json(headers) {
        return Err(Condition::Media.into());
    }
    match body {
        Pending::Read(bytes) => Ok(bytes),
        Pending::Unread(body) => Ok(body.read(limit_bytes).await?),
    }
}
