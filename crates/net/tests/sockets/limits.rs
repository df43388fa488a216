//! An attempt ends within its time limit, whatever keeps it busy.

use posthaste_net::Transport;

use crate::rig::{Authority, Filtered, HOST, Receiver, Rig, Setup, Step, in_time, told, trusted};

/// More than the buffers of both kernels hold: the receiver's window closes.
const LARGE_BYTES: usize = 16 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_takes_the_request_slowly_or_not_at_all_holds_an_attempt() {
    let authority = Authority::new("ours");
    let endless = Step::Endless(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n".to_vec());
    let stalls = Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec());
    let drips = Step::Drip(b"HTTP/1.1 200 OK\r\nX: ".repeat(99));
    let scripts = [
        ("reads nothing", vec![Step::Deaf], "timeout"),
        ("reads some and then nothing", vec![Step::Hear, Step::Deaf], "timeout"),
        ("drips a head and reads nothing", vec![drips, Step::Deaf], "timeout"),
        ("begins an answer and reads nothing", vec![stalls, Step::Deaf], "200 3B cut"),
        ("sends a head without end and reads nothing", vec![endless], "bad_response"),
    ];
    let mut rows = 0;
    for (name, script, expected) in scripts {
        for tls in [None, Some(authority.for_name(HOST))] {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let sent = in_time(async || {
                let receiver = Receiver::start(vec![script.clone()], tls.clone()).await;
                let port = receiver.address.port();
                let entry = format!("{HOST}:{port}:{}", receiver.address);
                let roots = Some(trusted(&authority));
                let rig = Rig::new(Setup { connect_to: &[entry], roots, ..Setup::default() });
                let mut request = rig.request(1, &format!("{scheme}://{HOST}:{port}/"));
                request.body = vec![b'b'; LARGE_BYTES].into();
                rig.transport.send(request).await
            });
            assert_eq!(told(&sent.await.outcome), expected, "{scheme}, {name}");
            rows += 1;
        }
    }
    println!("counted | receivers | receivers that do not read | {rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_backlog_is_full_is_waited_for_until_the_limit() {
    let filtered = Filtered::start().await;
    let rig = Rig::local();
    let sent = in_time(async || rig.send(&format!("http://{}/", filtered.address)).await).await;
    assert_eq!(told(&sent.outcome), "timeout");
}
