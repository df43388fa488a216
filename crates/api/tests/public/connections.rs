//! Connections: how long they may idle, how many there may be, and how they end.

use std::time::Duration;

use posthaste_api::server::ServerBounds;
use posthaste_contract::{Condition, Contract};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::rig::{Rig, exchange, read};

/// The longest that anything may take, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bounds small enough to wait for.
fn impatient() -> ServerBounds {
    let short = Duration::from_millis(200);
    ServerBounds { head: short, body: short, unread: short, ..ServerBounds::default() }
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
    let endless =
        "POST /v1/webhooks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    let bytes = format!("{endless}X-API-Key: {}\r\n\r\nffffffffffffffff\r\n{{}}", rig.holder.text);
    let reply = exchange(rig.address, bytes.as_bytes()).await;
    rig.assert_is("A42 a chunk without end", &reply, Condition::Timeout);
    assert_eq!(rig.webhooks().await, 0);
}

/// Another protocol's greeting gets no answer in ours.
#[tokio::test]
async fn http_2_is_hung_up_on() {
    let rig = Rig::start("aioka").await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("closed").unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "");
    rig.assert_ready().await;
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

/// Connections that ask for nothing: some say nothing at all, some break off in a head, some have been answered.
async fn idle(rig: &Rig, count: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ").await.unwrap(),
            _ => {
                stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
                let mut first = [0; 12];
                stream.read_exact(&mut first).await.unwrap();
                assert_eq!(&first, b"HTTP/1.1 200");
            }
        }
        idle.push(stream);
    }
    idle
}

/// How many of these the server has not closed.
async fn open_ones(streams: &mut [TcpStream]) -> usize {
    let mut open = 0;
    for stream in streams {
        let mut rest = Vec::new();
        open += usize::from(timeout(Duration::from_millis(2), stream.read_to_end(&mut rest)).await.is_err());
    }
    open
}

/// The same once there are no more than these, which may take a slow machine a while.
async fn open_at_most(streams: &mut [TcpStream], most: usize) -> usize {
    let began = Instant::now();
    loop {
        let open = open_ones(streams).await;
        if open <= most || began.elapsed() > PATIENCE {
            return open;
        }
    }
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    const PLACES: usize = 200;
    let by_address = ServerBounds { connections_by_address: PLACES, ..ServerBounds::default() };
    for (row, bounds) in [
        ("A58 all", ServerBounds { connections: PLACES, ..ServerBounds::default() }),
        ("A58 T42 of one address", by_address),
    ] {
        // Nobody is closed for idling as long as this test runs.
        let never = Duration::from_secs(600);
        let bounds = ServerBounds { head: never, idle: never, ..bounds };
        let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
        let mut streams = idle(&rig, 4 * PLACES).await;
        // Without room made for them they would wait as long as the idle ones stay.
        for newcomer in 0..20 {
            let served = timeout(PATIENCE, rig.assert_ready()).await;
            assert!(served.is_ok(), "{row}: newcomer {newcomer} waits");
        }
        let open = open_at_most(&mut streams, PLACES).await;
        assert!(open <= PLACES, "{row}: {open} connections are open");
        assert!(open > PLACES / 2, "{row}: no more are closed than needed: {open} are open");
        println!("counted | requests | {row}: idle connections on {PLACES} places | {}", streams.len());
    }
}

#[tokio::test]
async fn requests_under_way_are_not_closed_for_new_ones() {
    const PLACES: usize = 10;
    let bounds =
        ServerBounds { connections: PLACES, head: Duration::from_secs(600), ..ServerBounds::default() };
    let rig = Rig::with(Contract::builtin("aira").unwrap(), bounds).await;
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let bytes = ask.header("Expect", "100-continue").bytes();
    let (front, back) = bytes.split_at(bytes.len() - 1);
    let mut busy = TcpStream::connect(rig.address).await.unwrap();
    busy.write_all(front).await.unwrap();
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let _streams = idle(&rig, 10 * PLACES).await;
    rig.assert_ready().await;
    busy.write_all(back).await.unwrap();
    assert_eq!(read(&mut busy).await.status, 201);
}

#[tokio::test]
async fn answers_that_nobody_reads_do_not_stay() {
    let rig = Rig::with(Contract::builtin("aira").unwrap(), impatient()).await;
    let asks = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    let mut deaf = TcpStream::connect(rig.address).await.unwrap();
    // Its answers fill the buffers between us; then it is closed, or this never ends.
    let asking = async {
        while deaf.write_all(&asks).await.is_ok() {
            eprintln!("SENT {:?}", Instant::now());
        }
    };
    timeout(Duration::from_secs(10), asking).await.expect("closed");
    rig.assert_ready().await;
}

/// One byte at a time is no way round the time limits.
#[tokio::test]
async fn drip_fed_requests_are_ended_in_time() {
    let rig = Rig::with(Contract::builtin("aioka").unwrap(), impatient()).await;
    let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
    let whole = ask.bytes();
    let head = whole.len() - ask.body.as_ref().unwrap().len();
    for (row, at_once) in [("A53 head", 0), ("A53 body", head)] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&whole[..at_once]).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let drip = async {
            let mut drops = tokio::time::interval(Duration::from_millis(20));
            for byte in &whole[at_once..whole.len() - 1] {
                drops.tick().await;
                if writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        let ended = async { reading.read_to_end(&mut answer).await };
        tokio::select! {
            () = drip => {}
            ended = timeout(Duration::from_secs(5), ended) => drop(ended.unwrap_or_else(|_| panic!("{row}: ended in time"))),
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{row}: {text}");
    }
    assert_eq!(rig.webhooks().await, 0);
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
