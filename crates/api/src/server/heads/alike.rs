//! The watch and the HTTP library read the same requests, whatever comes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::*;
use crate::server::bounds::ServerBounds;
use crate::server::followed::Followed;

/// The parts that messages are put together from: sound ones, and such as are read in two ways somewhere.
const PARTS: [&str; 44] = [
    "GET /a HTTP/1.1\r\nHost: x\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\n",
    "HEAD /read HTTP/1.1\r\nHost: x\r\n",
    "POST /read HTTP/1.1\r\nHost: x\r\n",
    "POST /read HTTP/1.0\r\nConnection: keep-alive\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n",
    "GET /read#marked HTTP/1.1\r\nX-Marked: 1\r\n",
    "GET /read#marked HTTP/1.1\r\nX-Marked: 1\r\n\r\n",
    "GET /read HTTP/1.1\r\nHost: x\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "transfer-encoding:chunked\r\n\r\n",
    "Transfer-Encoding: gzip, chunked\r\n\r\n",
    "Transfer-Encoding: identity\r\n\r\n",
    "Content-Length: 3\r\n\r\nabc",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: +3\r\n\r\nabc",
    "Content-Length: 3\r\n",
    "Content-Length : 3\r\n\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "X: a\r\n folded\r\n",
    "X: a\rb\r\n",
    "X: a\n",
    "\r\n",
    "\n",
    "\r",
    "3\r\nabc\r\n",
    "3;a=\"b\r\n",
    "3;a=\"b;c\"\r\nabc\r\n",
    "3 \t\r\nabc\r\n",
    "003\r\nabc\r\n",
    "0x3\r\nabc\r\n",
    " 3\r\nabc\r\n",
    "3;a\nb\r\nabc\r\n",
    "3\nabc\r\n",
    "10000000000000003\r\nabc\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
    "0\r\nX: a\r\n\r\n",
    "0\r\nX: a\n\r\n",
    "0\r\n\n",
    "0\n\r\n",
    "0\r\nX: a\r\n",
    "Y: b\r\n\r\n",
];

/// What came of it on both sides.
struct Seen {
    /// Heads the watch read to their end.
    heads: u64,
    /// Of each request that was handed over: was it marked, and did the watch say so?
    requests: Vec<(bool, bool)>,
    is_refused: bool,
}

async fn serve(bytes: &[u8], piece: usize) -> Seen {
    let (mut client, server) = tokio::io::duplex(piece.max(64));
    let notes = Notes::default();
    let watch = HeadWatch::new(notes.clone(), ServerBounds::default().head_bytes);
    let (requests, is_broken) = (Mutex::default(), AtomicBool::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let hidden = notes.next().unwrap_or_default();
        let (told, is_broken): (&Mutex<Vec<(bool, bool)>>, _) = (&requests, &is_broken);
        told.lock().unwrap().push((request.headers().contains_key("x-marked"), hidden.has_fragment));
        Box::pin(async move {
            let mut answer = Response::new(Empty::<bytes::Bytes>::new());
            if request.method() == Method::CONNECT {
                // Nobody tunnels here.
                *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            }
            if request.uri().path() != "/a" && request.into_body().collect().await.is_err() {
                is_broken.store(true, Ordering::Relaxed);
            }
            Ok::<_, Infallible>(answer)
        })
    });
    let stream = TokioIo::new(Followed::new(server, watch, ServerBounds::default()));
    let mut connection =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(stream, service);
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let ask = async {
        for piece in bytes.chunks(piece) {
            if writing.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = writing.shutdown().await;
    };
    let listen = async {
        let mut sink = tokio::io::sink();
        let _ = tokio::io::copy(&mut reading, &mut sink).await;
    };
    let outcome = tokio::select! {
        outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => outcome,
        () = async { tokio::join!(ask, listen); std::future::pending().await } => unreachable!(),
    };
    let followed = connection.into_parts().io.into_inner();
    let heads = followed.into_watch().heads;
    let is_refused = outcome.is_err() || is_broken.load(Ordering::Relaxed);
    Seen { heads, requests: requests.into_inner().unwrap(), is_refused }
}

fn assert_alike(bytes: &[u8], piece: usize) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.unwrap().block_on(async {
        timeout(std::time::Duration::from_secs(600), serve(bytes, piece)).await.expect("an end")
    });
    let shown = bytes.escape_ascii();
    for (number, (is_marked, is_noted)) in served.requests.iter().enumerate() {
        assert_eq!(is_marked, is_noted, "request {number} of {shown} by {piece}");
    }
    assert!(served.requests.len() as u64 <= served.heads, "{shown} by {piece}");
    served
}

#[test]
fn what_desynchronised_them_does_not() {
    let marked = "GET /read#marked HTTP/1.1\r\nX-Marked: 1\r\n\r\n";
    let chunked = "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "a".repeat(40_000);
    let mut rows = 0;
    // With how many requests are handed over.
    for (bytes, expected) in [
        (format!("{chunked}0\r\nX: a\r\nY: b\r\n\r\n{marked}{marked}"), 3),
        (format!("{chunked}0\r\nX: a\n\r\nY: b\r\n\r\n{marked}{marked}"), 1),
        (format!("{chunked}0\r\n\n\r\n{marked}{marked}"), 1),
        (format!("{chunked}3;a\nb\r\nabc\r\n0\r\n\r\n{marked}"), 1),
        (format!("{chunked}3;a=\"\r\nabc\r\n0\r\n\r\n{marked}"), 2),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n{marked}"), 0),
        (format!("{marked}GET /a HTTP/1.1\r\nX: {long}\r\n\r\n{marked}"), 1),
        (format!("\r\n\r\n\n\r\n{marked}\r\n{marked}"), 2),
        (format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{marked}"), 2),
    ] {
        for piece in [1, 7, 4096, 100_000] {
            let seen = assert_alike(bytes.as_bytes(), piece);
            assert_eq!(seen.requests.len(), expected, "{bytes:.200} by {piece}");
            rows += 1;
        }
    }
    println!("counted | requests | ways out of step with the HTTP library | {rows}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_watch_reads_what_the_library_reads(
        parts in proptest::collection::vec(prop::sample::select(&PARTS[..]), 1..14),
        piece in prop::sample::select(&[1_usize, 2, 5, 64, 4096][..]),
    ) {
        let text = parts.concat();
        let seen = assert_alike(text.as_bytes(), piece);
        // A body that nobody reads may end the connection without a word.
        if !seen.is_refused && !text.contains(" /a ") {
            prop_assert_eq!(seen.requests.len() as u64, seen.heads, "{:?}", text);
        }
    }
}
