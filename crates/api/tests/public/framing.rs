//! Requests whose framing is broken or can be read in two ways: refused, and nothing after them is answered.

use posthaste_contract::{Condition, Op};

use crate::rig::{Ask, CONTRACTS, Rig};

/// What an attacker hopes is read as a request of its own.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A sound registration up to its headers, without the empty line, and its body.
fn registration(rig: &Rig) -> (String, String) {
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let body = String::from_utf8(ask.body.clone().unwrap()).unwrap();
    let head = String::from_utf8(Ask { body: None, ..ask }.bytes()).unwrap();
    // Kept open, so that what is smuggled would be answered.
    (head.trim_end_matches("\r\n").replace("Connection: close", "Connection: keep-alive"), body)
}

/// Sends a request with something behind it: it is refused with this status, alone, and the connection closed.
async fn assert_refused_alone(rig: &Rig, row: &str, status: u16, request: String) {
    let reply = rig.assert_harmless(row, format!("{request}{SMUGGLED}").as_bytes()).await;
    assert_eq!(reply.status, status, "{row}: {reply:?}");
    assert!(!reply.body.contains("HTTP/1."), "{row}: what follows is answered: {reply:?}");
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let (head, body) = registration(&rig);
        let length = body.len();
        let framed = |lines: &str, body: &str| format!("{head}\r\n{lines}\r\n\r\n{body}");
        let lengths =
            ["+5", "-1", "5 5", "5, 5", "5,6", "0x5", "5.0", "", "99999999999999999999", "٥", "5;", "\"5\""];
        for value in lengths {
            let row = format!("A43 {value:?}");
            assert_refused_alone(&rig, &row, 400, framed(&format!("Content-Length: {value}"), "hello")).await;
        }
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6".to_owned(),
            format!("Content-Length: {length}\r\nContent-Length: 0"),
            "Content-Length : 5".to_owned(),
            "Content-Length\t: 5".to_owned(),
            "Content-Length: 5\r\n 0".to_owned(),
            " Content-Length: 5".to_owned(),
            "Content-Length: 5\rX: 1".to_owned(),
            "Content-Length: 5\0".to_owned(),
            "Content-Length".to_owned(),
            ": 5".to_owned(),
            "Content-Length: 5\r\nX-A: a\0b".to_owned(),
            "X-A: 1\r\n\tb".to_owned(),
            "X A: 1".to_owned(),
            "X(A): 1".to_owned(),
            "Xä: 1".to_owned(),
        ] {
            assert_refused_alone(&rig, &format!("A43 A46 {lines:?}"), 400, framed(&lines, "hello")).await;
        }
        for coding in [
            "xchunked",
            "chunked, chunked",
            "gzip, chunked",
            "chunked, gzip",
            "identity",
            "chunked, identity",
            "",
            "chunked;q=1",
            "\"chunked\"",
            "chunked,",
            ", chunked",
            "\u{b}chunked",
            "chunkedx",
        ] {
            let body = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
            let row = format!("A44 {coding:?}");
            assert_refused_alone(&rig, &row, 400, framed(&format!("Transfer-Encoding: {coding}"), &body))
                .await;
        }
        for lines in [
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding\t: chunked",
            " Transfer-Encoding: chunked",
            "Transfer-Encoding:\r\n chunked",
        ] {
            let body = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
            assert_refused_alone(&rig, &format!("A44 A46 {lines:?}"), 400, framed(lines, &body)).await;
        }
        assert_eq!(rig.webhooks().await, 0);
        rig.tell("A43-A46 heads");
    }
}

#[tokio::test]
async fn two_framings_at_once_are_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let (head, body) = registration(&rig);
        let length = body.len();
        let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        for (lines, body) in [
            (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), chunked.clone()),
            (format!("Transfer-Encoding: chunked\r\nContent-Length: {}", chunked.len()), chunked.clone()),
            ("Content-Length: 4\r\nTransfer-Encoding: chunked".to_owned(), "0\r\n\r\n".to_owned()),
            ("Transfer-Encoding: chunked\r\nContent-Length: 0".to_owned(), chunked.clone()),
            ("transfer-encoding: CHUNKED\r\nX-A: 1\r\ncontent-length: 5".to_owned(), chunked.clone()),
            (format!("Content-Length: {length}\r\nTransfer-Encoding: identity"), body.clone()),
            (format!("Content-Length: {length}\r\nTransfer-Encoding: xchunked"), body.clone()),
        ] {
            let request = format!("{head}\r\n{lines}\r\n\r\n{body}");
            assert_refused_alone(&rig, &format!("A41 {lines:?}"), 400, request).await;
        }
        let old = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
        assert_refused_alone(&rig, "A41 HTTP/1.0", 400, old.replacen("HTTP/1.1", "HTTP/1.0", 1)).await;
        assert_eq!(rig.webhooks().await, 0);
        rig.tell("A41 framings");
    }
}

#[tokio::test]
async fn broken_chunks_are_refused() {
    let long = "x".repeat(20 * 1024);
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let (head, body) = registration(&rig);
        let (size, refused) = (body.len(), rig.contract.error_rule(Condition::BadBody).unwrap().status);
        let trailers: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
        for (row, chunks) in [
            ("no size", format!("\r\n{body}\r\n0\r\n\r\n")),
            ("minus", format!("-{size:x}\r\n{body}\r\n0\r\n\r\n")),
            ("plus", format!("+{size:x}\r\n{body}\r\n0\r\n\r\n")),
            ("0x", format!("0x{size:x}\r\n{body}\r\n0\r\n\r\n")),
            ("space before", format!(" {size:x}\r\n{body}\r\n0\r\n\r\n")),
            ("two sizes", format!("{size:x} {size:x}\r\n{body}\r\n0\r\n\r\n")),
            ("overflow", format!("1{:016x}\r\n{body}\r\n0\r\n\r\n", size)),
            ("size in LF", format!("{size:x}\n{body}\r\n0\r\n\r\n")),
            ("size in CR", format!("{size:x}\r{body}\r\n0\r\n\r\n")),
            ("too short", format!("{:x}\r\n{body}\r\n0\r\n\r\n", size - 1)),
            ("too long", format!("{:x}\r\n{body}\r\n0\r\n\r\n", size + 1)),
            ("no end of data", format!("{size:x}\r\n{body}0\r\n\r\n")),
            ("LF in an extension", format!("{size:x};a\nb\r\n{body}\r\n0\r\n\r\n")),
            ("an endless extension", format!("{size:x};{long}\r\n{body}\r\n0\r\n\r\n")),
            ("letters", format!("zz\r\n{body}\r\n0\r\n\r\n")),
            ("an endless trailer", format!("{size:x}\r\n{body}\r\n0\r\nX: {long}{long}\r\n\r\n")),
            ("many trailers", format!("{size:x}\r\n{body}\r\n0\r\n{trailers}\r\n")),
            ("a broken trailer", format!("{size:x}\r\n{body}\r\n0\r\nX\0: 1\r\n\r\n")),
        ] {
            let request = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            assert_refused_alone(&rig, &format!("A42 {row}"), refused, request).await;
        }
        assert_eq!(rig.webhooks().await, 0);
        rig.tell("A42 chunks");
    }
}

#[tokio::test]
async fn harmless_chunks_are_read() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        for (number, shape) in ["{s};a=b;c=\"d\"", "{s} ", "000{s}", "{S}"].into_iter().enumerate() {
            rig.clock.advance(std::time::Duration::from_secs(1));
            let body = rig.new_webhook(&format!("https://hooks.example.com/{number}")).to_string();
            let path = rig.route(Op::WebhookCreate).path.clone();
            let ask = Ask::new("POST", &path).header("Content-Type", "application/json").body(body.clone());
            let ask = rig.signed_by(&rig.holder, ask);
            let head = String::from_utf8(Ask { body: None, ..ask }.bytes()).unwrap();
            let (lower, upper) = (format!("{:x}", body.len()), format!("{:X}", body.len()));
            let size = shape.replace("{s}", &lower).replace("{S}", &upper);
            let head = head.trim_end_matches("\r\n");
            let request = format!(
                "{head}\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{body}\r\n0\r\nContent-Length: 3\r\nX-API-Key: x\r\n\r\n"
            );
            let reply = crate::rig::exchange(rig.address, request.as_bytes()).await;
            assert_eq!(reply.status, 201, "{contract} {shape}: {reply:?}");
        }
        assert_eq!(rig.webhooks().await, 4);
    }
}

#[tokio::test]
async fn hosts_must_be_one_and_plain() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        for lines in [
            "",
            "Host: \r\n",
            "Host: x\r\nHost: x\r\n",
            "Host: x\r\nHost: y\r\n",
            "Host: x/y\r\n",
            "Host: u@x\r\n",
            "Host: u:p@x\r\n",
            "Host: x:80:80\r\n",
            "Host: x:http\r\n",
            "Host: x:123456\r\n",
            "Host: :80\r\n",
            "Host: a b\r\n",
            "Host: a,b\r\n",
            "Host: x?y\r\n",
            "Host: x#y\r\n",
            "Host: [::1\r\n",
            "Host: [::1]x\r\n",
            "Host: []\r\n",
            "Host: x\\y\r\n",
            "Host: <x>\r\n",
            "Host: é\r\n",
            "Host: x\0\r\n",
            "Host : x\r\n",
            " Host: x\r\n",
            "Host: x:65536\r\n",
            "Host: x:-1\r\n",
            "Host: x:+80\r\n",
            "Host: %00\r\n",
            "Host: http://x\r\n",
            "Host: *\r\n",
            "Host: x\r\n y\r\n",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
            assert_refused_alone(&rig, &format!("A47 {lines:?}"), 400, request).await;
        }
        rig.tell("A47 hosts");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let path = rig.route(Op::WebhookList).path.clone();
        for request in [
            format!("GET {path}\r\n\r\n"),
            format!("GET {path} HTTP/0.9\r\n\r\n"),
            format!("GET {path} HTTP/2.0\r\nHost: x\r\n\r\n"),
            format!("GET {path} HTTP/1.2\r\nHost: x\r\n\r\n"),
            format!("GET {path} HTTP/1.10\r\nHost: x\r\n\r\n"),
            format!("GET {path} http/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path} HTTP/1.1 x\r\nHost: x\r\n\r\n"),
            format!("GET  {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path}  HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET\t{path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!(" GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path} x HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path}\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path}\u{1} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET {path}\u{7f} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("G\0T {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GÉT {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("G(T {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            "\u{16}\u{3}\u{1}\u{0}\u{5}\r\n\r\n".to_owned(),
            "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
            "{}\r\n\r\n".to_owned(),
            "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        ] {
            assert_refused_alone(&rig, &format!("A48 {request:?}"), 400, request).await;
        }
        rig.tell("A48 no HTTP");
    }
}
