//! An attempt ends within its time limit, whatever keeps it busy.

use std::time::Duration;

use posthaste_net::Transport;
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{Authority, HOST, Receiver, Rig, Setup, Step, TIMEOUT, told, trusted};

const BEYOND: Duration = Duration::from_millis(250);
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
            let receiver = Receiver::start(vec![script.clone()], tls).await;
            let port = receiver.address.port();
            let entry = format!("{HOST}:{port}:{}", receiver.address);
            let roots = Some(trusted(&authority));
            let rig = Rig::new(Setup { connect_to: &[entry], roots, ..Setup::default() });
            let mut request = rig.request(1, &format!("{scheme}://{HOST}:{port}/"));
            request.body = vec![b'b'; LARGE_BYTES].into();
            let sent = rig.transport.send(request).await;
            assert_eq!(told(&sent.outcome), expected, "{scheme}, {name}");
            assert!(sent.duration <= TIMEOUT + BEYOND, "{scheme}, {name}: {:?}", sent.duration);
            rows += 1;
        }
    }
    println!("counted | receivers | receivers that do not read | {rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_backlog_is_full_is_waited_for_until_the_limit() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Nobody accepts, so that connections stop being made after a few.
    while let Ok(made) = tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
        waiting.push(made.unwrap());
        assert!(waiting.len() < 100, "the backlog is never full");
    }
    let sent = Rig::local().send(&format!("http://{address}/")).await;
    assert_eq!(told(&sent.outcome), "timeout");
    assert!(sent.duration <= TIMEOUT + BEYOND, "{:?}", sent.duration);
}
