//! What is sent, and what is kept of an answer.

use std::time::Duration;

use posthaste_core::{FaultKind, Outcome};

use crate::rig::{Receiver, Rig, Step, detail, fault_kind, told};

fn answer(text: &str) -> Vec<Step> {
    vec![Step::Read, Step::Send(text.into()), Step::Hold]
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let receiver = Receiver::steady().await;
    Rig::local().send(&receiver.url()).await;
    let (_, request) = receiver.requests().remove(0);
    let expected = format!(
        "POST /hook?x=1 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nUser-Agent: Test/1\r\n\
         X-Sig-V1: abc\r\nContent-Length: 7\r\n\r\n{{\"a\":1}}",
        receiver.address
    );
    assert_eq!(request, expected);
}

#[tokio::test]
async fn headers_of_refusals_are_kept() {
    let text = "HTTP/1.1 503 Later\r\nRetry-After: 60\r\nX-Bin: \u{1f4a9}\r\nContent-Length: 3\r\n\r\nno!";
    let receiver = Receiver::always(answer(text)).await;
    let Outcome::Answered(response) = Rig::local().send(&receiver.url()).await.outcome else {
        panic!("it answers")
    };
    assert_eq!(response.header("Retry-After"), Some("60"));
    assert_eq!(response.header("x-bin"), Some("\u{1f4a9}"));
    assert_eq!(response.body, b"no!");
}

#[tokio::test]
async fn an_endless_body_is_delivered_and_cut_within_bounds() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let receiver = Receiver::always(vec![Step::Read, head, Step::Endless(vec![b'x'; 1024])]).await;
    let sent = Rig::local().send(&receiver.url()).await;
    assert_eq!(told(&sent.outcome), "200 16384B cut");
    receiver.ended(1).await;
    // What the receiver could send beyond what was read lay in the kernel's buffers.
    assert!(receiver.sent_bytes() < 16 * 1024 * 1024, "{} bytes", receiver.sent_bytes());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::steady().await;
    let text = format!("HTTP/1.1 307 T\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url());
    let receiver = Receiver::always(answer(&text)).await;
    let sent = Rig::local().send(&receiver.url()).await;
    assert_eq!(sent.outcome.status(), Some(307));
    assert_eq!((receiver.requests().len(), elsewhere.accepts()), (1, 0));
}

#[tokio::test]
async fn nobody_listening_is_a_connect_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let sent = Rig::local().send(&url).await;
    assert_eq!(fault_kind(&sent.outcome), Some(FaultKind::ConnectFailed));
    assert_eq!(detail(&sent.outcome), "The receiver refused the connection.");
}

#[tokio::test]
async fn a_malformed_header_is_our_own_fault_and_nothing_is_sent() {
    let receiver = Receiver::steady().await;
    let rig = Rig::local();
    for (name, value) in [("x y", "v"), ("x", "a\r\nb: c")] {
        let mut request = rig.request(1, &receiver.url());
        request.headers.push(name, value);
        let sent = posthaste_net::Transport::send(&rig.transport, request).await;
        assert_eq!(fault_kind(&sent.outcome), Some(FaultKind::Internal));
    }
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn an_attempt_that_ran_out_of_time_leaves_no_connection_behind() {
    let drips = Step::Drip(b"HTTP/1.1 200 OK\r\n".repeat(99));
    let stalls = Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec());
    for script in [vec![Step::Hold], vec![Step::Read, drips], vec![Step::Read, stalls, Step::Hold]] {
        let receiver = Receiver::always(script).await;
        let rig = Rig::local();
        rig.send(&receiver.url()).await;
        receiver.ended(1).await;
    }
}

/// More than the buffers of both kernels hold.
const LARGE_BYTES: usize = 16 * 1024 * 1024;

#[tokio::test]
async fn an_answer_that_comes_before_the_request_was_read_counts() {
    const TOO_LARGE: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    let endless = Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    for (name, script, expected) in [
        ("and closes", vec![Step::Send(TOO_LARGE.into())], "413 2B"),
        ("and waits", vec![Step::Send(TOO_LARGE.into()), Step::Hold], "413 2B"),
        ("and reads it all", vec![Step::Send(TOO_LARGE.into()), Step::Read, Step::Hold], "413 2B"),
        ("and talks on", vec![endless, Step::Endless(vec![b'x'; 65_536])], "200 16384B cut"),
        ("with none", vec![], "connection_lost"),
        ("resets", vec![Step::Reset], "connection_lost"),
    ] {
        let receiver = Receiver::always(script).await;
        let rig = Rig::local();
        let mut request = rig.request(1, &receiver.url());
        request.body = vec![b'b'; LARGE_BYTES].into();
        let sent = posthaste_net::Transport::send(&rig.transport, request).await;
        assert_eq!(told(&sent.outcome), expected, "{name}");
        receiver.ended(1).await;
        assert_eq!(
            receiver.accepts(),
            1,
            "{name}: such a connection does not serve again, nor is it replaced"
        );
    }
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole() {
    for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 100_000, 1_000_000] {
        let receiver = Receiver::steady().await;
        let rig = Rig::local();
        for _ in 0..2 {
            let mut request = rig.request(1, &receiver.url());
            request.timeout = Duration::from_secs(10);
            request.body = vec![b'b'; length].into();
            let sent = posthaste_net::Transport::send(&rig.transport, request).await;
            assert_eq!(told(&sent.outcome), "200 2B", "{length}");
        }
        for (number, request) in receiver.requests() {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!((number, body.len()), (0, length));
            assert!(head.ends_with(&format!("\r\nContent-Length: {length}")), "{head}");
        }
    }
}
