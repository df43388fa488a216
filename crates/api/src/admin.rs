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

mod publish;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post};

pub use state::{AdminParts, BodyLimits};

use bytes::Bytes;
use tower::ServiceExt;

use crate::body::BodyTrouble;
use problem::Problem;
use publish::PublishRoute;
use state::Admin;

/// Where the admin API lives.
pub const PREFIX: &str = "/admin/v1";

/// The admin API. Publishing comes far more often than all the rest, so its two routes are found before the others.
#[derive(Clone)]
pub struct AdminRouter {
    admin: Arc<Admin>,
    rest: Router,
}

/// The admin API. It answers everything under [`PREFIX`] and nothing else.
pub fn router(parts: AdminParts) -> AdminRouter {
    let admin = Arc::new(Admin::new(parts));
    let mut routes = Router::new();
    for (path, methods) in routes_by_path() {
        // Inside the methods, so that an unknown method is refused before anybody asks who is calling.
        routes = routes.route(path, methods.route_layer(from_fn_with_state(admin.clone(), gate::demand)));
    }
    let inner = routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method())
        .layer(from_fn_with_state(admin.clone(), gate::number))
        .with_state(admin.clone());
    AdminRouter { admin, rest: Router::new().nest(PREFIX, inner) }
}

impl AdminRouter {
    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BodyTrouble> + Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(route) = PublishRoute::of(request.uri().path()) {
            return publish::answer(&self.admin, route, request).await;
        }
        // Boxed, because what is large here would make every request's state as large.
        let answering = Box::pin(self.rest.clone().oneshot(request.map(Body::new)));
        // A router answers every request; its error type has no values.
        answering.await.unwrap_or_else(|never| match never {})
    }
}

fn routes_by_path() -> [(&'static str, MethodRouter<Arc<Admin>>); 15] {
    [
        ("/accounts", get(accounts::list).post(accounts::create)),
        ("/accounts/{account}", get(accounts::get).patch(accounts::update).delete(accounts::delete)),
        ("/accounts/{account}/keys", get(keys::list).post(keys::create)),
        ("/accounts/{account}/keys/{key}", delete(keys::revoke)),
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
