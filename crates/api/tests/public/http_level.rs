//! Heads and bodies: their bounds, and what is not read at all.

use posthaste_contract::{Condition, Op};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Ask, CONTRACTS, Rig};

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
