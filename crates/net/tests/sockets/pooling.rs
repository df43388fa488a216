//! Which connections serve twice, and which never.

use std::sync::Arc;
use std::time::Duration;

use posthaste_net::{HttpTransport, PoolLimits, Transport};
use tokio::task::JoinSet;

use crate::rig::{Authority, HOST, OK, Receiver, Rig, Setup, Step, answering, policy, told};

fn ok() -> Step {
    Step::Send(OK.to_vec())
}

#[tokio::test]
async fn a_good_connection_serves_again() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    for _ in 0..5 {
        assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "200 2B");
    }
    assert_eq!(receiver.accepts(), 1);
}

#[tokio::test]
async fn two_partitions_never_share_a_connection() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    for partition in [1, 2, 1, 2] {
        rig.send_as(partition, &receiver.url()).await;
    }
    let connections: Vec<usize> = receiver.requests().iter().map(|(number, _)| *number).collect();
    assert_eq!(connections, [0, 1, 0, 1]);
}

/// Answers behind which something may follow that nobody asked for.
fn doubtful() -> Vec<(&'static str, String)> {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let endless = "x".repeat(100_000);
    vec![
        ("says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".into()),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".into()),
        ("two answers", ok.repeat(2)),
        ("three answers", ok.repeat(3)),
        ("one byte more", format!("{ok}!")),
        ("a line more", format!("{ok}\r\n")),
        ("a byte behind chunks", format!("{chunks}!")),
        ("an answer behind chunks", format!("{chunks}{ok}")),
        ("an answer behind a 204", format!("HTTP/1.1 204 X\r\n\r\n{ok}")),
        ("a 204 with a length", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n".into()),
        ("a 204 with a body", "HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello".into()),
        ("a 204 in chunks", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n".into()),
        ("a 205 without a length", "HTTP/1.1 205 X\r\n\r\n".into()),
        ("a 304 with a length", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n".into()),
        ("a 304 with a body", "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\nhello".into()),
        ("a 103 with a length", format!("HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\n{ok}")),
        ("a 103 in chunks", format!("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n{ok}")),
        (
            "length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        ("a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n".into()),
        ("101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".into()),
        ("too long", format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{endless}")),
    ]
}

#[tokio::test]
async fn doubtful_connections_serve_once() {
    let authority = Authority::new("ours");
    let mut rows = 0;
    for (name, first) in doubtful() {
        for tls in [None, Some(authority.for_name(HOST))] {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let once = vec![Step::Read, Step::Send(first.clone().into()), Step::Read, ok()];
            let receiver = Receiver::start(vec![once, answering(2, OK)], tls).await;
            let port = receiver.address.port();
            let entry = format!("{HOST}:{port}:{}", receiver.address);
            let rig =
                Rig::new(Setup { connect_to: &[entry], roots: Some(authority.pem()), ..Setup::default() });
            let url = format!("{scheme}://{HOST}:{port}/");
            for partition in [1, 2, 1] {
                rig.send_as(partition, &url).await;
            }
            let connections: Vec<usize> = receiver.requests().iter().map(|(number, _)| *number).collect();
            assert_eq!(connections, [0, 1, 2], "{scheme}, {name}: each on a connection of its own");
            rows += 1;
        }
    }
    println!("counted | receivers | connections that must not serve again | {rows}");
}

#[tokio::test]
async fn an_answer_longer_than_is_kept_but_read_to_its_end_leaves_the_connection_good() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n{}", "x".repeat(40_000));
    let receiver = Receiver::always(answering(2, long.as_bytes())).await;
    let rig = Rig::local();
    for _ in 0..2 {
        assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "200 16384B cut");
    }
    assert_eq!(receiver.accepts(), 1);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let scripts = vec![vec![Step::Read, ok()], vec![Step::Read, ok(), Step::Hold]];
    let receiver = Receiver::start(scripts, None).await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    receiver.ended(1).await;
    assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "200 2B");
    assert_eq!(receiver.accepts(), 2);
}

#[tokio::test]
async fn a_request_that_meets_the_closing_is_sent_again_once() {
    // The first connection takes the second request and closes without a word, as a server does whose idle limit
    // passes at that moment.
    let closing = vec![Step::Read, ok(), Step::Read];
    let receiver = Receiver::start(vec![closing.clone(), vec![Step::Read, ok()]], None).await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "200 2B");
    let connections: Vec<usize> = receiver.requests().iter().map(|(number, _)| *number).collect();
    assert_eq!(connections, [0, 0, 1]);

    let stubborn = Receiver::start(vec![closing, vec![Step::Read]], None).await;
    rig.send(&stubborn.url()).await;
    assert_eq!(told(&rig.send(&stubborn.url()).await.outcome), "connection_lost");
    assert_eq!(stubborn.requests().len(), 3, "sent again once, not more");
}

#[tokio::test]
async fn a_request_that_got_part_of_an_answer_is_not_sent_again() {
    let breaks = vec![Step::Read, ok(), Step::Read, Step::Send(b"HTTP/1.1 200".to_vec())];
    let receiver = Receiver::start(vec![breaks, vec![Step::Read, ok()]], None).await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "connection_lost");
    assert_eq!(receiver.accepts(), 1);
}

#[tokio::test]
async fn a_policy_that_changes_reaches_pooled_connections() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    let request = rig.request(1, &receiver.url());
    rig.guard.replace(policy(&[]));
    let sent = rig.transport.send(request).await;
    assert_eq!(told(&sent.outcome), "target_forbidden");
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn closing_idle_connections_closes_them() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    rig.transport.close_idle();
    receiver.ended(1).await;
    rig.send(&receiver.url()).await;
    assert_eq!(receiver.accepts(), 2);
}

#[tokio::test]
async fn an_old_connection_is_not_used_again_however_busy_it_was() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    rig.send(&receiver.url()).await;
    rig.send(&receiver.url()).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    receiver.ended(1).await;
    rig.send(&receiver.url()).await;
    assert_eq!(receiver.accepts(), 2);
}

#[tokio::test]
async fn a_full_pool_lets_an_old_connection_go() {
    let rig = Rig::local();
    let limits = PoolLimits { per_origin: 1, in_all: 2 };
    let transport = HttpTransport::new(rig.dialler.clone(), limits);
    let receiver = Receiver::steady().await;
    for partition in 1..=5 {
        transport.send(rig.request(partition, &receiver.url())).await;
    }
    receiver.ended(3).await;
    assert_eq!(receiver.accepts(), 5);
}

#[tokio::test]
async fn many_requests_at_once_each_get_their_own_answer() {
    let receiver = Receiver::steady().await;
    let rig = Arc::new(Rig::local());
    for _ in 0..4 {
        let url = receiver.url();
        let sends = (0..20).map(|_| (rig.clone(), url.clone()));
        let mut running: JoinSet<String> =
            sends.map(|(rig, url)| async move { told(&rig.send(&url).await.outcome) }).collect();
        while let Some(told) = running.join_next().await {
            assert_eq!(told.unwrap(), "200 2B");
        }
    }
    assert_eq!(receiver.requests().len(), 80);
    assert!(receiver.accepts() <= 20, "{} connections", receiver.accepts());
}
