//! Clients who take their time: with a request's body, with reading an answer, with the next request.

use std::time::Duration;

use posthaste_api::server::ServerBounds;
use posthaste_contract::Contract;
use posthaste_contract::model::Scheme;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::rig::{CONTRACTS, Rig, read};

/// The longest anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any of these tests takes.
const NEVER: Duration = Duration::from_secs(600);
const GO_ON: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn unhurried() -> ServerBounds {
    ServerBounds { head: NEVER, idle: NEVER, body: NEVER, unread: NEVER, ..ServerBounds::default() }
}

/// Sends the head of a registration whose body is held back; answers the first bytes that come, and the body.
async fn begin(rig: &Rig, number: usize) -> (TcpStream, [u8; 25], Vec<u8>) {
    let url = format!("https://hooks.example.com/{number}");
    let ask = rig.create(&rig.holder, &rig.new_webhook(&url)).header("Expect", "100-continue");
    let (bytes, body) = (ask.bytes(), ask.body.unwrap());
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(&bytes[..bytes.len() - body.len()]).await.unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).await.unwrap();
    (stream, first, body)
}

#[tokio::test]
async fn bodies_on_their_way_make_room_for_new_clients() {
    const PLACES: usize = 20;
    let mut held = 0;
    for bounds in [
        ServerBounds { connections: PLACES, ..unhurried() },
        ServerBounds { connections_by_address: PLACES, ..unhurried() },
    ] {
        let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
        let mut streams = Vec::new();
        for number in 0..3 * PLACES {
            let (stream, first, body) = timeout(PATIENCE, begin(&rig, number)).await.expect("a place");
            assert_eq!(&first, GO_ON);
            streams.push((stream, body));
            held += 1;
        }
        timeout(PATIENCE, rig.assert_ready()).await.expect("a place");
        // Whoever came last was not asked to go, and is served.
        let (mut newest, body) = streams.pop().unwrap();
        newest.write_all(&body).await.unwrap();
        assert_eq!(read(&mut newest).await.status, 201);
        // Whoever came first was.
        let (oldest, _) = &mut streams[0];
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, oldest.read_to_end(&mut rest)).await.expect("closed");
        assert_eq!(rest, b"");
    }
    println!("counted | requests | places held by bodies that do not come | {held}");
}

/// A signature proves nothing before its body is there.
#[tokio::test]
async fn of_signed_bodies_few_are_waited_for() {
    let mut refused = 0;
    for contract in CONTRACTS {
        let rig = Rig::with(Contract::builtin(contract).unwrap(), unhurried()).await;
        if !rig.contract.auth.iter().any(|auth| matches!(auth.scheme, Scheme::HmacRequest(_))) {
            continue;
        }
        let mut streams = Vec::new();
        for number in 0..16 {
            let (stream, first, body) = begin(&rig, number).await;
            assert_eq!(&first, GO_ON, "{contract} {number}");
            streams.push((stream, body));
        }
        for number in 0..3 {
            let (mut stream, first, _) = begin(&rig, number).await;
            assert!(first.starts_with(b"HTTP/1.1 429 "), "{}", String::from_utf8_lossy(&first));
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            let rest = rest.to_ascii_lowercase();
            assert!(rest.contains("retry-after: 1\r\n") && rest.contains("connection: close\r\n"), "{rest}");
            refused += 1;
        }
        let (mut stream, body) = streams.pop().unwrap();
        stream.write_all(&body).await.unwrap();
        assert_eq!(read(&mut stream).await.status, 201, "{contract}");
        let (_, first, _) = begin(&rig, 17).await;
        assert_eq!(&first, GO_ON, "{contract}: there is room again");
    }
    assert!(refused > 0);
    println!("counted | requests | signed bodies too many | {refused}");
}

#[tokio::test]
async fn answers_being_read_are_not_cut_off_for_new_clients() {
    const ASKS: usize = 400;
    let bounds = ServerBounds { connections: 1, linger: PATIENCE, ..unhurried() };
    let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let slow = socket.connect(rig.address).await.unwrap();
    let (mut reading, mut writing) = slow.into_split();
    writing.write_all(&b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(ASKS)).await.unwrap();
    let mut answers = vec![0; 12];
    reading.read_exact(&mut answers).await.unwrap();
    // Until the server cannot write any more.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let newcomer = rig.assert_ready();
    let reader = async {
        let _ = timeout(PATIENCE, reading.read_to_end(&mut answers)).await.expect("closed");
        drop((reading, writing));
        answers
    };
    let ((), answers) = tokio::join!(newcomer, reader);
    let text = String::from_utf8(answers).unwrap();
    let begun = text.matches("HTTP/1.1 200 OK\r\n").count();
    assert!(begun < ASKS, "the place was wanted for somebody else");
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let last = &text[text.rfind("HTTP/1.1 200 OK\r\n").unwrap()..];
    let (_, body) = last.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), length.parse::<usize>().unwrap(), "answer {begun} is whole");
    println!("counted | requests | answers read while the place was wanted | {begun}");
}

#[tokio::test]
async fn idle_connections_and_unfinished_heads_have_bounds_of_their_own() {
    const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let short = Duration::from_millis(200);
    // What is sent after an answer, and whether the connection ends.
    let (hasty_heads, hasty_idlers) =
        (ServerBounds { head: short, ..unhurried() }, ServerBounds { idle: short, ..unhurried() });
    let mut rows = 0;
    for (bounds, after, ends) in [
        (hasty_heads, &b""[..], false),
        (hasty_heads, b"G", true),
        (hasty_heads, b"GET /healthz HTTP/1.1\r\nHost", true),
        (hasty_idlers, b"", true),
        (hasty_idlers, b"\r\n", true),
        (hasty_idlers, b"G", false),
    ] {
        let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        stream.write_all(after).await.unwrap();
        let limit = if ends { PATIENCE } else { 3 * short };
        let ended = timeout(limit, stream.read_to_end(&mut answer)).await;
        assert_eq!(ended.is_ok(), ends, "{:?}", String::from_utf8_lossy(after));
        rows += 1;
    }
    println!("counted | requests | waits between and within heads | {rows}");
}

/// Whoever holds a body back learns that there is nothing more to ask on this connection.
#[tokio::test]
async fn a_body_left_unread_ends_the_connection_and_the_answer_says_so() {
    let rig = Rig::with(Contract::builtin("aira").unwrap(), unhurried()).await;
    let create = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let whole = String::from_utf8(create.bytes()).unwrap();
    let (head, _) = whole.split_once("\r\n\r\n").unwrap();
    let kept: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !line.starts_with("Connection") && !line.starts_with("Content-Length"))
        .collect();
    let good = kept.join("\r\n");
    let target = good.split(' ').nth(1).unwrap();
    let anonymous = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json");
    let next = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut rows = 0;
    for (head, status) in [
        (good.replacen("POST", "PUT", 1), "405"),
        (anonymous, "401"),
        (good.replacen(target, "/nothing", 1), "404"),
        (good.replace("application/json", "text/plain"), "415"),
        ("POST /healthz HTTP/1.1\r\nHost: x".to_owned(), "405"),
    ] {
        for framing in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
            let body = if framing.starts_with('C') { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" };
            for (sent, closes) in [
                (format!("{head}\r\n{framing}\r\n"), true),
                (format!("{head}\r\n{framing}\r\n{}", &body[..1]), true),
                (format!("{head}\r\n{framing}Expect: 100-continue\r\n\r\n"), true),
                (format!("{head}\r\n{framing}\r\n{body}{next}"), false),
            ] {
                let mut stream = TcpStream::connect(rig.address).await.unwrap();
                stream.write_all(sent.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
                read.expect("closed").unwrap();
                let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
                assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{sent}: {answer}");
                let first = answer.split("\r\n\r\n").next().unwrap();
                assert_eq!(first.contains("\r\nconnection: close"), closes, "{sent}: {answer}");
                assert_eq!(answer.contains("http/1.1 200 "), !closes, "{sent}: {answer}");
                rows += 1;
            }
        }
    }
    println!("counted | requests | bodies that nobody reads | {rows}");
}
