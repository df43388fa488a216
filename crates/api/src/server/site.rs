//! What one listener answers, by path.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use ipnet::IpNet;

use super::bounds::ServerBounds;
use super::heads::Hidden;
use super::places::Seat;
use super::proxies::Proxies;
use super::syntax::{self, Malformed};
use crate::admin::AdminRouter;
use crate::body::RequestBody;
use crate::client_address::ClientAddress;
use crate::docs::Docs;
use crate::public::PublicApi;

/// Says whether requests and deliveries can be served, and if not why.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What an operator should see to although requests and deliveries go on.
pub type Notes = Arc<dyn Fn() -> Vec<String> + Send + Sync>;
/// Gives the metrics as Prometheus text.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What a listener offers. What is `None` is not there: its paths are unknown.
pub struct SiteParts {
    /// The contract's own routes.
    pub public: Option<Arc<PublicApi>>,
    /// The contract as OpenAPI and as pages.
    pub docs: Option<Docs>,
    /// The admin API: everything below `/admin` (and `/console`, where nothing is yet).
    pub admin: Option<AdminRouter>,
    /// `/readyz`.
    pub readiness: Readiness,
    /// `/metrics`.
    pub metrics: Option<Metrics>,
}

/// What one listener answers.
pub struct Site {
    parts: SiteParts,
    proxies: Proxies,
    notes: Option<Notes>,
}

impl Site {
    /// A site of these parts.
    #[must_use]
    pub fn new(parts: SiteParts) -> Self {
        Self { parts, proxies: Proxies::default(), notes: None }
    }

    /// The same behind proxies in these networks, which are believed where requests come from.
    #[must_use]
    pub fn behind(self, proxies: Vec<IpNet>) -> Self {
        Self { proxies: Proxies(proxies), ..self }
    }

    /// The same with what `/readyz` says besides, each in a line of its own, while all is well.
    #[must_use]
    pub fn noting(self, notes: Notes) -> Self {
        Self { notes: Some(notes), ..self }
    }

    fn ready(&self) -> Bytes {
        let notes = self.notes.as_ref().map(|notes| notes()).unwrap_or_default();
        let lines: String = notes.into_iter().map(|note| note + "\n").collect();
        format!("ready\n{lines}").into()
    }

    /// Does this address belong to a proxy that is believed?
    pub(super) fn is_proxy(&self, address: ClientAddress) -> bool {
        self.proxies.trusts(address)
    }

    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        hidden: Option<Hidden>,
        client: ClientAddress,
        seat: &Seat,
        bounds: &ServerBounds,
    ) -> Response<Body> {
        let (mut head, incoming) = request.into_parts();
        if let Err(malformed) = syntax::check(&head, hidden.as_ref(), bounds.target_bytes) {
            return refuse(malformed);
        }
        if let Some(padded) = hidden.map(|hidden| hidden.padded).filter(|padded| !padded.is_empty()) {
            head.extensions.insert(padded);
        }
        let client = self.proxies.client(client, &head.headers);
        let (has_body, is_held_back) = (!incoming.is_end_stream(), head.headers.contains_key(EXPECT));
        let body = RequestBody::new(incoming, bounds.body, &seat.arrival);
        let mut answer = self.answer_sound(Request::from_parts(head, body), client).await;
        // To be sent what the client holds back, it would have to be asked for it.
        let is_left = has_body
            && match is_held_back {
                true => seat.arrival.drop_rest(),
                false => !seat.arrival.is_whole().await,
            };
        let headers = answer.headers_mut();
        if is_left {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Answers hold what belongs to one caller, some of them secrets that are shown once.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }

    async fn answer_sound(&self, request: Request<RequestBody>, client: ClientAddress) -> Response<Body> {
        if let Some(fixed) = self.fixed(request.uri().path()) {
            return answer_fixed(request.method(), fixed);
        }
        if let Some(admin) = self.parts.admin.as_ref().filter(|_| is_admin(request.uri().path())) {
            return admin.answer(request, client).await;
        }
        match &self.parts.public {
            // Boxed, because what is large here would make every request's state as large.
            Some(public) => Box::pin(public.answer(request, client)).await,
            None => {
                plain(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", Bytes::from_static(b"not found\n"))
            }
        }
    }

    /// The answer of a path that is the same for every contract.
    fn fixed(&self, path: &str) -> Option<Response<Body>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        let docs = self.parts.docs.as_ref();
        match path {
            "/healthz" => Some(plain(StatusCode::OK, TEXT, Bytes::from_static(b"ok\n"))),
            "/readyz" => Some(match (self.parts.readiness)() {
                Ok(()) => plain(StatusCode::OK, TEXT, self.ready()),
                Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n").into()),
            }),
            "/metrics" => self.parts.metrics.as_ref().map(|metrics| {
                plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics().into())
            }),
            "/openapi.json" => docs.map(|docs| plain(StatusCode::OK, "application/json", docs.openapi())),
            "/docs" => docs.map(|docs| page(docs.page())),
            _ => None,
        }
    }
}

fn is_admin(path: &str) -> bool {
    ["/admin", "/console"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Fixed answers know `GET` and `HEAD`; the HTTP library leaves the body of the latter out.
fn answer_fixed(method: &Method, answer: Response<Body>) -> Response<Body> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return answer;
    }
    let detail = Bytes::from_static(b"method not allowed\n");
    let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", detail);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refusal
}

fn plain(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A page that runs no script, loads nothing and stands in no frame.
fn page(html: Bytes) -> Response<Body> {
    let mut answer = plain(StatusCode::OK, "text/html; charset=utf-8", html);
    for (name, value) in [
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Refuses a request for its form and closes: what follows on the connection may not be what it seems.
fn refuse(malformed: Malformed) -> Response<Body> {
    let title = malformed.status.canonical_reason().unwrap_or_default();
    let problem = serde_json::json!({
        "type": "about:blank", "title": title, "status": malformed.status.as_u16(), "detail": malformed.detail,
    });
    let mut answer = plain(malformed.status, "application/problem+json", problem.to_string().into());
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
