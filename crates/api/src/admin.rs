//! The admin API under `/admin/v1`: the product's own side, never shown to its customers.
//!
//! A request gets an id and finds its route; then the token is looked at, then the body's kind, size and form, and only
//! then what it asks for. Everything refused is a problem document.

mod problem;

mod token;

mod state;

mod gate;
mod paging;
mod reading;
mod wire;

mod batch;
mod fate;

mod accounts;
mod deliveries;
mod events;
mod keys;
mod recovery;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

pub use state::{AdminParts, BodyLimits};

use problem::{Kind, Problem};
use state::Admin;

/// Where the admin API lives.
pub const PREFIX: &str = "/admin/v1";

/// The admin API. It answers everything under [`PREFIX`] and nothing else.
pub fn router(parts: AdminParts) -> Router {
    let admin = Arc::new(Admin::new(parts));
    let mut routes = Router::new();
    for (path, methods) in routes_by_path() {
        // Inside the methods, so that an unknown method is refused before anybody asks who is calling.
        routes = routes.route(path, methods.route_layer(from_fn_with_state(admin.clone(), gate::demand)));
    }
    let inner = routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::Method, "The header Allow names the methods.")
        })
        .layer(from_fn_with_state(admin.clone(), gate::number))
        .with_state(admin);
    Router::new().nest(PREFIX, inner)
}

fn routes_by_path() -> [(&'static str, MethodRouter<Arc<Admin>>); 17] {
    [
        ("/accounts", get(accounts::list).post(accounts::create)),
        ("/accounts/{account}", get(accounts::get).patch(accounts::update).delete(accounts::delete)),
        ("/accounts/{account}/keys", get(keys::list).post(keys::create)),
        ("/accounts/{account}/keys/{key}", delete(keys::revoke)),
        ("/events", post(events::publish)),
        ("/events/batch", post(events::publish_batch)),
        ("/events/{event}", get(events::get)),
        ("/accounts/{account}/webhooks", get(webhooks::list)),
        ("/accounts/{account}/webhooks/{webhook}", get(webhooks::get)),
        ("/accounts/{account}/webhooks/{webhook}/pause", post(webhooks::pause)),
        ("/accounts/{account}/webhooks/{webhook}/resume", post(webhooks::resume)),
        ("/accounts/{account}/webhooks/{webhook}/rotate-secret", post(webhooks::rotate_secret)),
        ("/accounts/{account}/webhooks/{webhook}/test", post(webhooks::test)),
        ("/accounts/{account}/webhooks/{webhook}/deliveries", get(deliveries::list)),
        ("/accounts/{account}/webhooks/{webhook}/recover", post(recovery::recover)),
        ("/deliveries/{delivery}", get(deliveries::get)),
        ("/deliveries/{delivery}/retry", post(deliveries::retry)),
    ]
}
