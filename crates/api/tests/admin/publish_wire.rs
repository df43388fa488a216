//! Publishing over a socket: it is answered by a path of its own, so what is refused for its form is refused here too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use posthaste_api::server::{ServerBounds, Site, SiteParts, serve};
use posthaste_core::Seq;
use posthaste_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::rig::{Rig, TOKEN};

/// The longest any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
const EVENT: &str = r#"{"type":"strategy.error","data":{},"account":"acme"}"#;
/// Both routes, and a body that is fine there.
const ROUTES: [&str; 2] = ["/admin/v1/events", "/admin/v1/events/batch"];

/// A rig behind a server.
pub struct Wire {
    pub rig: Rig,
    pub address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Wire {
    pub async fn start(bounds: ServerBounds) -> Self {
        let rig = Rig::with_account("pipai").await;
        let store = rig.store.clone();
        let site = Site::new(SiteParts {
            public: None,
            docs: None,
            admin: Some(rig.router.clone()),
            readiness: Arc::new(move || store.health()),
            metrics: None,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { serve(listener, Arc::new(site), bounds, &[], stopped).await });
        Self { rig, address, _stop: stop }
    }

    /// Sends bytes and reads until the server closes.
    pub async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse and close before everything is sent.
        let _ = stream.write_all(request).await;
        rest(&mut stream).await
    }

    pub async fn events(&self) -> usize {
        self.rig.store.events_after(Seq(0), 10_000).await.unwrap().len()
    }

    async fn assert_ready(&self) {
        let answer = self.exchange(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server answers and closes in time");
    String::from_utf8(bytes).unwrap()
}

/// A request with these lines beside the token.
fn post(route: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("POST {route} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{lines}\r\n{body}")
        .into_bytes()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("no answer")
}

#[tokio::test]
async fn what_is_no_sound_request_publishes_nothing_and_ends_the_connection() {
    let wire = Wire::start(ServerBounds::default()).await;
    let length = format!("Content-Length: {}", EVENT.len());
    let long = "a".repeat(9 * 1024);
    let mut rows = 0;
    for route in ROUTES {
        let framed = |lines: &str| post(route, &format!("{lines}\r\n"), EVENT);
        let raw = |text: String| text.into_bytes();
        let rows_here: Vec<(&str, Vec<u8>, &[&str])> = vec![
            (
                "A41 both framings",
                framed(&format!("{length}\r\nTransfer-Encoding: chunked")),
                &["400", "411"],
            ),
            (
                "A41 the other way",
                framed(&format!("Transfer-Encoding: chunked\r\n{length}")),
                &["400", "411"],
            ),
            ("A43 plus", framed("Content-Length: +5"), &["400"]),
            ("A43 minus", framed("Content-Length: -1"), &["400"]),
            ("A43 two numbers", framed("Content-Length: 5 5"), &["400"]),
            ("A43 hex", framed("Content-Length: 0x5"), &["400"]),
            ("A43 long", framed("Content-Length: 99999999999999999999"), &["400"]),
            ("A43 two lengths", framed(&format!("{length}\r\nContent-Length: 6")), &["400"]),
            ("A43 a list", framed(&format!("{length}, 6")), &["400"]),
            ("A44 other", framed("Transfer-Encoding: xchunked"), &["400"]),
            ("A44 twice", framed("Transfer-Encoding: chunked, chunked"), &["400"]),
            ("A44 two lines", framed("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), &["400"]),
            ("A44 gzip", framed("Transfer-Encoding: gzip, chunked"), &["400"]),
            ("A44 identity", framed("Transfer-Encoding: identity"), &["400"]),
            (
                "A45 chunk size",
                post(route, "Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
                &["400"],
            ),
            (
                "A45 huge chunk",
                post(route, "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}"),
                &["400"],
            ),
            ("A46 space before colon", framed(&format!("{length}\r\nX-A : 1")), &["400"]),
            ("A46 folded", framed(&format!("{length}\r\nX-A: 1\r\n 2")), &["400"]),
            ("A46 bare CR", framed(&format!("{length}\r\nX-A: 1\r2")), &["400"]),
            ("A46 NUL", framed(&format!("{length}\r\nX-A: 1\0")), &["400"]),
            ("A46 no name", framed(&format!("{length}\r\n: 1")), &["400"]),
            (
                "A47 no host",
                raw(format!(
                    "POST {route} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n{EVENT}"
                )),
                &["400"],
            ),
            ("A47 two hosts", framed(&format!("{length}\r\nHost: y")), &["400"]),
            (
                "A47 host with a path",
                raw(format!(
                    "POST {route} HTTP/1.1\r\nHost: x/y\r\nAuthorization: Bearer {TOKEN}\r\n{length}\r\n\r\n{EVENT}"
                )),
                &["400"],
            ),
            ("A50", post(&format!("{route}?{long}"), &format!("{length}\r\n"), EVENT), &["414"]),
            ("I59", framed(&format!("{length}\r\nIdempotency-Key: {}", "k".repeat(1 << 20))), &["431"]),
            ("A52 announced", framed("Content-Length: 10000000000"), &["413"]),
            ("HTTP/3", raw(format!("POST {route} HTTP/3.0\r\nHost: x\r\n\r\n")), &["400", "505"]),
        ];
        for (row, request, expected) in rows_here {
            let answer = wire.exchange(&request).await;
            assert!(expected.contains(&status(&answer)), "{row} {route}: {answer}");
            assert!(!answer.contains(TOKEN) && answer.len() < 2_000, "{row}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{row}: one answer, {answer}");
            assert_eq!(wire.events().await, 0, "{row}");
            wire.assert_ready().await;
            rows += 1;
        }
    }
    println!("counted | requests | malformed requests to publish | {rows}");
}

#[tokio::test]
async fn methods_of_publishing_are_taken_literally() {
    let wire = Wire::start(ServerBounds::default()).await;
    let mut rows = 0;
    for route in ROUTES {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "post"] {
            let lines =
                format!("Host: x\r\nAuthorization: Bearer {TOKEN}\r\nX-Canary: tracing\r\nConnection: close");
            let answer =
                wire.exchange(format!("{method} {route} HTTP/1.1\r\n{lines}\r\n\r\n").as_bytes()).await;
            assert_eq!(status(&answer), "405", "A49 A62 {method}: {answer}");
            let head = answer.to_ascii_lowercase();
            assert!(head.contains("\r\nallow: post\r\n"), "{method}: {answer}");
            assert!(!head.contains("canary") && !head.contains("access-control"), "{method}: {answer}");
            assert_eq!(method == "HEAD", answer.ends_with("\r\n\r\n"), "{method}: {answer}");
            rows += 1;
        }
    }
    println!("counted | requests | methods of the publish routes | {rows}");
}

#[tokio::test]
async fn odd_but_sound_requests_publish() {
    let wire = Wire::start(ServerBounds::default()).await;
    let length = format!("Content-Length: {}\r\nConnection: close\r\n", EVENT.len());
    let chunks: String = EVENT.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let rows = [
        ("plain", post(ROUTES[0], &length, EVENT)),
        (
            "byte by byte",
            post(
                ROUTES[0],
                "Transfer-Encoding: chunked\r\nConnection: close\r\n",
                &format!("{chunks}0\r\n\r\n"),
            ),
        ),
        (
            "capitals",
            post(
                ROUTES[0],
                "Transfer-Encoding: CHUNKED\r\nConnection: close\r\n",
                &format!("{chunks}0\r\n\r\n"),
            ),
        ),
        (
            "trailers",
            post(
                ROUTES[0],
                "Transfer-Encoding: chunked\r\nConnection: close\r\n",
                &format!("{chunks}0\r\nX-T: 1\r\n\r\n"),
            ),
        ),
        (
            "I58 trace header",
            post(
                ROUTES[0],
                &format!("traceparent: \x01\x7f00-zz--\r\ntracestate: ,,=\r\n{length}")
                    .replace("\x01\x7f", "%%"),
                EVENT,
            ),
        ),
        ("a query", post(&format!("{}?x=%00&y", ROUTES[0]), &length, EVENT)),
        ("no media type", post(ROUTES[1], &length, EVENT)),
        ("expects 100", post(ROUTES[0], &format!("Expect: 100-continue\r\n{length}"), EVENT)),
    ];
    for (row, request) in &rows {
        let before = wire.events().await;
        let answer = wire.exchange(request).await;
        let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        assert_eq!(status(answer), "202", "{row}: {answer}");
        assert_eq!(wire.events().await, before + 1, "{row}");
    }
    println!("counted | requests | odd requests that publish | {}", rows.len());
}

#[tokio::test]
async fn nothing_is_read_of_a_body_whose_sender_is_not_let_in() {
    let wire = Wire::start(ServerBounds::default()).await;
    for route in ROUTES {
        let head = format!(
            "POST {route} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
        );
        let answer = wire.exchange(head.as_bytes()).await;
        assert_eq!(status(&answer), "401", "A56: {answer}");
    }
    assert_eq!(wire.events().await, 0);
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let bounds = ServerBounds { body: Duration::from_millis(200), ..ServerBounds::default() };
    let wire = Wire::start(bounds).await;
    let halves =
        |framing: &str, route: &str| post(route, &format!("{framing}\r\n"), &EVENT[..EVENT.len() / 2]);
    for route in ROUTES {
        for framing in [&*format!("Content-Length: {}", EVENT.len()), "Transfer-Encoding: chunked"] {
            let mut request = halves(framing, route);
            if framing.starts_with("Transfer") {
                request =
                    post(route, &format!("{framing}\r\n"), &format!("{:x}\r\n{}", EVENT.len(), &EVENT[..10]));
            }
            let answer = wire.exchange(&request).await;
            assert_eq!(status(&answer), "408", "A53 {framing}: {answer}");
            // I50: the sender goes away in the middle.
            let mut stream = TcpStream::connect(wire.address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            stream.shutdown().await.unwrap();
            let answer = rest(&mut stream).await;
            assert!(answer.is_empty() || status(&answer).starts_with('4'), "I50 {framing}: {answer}");
        }
    }
    assert_eq!(wire.events().await, 0);
    wire.assert_ready().await;
}

/// The HTTP library takes such blanks away, but a credential counts only as it is.
#[tokio::test]
async fn blanks_behind_a_token_make_it_another() {
    let wire = Wire::start(ServerBounds::default()).await;
    let made = wire.rig.post("/tokens", r#"{"name":"t","scope":"full"}"#).await.ok(201);
    let mut rows = 0;
    for token in [TOKEN, made["token"].as_str().unwrap()] {
        for (padding, expected) in [(" ", "401"), ("\t", "401"), (" \t ", "401"), ("", "202")] {
            let lines = format!("Connection: close\r\nContent-Length: {}\r\n", EVENT.len());
            let request = format!(
                "POST /admin/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}{padding}\r\n{lines}\r\n{EVENT}"
            );
            assert_eq!(status(&wire.exchange(request.as_bytes()).await), expected, "{padding:?}");
            let request = format!(
                "GET /admin/v1/accounts HTTP/1.1\r\nHost: x\r\nauthorization: Bearer {token}{padding}\r\nConnection: close\r\n\r\n"
            );
            let expected = expected.replace("202", "200");
            assert_eq!(status(&wire.exchange(request.as_bytes()).await), expected, "{padding:?}");
            rows += 2;
        }
    }
    println!("counted | admin | tokens with blanks behind them | {rows}");
}
