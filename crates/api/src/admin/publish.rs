//! Publishing: one event, or many at a time. Every product's every event passes here.

use axum::Json;
use axum::http::header::{ALLOW, HeaderValue};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Body;
use posthaste_core::{Actor, Scope};
use serde::Serialize;

use super::PREFIX;
use super::batch;
use super::gate;
use super::problem::{Problem, ProblemDocument};
use super::reading::{read_event, read_events};
use super::scopes::RouteShown;
use super::state::Admin;
use super::wire::AcceptedShown;
use crate::body::BodyTrouble;
use crate::client_address::ClientAddress;
use crate::publishing::{Accepted, MemberFault, PublishFault};

/// The publisher's own id of an event, in a header.
const KEY_HEADER: &str = "idempotency-key";

/// Which of the routes a path is.
#[derive(Clone, Copy)]
pub(crate) enum PublishRoute {
    /// `/events`
    One,
    /// `/events/batch`
    Many,
}

impl PublishRoute {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Many];

    fn path(self) -> &'static str {
        match self {
            Self::One => "/events",
            Self::Many => "/events/batch",
        }
    }

    /// As it is promised.
    pub fn shown(self) -> RouteShown {
        RouteShown { method: "POST", path: self.path(), needs: Scope::Publish }
    }

    pub fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix(PREFIX)?;
        Self::ALL.into_iter().find(|route| route.path() == path)
    }
}

/// Answers a request to one of the routes, in the order of checks of all the others.
pub(crate) async fn answer<B>(
    admin: &Admin,
    route: PublishRoute,
    request: Request<B>,
    client: ClientAddress,
) -> Response
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    let id = gate::new_id(admin);
    if request.method() != Method::POST {
        let mut refusal = Problem::method().into_response();
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return gate::with_id(refusal, &id);
    }
    let (head, body) = request.into_parts();
    let let_in = gate::check(admin, &head.headers, &head.extensions, client, Scope::Publish).await;
    let outcome = match (let_in, route) {
        (Err(problem), _) => Err(problem),
        (Ok(actor), PublishRoute::One) => one(admin, &head.headers, &actor, body).await,
        (Ok(actor), PublishRoute::Many) => many(admin, &head.headers, &actor, body).await,
    };
    gate::with_id(outcome.into_response(), &id)
}

/// `POST /events`
async fn one<B>(admin: &Admin, headers: &HeaderMap, actor: &Actor, body: B) -> Result<Response, Problem>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    let body = read_event(headers, body, admin, actor).await?;
    let ask = admin.publisher.read(&body, header_key(headers)?)?;
    posthaste_faults::point("api.event-read");
    let accepted = admin.publisher.publish(ask).await?;
    posthaste_faults::point("api.event-stored");
    Ok((StatusCode::ACCEPTED, Json(AcceptedShown::from(accepted))).into_response())
}

/// The header's value, which may stand there once.
fn header_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let refused = |why: &str| {
        let detail = format!("the header Idempotency-Key {why}");
        Problem::invalid(vec![MemberFault { pointer: "Idempotency-Key".to_owned(), detail }])
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| refused("may hold only visible ASCII characters"))
        }
        (Some(_), Some(_)) => Err(refused("may be there only once")),
    }
}

/// `POST /events/batch`
async fn many<B>(admin: &Admin, headers: &HeaderMap, actor: &Actor, body: B) -> Result<Response, Problem>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    let body = read_events(headers, body, admin, actor).await?;
    if headers.contains_key(KEY_HEADER) {
        let detail = "a batch takes no Idempotency-Key; give each event an id of its own".to_owned();
        return Err(Problem::invalid(vec![MemberFault { pointer: "Idempotency-Key".to_owned(), detail }]));
    }
    let limit = admin.limits.event_bytes;
    let items = batch::items(&body)?;
    let read = |item| short_enough(item, limit).and_then(|item| admin.publisher.read(item, None));
    let asks = items.into_iter().map(read).collect();
    let outcomes = admin.publisher.publish_all(asks).await?;
    posthaste_faults::point("api.batch-stored");
    let told: Vec<Result<AcceptedShown, Problem>> = outcomes.into_iter().map(told).collect();
    let events = told.iter().map(ItemShown::from).collect();
    Ok((StatusCode::ACCEPTED, Json(BatchShown { events })).into_response())
}

fn short_enough(item: &[u8], limit_bytes: usize) -> Result<&[u8], PublishFault> {
    if item.len() > limit_bytes { Err(PublishFault::TooLong(limit_bytes)) } else { Ok(item) }
}

fn told(outcome: Result<Accepted, PublishFault>) -> Result<AcceptedShown, Problem> {
    outcome.map(AcceptedShown::from).map_err(Problem::from)
}

/// What became of a batch, in its order.
#[derive(Serialize)]
struct BatchShown<'a> {
    events: Vec<ItemShown<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemShown<'a> {
    Accepted(&'a AcceptedShown),
    Refused { error: ProblemDocument<'a> },
}

impl<'a> From<&'a Result<AcceptedShown, Problem>> for ItemShown<'a> {
    fn from(told: &'a Result<AcceptedShown, Problem>) -> Self {
        match told {
            Ok(accepted) => Self::Accepted(accepted),
            Err(problem) => Self::Refused { error: problem.document(None) },
        }
    }
}
