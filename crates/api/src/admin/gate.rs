//! What every request passes on its way in and out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use posthaste_core::Secret;

use super::problem::{self, Kind, Problem};
use super::state::Admin;
use super::token::{bearer, customer_keys};

/// Lets only the operator through.
pub(crate) async fn check(admin: &Admin, headers: &HeaderMap) -> Result<(), Problem> {
    if bearer(headers).is_some_and(|token| admin.token.is_met_by(token)) {
        return Ok(());
    }
    for key in customer_keys(&admin.contract, headers) {
        if admin.store.find_key(&Secret::from(key.to_owned())).await?.is_some() {
            // For the product's customers there is no admin API.
            return Err(Problem::not_found());
        }
    }
    Err(Problem::new(Kind::Unauthorized, "Send the admin token as Authorization: Bearer TOKEN."))
}

/// [`check`] before what a route does.
pub(crate) async fn demand(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    check(&admin, request.headers()).await?;
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
pub(crate) async fn number(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let id = new_id(&admin);
    with_id(next.run(request).await, &id)
}
