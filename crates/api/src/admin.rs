//! The admin API under `/admin/v1`: the product's own side, never shown to its customers.
//!
//! A request gets an id and finds its route; then the token is looked at and its scope, then the body's kind, size and form, and only
//! then what it asks for. Everything refused is a problem document.

mod problem;

mod token;

mod state;

mod caller;
mod gate;
mod paging;
mod reading;
mod wire;

mod batch;
mod fate;

mod accounts;
mod audit;
mod deliveries;
mod events;
mod keys;
mod recovery;
mod secrets;
mod sending;
mod tokens;
mod webhooks;

mod scopes;

mod publish;

mod routes;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::middleware::from_fn_with_state;

pub use routes::routes_shown;
pub use scopes::RouteShown;
pub use state::{AdminParts, BodyLimits};

use bytes::Bytes;
use tower::ServiceExt;

use crate::body::BodyTrouble;
use crate::client_address::ClientAddress;
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
    let inner = routes::router(&admin)
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method())
        .with_state(admin.clone());
    // Around it all, since the prefix alone, and what stands beside it, lead past the routes inside.
    let rest = Router::new()
        .nest(PREFIX, inner)
        .fallback(async || Problem::not_found())
        .layer(from_fn_with_state(admin.clone(), gate::number));
    AdminRouter { admin, rest }
}

impl AdminRouter {
    /// Answers one request of this client, whose address handlers find among its extensions.
    pub async fn answer<B>(&self, mut request: Request<B>, client: ClientAddress) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<BodyTrouble> + Into<axum::BoxError>> + Send + 'static,
    {
        if let Some(route) = PublishRoute::of(request.uri().path()) {
            return publish::answer(&self.admin, route, request, client).await;
        }
        request.extensions_mut().insert(client);
        // Boxed, because what is large here would make every request's state as large.
        let answering = Box::pin(self.rest.clone().oneshot(request.map(Body::new)));
        // A router answers every request; its error type has no values.
        answering.await.unwrap_or_else(|never| match never {})
    }
}
