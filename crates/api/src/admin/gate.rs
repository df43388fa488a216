//! What every request passes on its way in and out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use posthaste_core::{Actor, Scope, Secret};

use super::caller::{Caller, RequestId};
use super::problem::{self, Problem};
use super::state::Admin;
use super::token::{NAMED_PREFIX, bearer, credentials, customer_keys};
use crate::client_address::ClientAddress;
use crate::logins::Door;
use crate::padding::Padded;

/// Lets through who shows the operator's token or a named one that covers what is needed. The one place where a
/// credential of this API is judged.
pub(crate) async fn check(
    admin: &Admin,
    headers: &HeaderMap,
    extensions: &Extensions,
    client: ClientAddress,
    needs: Scope,
) -> Result<Actor, Problem> {
    if extensions.get().is_some_and(|padded: &Padded| padded.has(AUTHORIZATION.as_str())) {
        // With blanks behind it, which the HTTP library took away, it is not the token we gave.
        return Err(Problem::unauthorized());
    }
    let shown = credentials(&admin.contract, headers);
    let login = admin.logins.begin(Door::Admin, client, shown, admin.clock.steady())?;
    if let Some((actor, scope)) = identify(admin, headers).await? {
        login.accepted();
        return if scope.covers(needs) { Ok(actor) } else { Err(Problem::forbidden(needs)) };
    }
    for key in customer_keys(&admin.contract, headers) {
        if admin.store.find_key(&Secret::from(key.to_owned())).await?.is_some() {
            // For the product's customers there is no admin API.
            return Err(Problem::not_found());
        }
    }
    login.refused()?;
    Err(Problem::unauthorized())
}

/// Is who was let in still good, now that the body is here? A named token may have ended while it was on its way; the
/// operator's is good for as long as the server runs.
pub(crate) async fn still_good(admin: &Admin, headers: &HeaderMap, actor: &Actor) -> Result<(), Problem> {
    if matches!(actor, Actor::Operator) || identify(admin, headers).await?.is_some() {
        return Ok(());
    }
    Err(Problem::unauthorized())
}

/// Whose the token is, and what it may do; `None` for one that is unknown, revoked or expired.
async fn identify(admin: &Admin, headers: &HeaderMap) -> Result<Option<(Actor, Scope)>, Problem> {
    let Some(shown) = bearer(headers) else { return Ok(None) };
    if admin.token.is_met_by(shown) {
        return Ok(Some((Actor::Operator, Scope::Full)));
    }
    if !shown.starts_with(NAMED_PREFIX) {
        return Ok(None);
    }
    let now = admin.clock.now();
    let found = admin.store.find_token(&Secret::from(shown.to_owned()), now).await?;
    Ok(found.filter(|token| token.is_active(now)).map(|token| {
        (Actor::Token { id: token.id.as_str().into(), name: token.name.as_str().into() }, token.scope)
    }))
}

/// What a route demands of whoever asks.
#[derive(Clone)]
pub(crate) struct Demand {
    pub admin: Arc<Admin>,
    pub needs: Scope,
}

/// [`check`] before what a route does.
pub(crate) async fn demand(
    State(Demand { admin, needs }): State<Demand>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let client = request.extensions().get().copied().unwrap_or(ClientAddress::UNKNOWN);
    let actor = check(&admin, request.headers(), request.extensions(), client, needs).await?;
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    request.extensions_mut().insert(Caller { actor, request_id, client });
    Ok(next.run(request).await)
}

/// The id of a request, given to it before anything else.
pub(crate) fn new_id(admin: &Admin) -> String {
    admin.contract.ids.request.random(admin.clock.now(), &*admin.dice)
}

/// Writes a request's id into its answer, and into what is refused.
pub(crate) fn with_id(response: Response, id: &str) -> Response {
    let mut response = problem::written(response, id);
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// Gives each request an id.
pub(crate) async fn number(State(admin): State<Arc<Admin>>, mut request: Request, next: Next) -> Response {
    let id = new_id(&admin);
    request.extensions_mut().insert(RequestId(id.as_str().into()));
    with_id(next.run(request).await, &id)
}
