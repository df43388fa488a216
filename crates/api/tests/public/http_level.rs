//! Requests that are wrong before anybody asks what they mean, and those that never end.

use std::time::Duration;

use posthaste_contract::{Condition, Contract, Op};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use posthaste_api::server::ServerBounds;

use crate::rig::{Ask, CONTRACTS, Rig, exchange, read};

#[tokio::test]
async fn malformed_requests_get_400_and_the_connection_closed() {
    let rig = Rig::start("aioka").await;
    let list = |head: &str| format!("GET /v1/webhooks HTTP/1.1\r\n{head}\r\n");
    let with_body = |length: &str| format!("POST /v1/webhooks HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\nhello");
    for (row, request) in [
        ("A43 plus", with_body("Content-Length: +5")),
        ("A43 minus", with_body("Content-Length: -1")),
        ("A43 two numbers", with_body("Content-Length: 5 5")),
        ("A43 hex", with_body("Content-Length: 0x5")),
        ("A43 long", with_body("Content-Length: 99999999999999999999")),
        ("A43 two lengths", with_body("Content-Length: 5\r\nContent-Length: 6")),
        ("A44 other", with_body("Transfer-Encoding: xchunked")),
        ("A44 twice", with_body("Transfer-Encoding: chunked, chunked")),
        ("A44 two lines", with_body("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("A44 gzip", with_body("Transfer-Encoding: gzip, chunked")),
        ("A44 identity", with_body("Transfer-Encoding: identity")),
        ("A46 space before colon", list("Host : x\r\n")),
        ("A46 folded", list("Host: x\r\nX-A: 1\r\n 2\r\n")),
        ("A46 bare CR", list("Host: x\r\nX-A: a\rb\r\n")),
        ("A46 NUL", list("Host: x\r\nX-A: a\0b\r\n")),
        ("A47 none", list("")),
        ("A47 two", list("Host: x\r\nHost: x\r\n")),
        ("A47 path", list("Host: x/y\r\n")),
        ("A47 user", list("Host: u@x\r\n")),
        ("A47 empty", list("Host: \r\n")),
        ("no version", "GET /v1/webhooks\r\n\r\n".to_owned()),
        ("noise", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
    ] {
        let reply = exchange(rig.address, request.as_bytes()).await;
        assert_eq!(reply.status, 400, "{row}: {reply:?}");
        rig.assert_ready().await;
    }
    assert_eq!(rig.webhooks().await, 0);
}

#[tokio::test]
async fn two_framings_at_once_end_the_connection() {
    let rig = Rig::start("aioka").await;
    for lines in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!("POST /v1/webhooks HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{smuggled}");
        let reply = exchange(rig.address, request.as_bytes()).await;
        assert!((400..500).contains(&reply.status), "A41: {reply:?}");
        assert!(!reply.body.contains("HTTP/1.1"), "A41: what follows is not a request: {reply:?}");
    }
}

#[tokio::test]
async fn heads_and_targets_are_bounded() {
    let rig = Rig::start("aioka").await;
    for (row, request, expected) in [
        ("A13", Ask::new("GET", "/v1/webhooks").header("X-API-Key", &"k".repeat(100_000)), 431),
        ("A50", Ask::new("GET", &format!("/v1/webhooks?{}", "a".repeat(9 * 1024))), 414),
        ("Q8", Ask::new("DELETE", &format!("/v1/webhooks/{}", "a".repeat(10_000))), 414),
    ] {
        let reply = rig.send(&request).await;
        assert_eq!(reply.status, expected, "{row}: {reply:?}");
        rig.assert_ready().await;
    }
    let mut many = Ask::new("GET", "/v1/webhooks");
    for index in 0..200 {
        many = many.header(&format!("X-{index}"), "1");
    }
    assert_eq!(rig.send(&many).await.status, 431);
}

#[tokio::test]
async fn methods_and_paths_are_taken_literally() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        for method in ["PUT", "OPTIONS", "FOO", "TRACE", "PROPFIND"] {
            let reply = rig.assert_refused(method, &Ask::new(method, &path), Condition::Method).await;
            assert_eq!(
                reply.header("allow"),
                Some("GET, HEAD, POST").filter(|_| reply.status == 405),
                "{method}"
            );
            assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{reply:?}");
        }
        for method in ["TRACE", "FOO"] {
            rig.assert_refused(method, &Ask::new(method, "/"), Condition::Method).await;
        }
        let other = [
            format!("{path}/"),
            format!("/{path}"),
            path.replacen("/v1/", "/v1/./", 1),
            path.replacen("/v1/", "/v1/x/../", 1),
            path.to_uppercase(),
            format!("{path}%2f"),
            "/debug".into(),
            "/metrics".into(),
            "/.env".into(),
            "/openapi.json~".into(),
            "/admin/v1/accounts".into(),
            "/".into(),
        ];
        for target in &other {
            let ask = rig.signed_by(&rig.holder, Ask::new("GET", target));
            rig.assert_refused(&format!("A59 A61 {target}"), &ask, Condition::NotFound).await;
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let get = rig.ask(&rig.holder, Op::WebhookList, &[], "", None);
        // A signed request is signed with its own method.
        let head = rig.signed_by(&rig.holder, Ask::new("HEAD", &get.target));
        let (got, headed) = (rig.send(&get).await, rig.send(&head).await);
        assert_eq!((got.status, headed.status), (200, 200), "{contract}: {headed:?}");
        assert_eq!(headed.body, "");
        let names =
            |reply: &crate::rig::Reply| reply.headers.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        assert_eq!(names(&got), names(&headed), "{contract}");
        assert_eq!(got.header("content-length"), headed.header("content-length"), "{contract}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_announced_or_not() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookCreate).path.clone();
        let limit = 256 * 1024;
        let spaces = |length: usize| {
            let ask = Ask::new("POST", &path).header("Content-Type", "application/json");
            rig.signed_by(&rig.holder, ask.body(vec![b' '; length]))
        };
        rig.assert_refused("at the limit", &spaces(limit), Condition::BadBody).await;
        let reply = rig.assert_refused("A52 announced", &spaces(limit + 1), Condition::TooLarge).await;
        assert_eq!(reply.header("connection"), Some("close"));
        rig.assert_refused("B19", &spaces(1024 * 1024), Condition::TooLarge).await;

        let mut chunked = spaces(limit + 1).without("Content-Length");
        chunked.body = None;
        let head = String::from_utf8(chunked.bytes()).unwrap();
        let mut bytes = head.trim_end_matches("\r\n").as_bytes().to_vec();
        bytes.extend_from_slice(b"\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..=limit / 1024 {
            bytes.extend_from_slice(b"400\r\n");
            bytes.extend_from_slice(&[b' '; 1024]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        rig.assert_bytes_refused("A52 chunked", &bytes, Condition::TooLarge).await;
    }
}

#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for coding in ["gzip", "br", "identity, gzip", "x"] {
            let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
            rig.assert_refused("A55", &ask.header("Content-Encoding", coding), Condition::Media).await;
        }
        let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
        rig.assert_taken("identity", &ask.header("Content-Encoding", "identity")).await;
    }
}

/// Bounds small enough to wait for.
fn impatient() -> ServerBounds {
    let short = Duration::from_millis(200);
    ServerBounds { head: short, body: short, ..ServerBounds::default() }
}

#[tokio::test]
async fn half_requests_do_not_stay_open() {
    let rig = Rig::with(Contract::builtin("aioka").unwrap(), impatient()).await;
    let began = Instant::now();
    for half in ["", "GET /v1/webhooks HTTP/1.1\r\nHost: x\r\nX-A"] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("closed").unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "", "{half:?}");
    }
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let mut bytes = ask.bytes();
    bytes.truncate(bytes.len() - 7);
    let reply = exchange(rig.address, &bytes).await;
    rig.assert_is("A53", &reply, Condition::Timeout);
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(rig.webhooks().await, 0);
}

#[tokio::test]
async fn strangers_cannot_make_us_read() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookCreate).path.clone();
        let expecting =
            Ask::new("POST", &path).header("Expect", "100-continue").header("Content-Length", "100000");
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&expecting.bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 401", "A56 {contract}");
    }
}

#[tokio::test]
async fn an_expected_body_is_asked_for() {
    let rig = Rig::start("aira").await;
    let ask = rig
        .create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"))
        .header("Expect", "100-continue");
    let bytes = ask.bytes();
    let body = ask.body.unwrap();
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(&bytes[..bytes.len() - body.len()]).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body).await.unwrap();
    assert_eq!(read(&mut stream).await.status, 201);
}

#[tokio::test]
async fn idle_connections_do_not_keep_others_out() {
    let bounds = ServerBounds { connections: 8, ..impatient() };
    let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
    let mut idle = Vec::new();
    for _ in 0..32 {
        idle.push(TcpStream::connect(rig.address).await.unwrap());
    }
    let began = Instant::now();
    rig.assert_ready().await;
    assert!(began.elapsed() < Duration::from_secs(10), "A58: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_closes_idle_connections() {
    let rig = Rig::start("aira").await;
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let bytes = ask.bytes();
    let mut busy = TcpStream::connect(rig.address).await.unwrap();
    busy.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
    let mut idle = TcpStream::connect(rig.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let (address, stopping) = (rig.address, tokio::spawn(rig.stop()));
    let finish = async {
        busy.write_all(&bytes[bytes.len() - 1..]).await.unwrap();
        read(&mut busy).await
    };
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), idle.read_to_end(&mut rest))
        .await
        .expect("idle ones are closed")
        .unwrap();
    assert_eq!(finish.await.status, 201);
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
