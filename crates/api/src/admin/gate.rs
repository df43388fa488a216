//! What every request passes on its way in and out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use posthaste_core::Secret;

use super::problem::{self, Kind, Problem};
use super::state::Admin;
use super::token::{bearer, customer_keys};

/// Lets only the operator through.
pub(crate) async fn demand(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if bearer(request.headers()).is_some_and(|token| admin.token.is_met_by(token)) {
        return Ok(next.run(request).await);
    }
    for key in customer_keys(&admin.contract, request.headers()) {
        if admin.store.find_key(&Secret::from(key.to_owned())).await?.is_some() {
            // For the product's customers there is no admin API.
            return Err(Problem::not_found());
        }
    }
    Err(Problem::new(Kind::Unauthorized, "Send the admin token as Authorization: Bearer TOKEN."))
}

/// Gives each request an id, and writes it into what is refused.
pub(crate) async fn number(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let id = admin.contract.ids.request.random(admin.clock.now(), &*admin.dice);
    let mut response = problem::written(next.run(request).await, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
