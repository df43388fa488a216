//! Every route of the admin API, and which scope it needs. A route cannot be written down without one.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use posthaste_core::Scope;

use super::gate::{self, Demand};
use super::publish::PublishRoute;
use super::scopes::RouteShown;
use super::state::Admin;
use super::{accounts, audit, deliveries, events, keys, recovery, secrets, sending, tokens, webhooks};

/// A route with what answers it.
struct Route {
    shown: RouteShown,
    methods: MethodRouter<Arc<Admin>>,
}

fn get<H: Handler<T, Arc<Admin>>, T: 'static>(path: &'static str, needs: Scope, handler: H) -> Route {
    route("GET", MethodFilter::GET, path, needs, handler)
}

fn post<H: Handler<T, Arc<Admin>>, T: 'static>(path: &'static str, needs: Scope, handler: H) -> Route {
    route("POST", MethodFilter::POST, path, needs, handler)
}

fn patch<H: Handler<T, Arc<Admin>>, T: 'static>(path: &'static str, needs: Scope, handler: H) -> Route {
    route("PATCH", MethodFilter::PATCH, path, needs, handler)
}

fn delete<H: Handler<T, Arc<Admin>>, T: 'static>(path: &'static str, needs: Scope, handler: H) -> Route {
    route("DELETE", MethodFilter::DELETE, path, needs, handler)
}

fn route<H: Handler<T, Arc<Admin>>, T: 'static>(
    method: &'static str,
    filter: MethodFilter,
    path: &'static str,
    needs: Scope,
    handler: H,
) -> Route {
    Route { shown: RouteShown { method, path, needs }, methods: on(filter, handler) }
}

/// All but publishing, which has a way of its own.
fn routes() -> Vec<Route> {
    use Scope::{Full, Read};
    vec![
        get("/accounts", Read, accounts::list),
        post("/accounts", Full, accounts::create),
        get("/accounts/{account}", Read, accounts::get),
        patch("/accounts/{account}", Full, accounts::update),
        delete("/accounts/{account}", Full, accounts::delete),
        get("/accounts/{account}/keys", Read, keys::list),
        post("/accounts/{account}/keys", Full, keys::create),
        delete("/accounts/{account}/keys/{key}", Full, keys::revoke),
        get("/events/{event}", Read, events::get),
        get("/accounts/{account}/webhooks", Read, webhooks::list),
        get("/accounts/{account}/webhooks/{webhook}", Read, webhooks::get),
        post("/accounts/{account}/webhooks/{webhook}/pause", Full, webhooks::pause),
        post("/accounts/{account}/webhooks/{webhook}/resume", Full, webhooks::resume),
        post("/accounts/{account}/webhooks/{webhook}/rotate-secret", Full, webhooks::rotate_secret),
        post("/accounts/{account}/webhooks/{webhook}/test", Full, webhooks::test),
        get("/accounts/{account}/webhooks/{webhook}/deliveries", Read, deliveries::list),
        post("/accounts/{account}/webhooks/{webhook}/recover", Full, recovery::recover),
        get("/deliveries/{delivery}", Read, deliveries::get),
        post("/deliveries/{delivery}/retry", Full, deliveries::retry),
        get("/secrets", Read, secrets::get),
        post("/secrets/rotate", Full, secrets::rotate),
        get("/sending", Read, sending::get),
        post("/sending/release", Full, sending::release),
        get("/tokens", Full, tokens::list),
        post("/tokens", Full, tokens::create),
        delete("/tokens/{token}", Full, tokens::revoke),
        get("/audit", Full, audit::list),
    ]
}

/// Every route, publishing too.
#[must_use]
pub fn routes_shown() -> Vec<RouteShown> {
    let publishing = PublishRoute::ALL.map(PublishRoute::shown);
    publishing.into_iter().chain(routes().into_iter().map(|route| route.shown)).collect()
}

/// The routes but publishing. Who asks is looked at inside the methods, so that an unknown method is refused before.
pub(crate) fn router(admin: &Arc<Admin>) -> Router<Arc<Admin>> {
    routes().into_iter().fold(Router::new(), |router, Route { shown, methods }| {
        let demand = Demand { admin: admin.clone(), needs: shown.needs };
        router.route(shown.path, methods.route_layer(from_fn_with_state(demand, gate::demand)))
    })
}
