//! A listener that speaks TLS: real sockets, real certificates, clients that keep to nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use rig::{Rig, certificate, get};

/// Longer than any bound here, and than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that comes until the other side closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("closed in time");
    bytes
}

/// The first message of a client that knows TLS up to a version.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    // Cipher suites: RSA with AES-128, elliptic curves with AES-128 in CBC, and in GCM, which came with TLS 1.2.
    body.extend([0, 6, 0x00, 0x2f, 0xc0, 0x13, 0xc0, 0x2b]);
    body.extend([1, 0]);
    // Extensions: ECDSA with SHA-256 on P-256, uncompressed points, and extended master secrets.
    let extensions =
        [&[0, 13, 0, 4, 0, 2, 4, 3][..], &[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0], &[0, 23, 0, 0]]
            .concat();
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![0x16, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[tokio::test]
async fn whoever_speaks_no_sound_tls_is_refused_and_closed() {
    let rig = Rig::start(certificate("localhost").0).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let too_long = [vec![0x16, 3, 1, 0xff, 0xff], vec![1; 70_000]].concat();
    let mut rows = 0;
    for (row, bytes, expected) in [
        ("TLS 1.1", old_hello([3, 2]), &[0x15, 3][..]),
        ("TLS 1.0", old_hello([3, 1]), &[0x15, 3]),
        ("SSL 3.0", old_hello([3, 0]), &[0x15, 3]),
        ("SSL 2.0", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], &[]),
        ("http", request, b"HTTP/1.1 400 "),
        ("another method", b"PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), b"HTTP/1.1 400 "),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), b"HTTP/1.1 400 "),
        ("a record of no handshake", vec![0x17, 3, 3, 0, 1, 0], &[]),
        ("a message cut off", vec![0x16, 3, 1, 0, 4, 0xff, 0xff, 0xff, 0xff], &[]),
        ("a record that is too long", too_long, &[0x15, 3]),
        ("nulls", vec![0; 64], &[]),
        ("nothing, and gone", Vec::new(), &[]),
    ] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with(expected), "{row}: {answer:02x?}");
        assert!(!expected.is_empty() || answer.is_empty(), "{row}: {answer:02x?}");
        rows += 1;
    }
    // The version alone makes the difference: fatal, protocol version; or the server's part of the handshake.
    for (version, first, then) in
        [([3, 1], 0x15, &[2, 70][..]), ([3, 2], 0x15, &[2, 70]), ([3, 3], 0x16, &[2])]
    {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&old_hello(version)).await.unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer[0], &answer[5..5 + then.len()]), (first, then), "{version:?}");
        rows += 1;
    }
    assert!(rig.is_alive().await);
    println!("counted | admin | clients that speak no sound TLS | {rows}");
}

#[tokio::test]
async fn a_handshake_that_stalls_or_drips_is_ended() {
    let rig = Rig::start(certificate("localhost").0).await;
    let hello = old_hello([3, 3]);
    let mut rows = 0;
    for (row, head, drip) in [
        ("silence", &hello[..0], false),
        ("one byte", &hello[..1], false),
        ("half a record", &hello[..20], false),
        ("a drop now and then", &hello[..10], true),
    ] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(head).await.unwrap();
        let closed = async {
            let (mut reading, mut writing) = stream.split();
            let dripping = async {
                for byte in hello[10..].iter().filter(|_| drip) {
                    sleep(Duration::from_millis(40)).await;
                    if writing.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            let mut bytes = Vec::new();
            tokio::select! {
                _ = reading.read_to_end(&mut bytes) => {}
                () = dripping => {}
            }
        };
        timeout(PATIENCE, closed).await.unwrap_or_else(|_| panic!("{row}: still open"));
        rows += 1;
    }
    println!("counted | admin | handshakes that come to no end | {rows}");
}

#[tokio::test]
async fn stalled_handshakes_keep_nobody_out() {
    let rig = Rig::start(certificate("localhost").0).await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&old_hello([3, 3])[..9]).await.unwrap();
        stalled.push(stream);
    }
    assert!(timeout(PATIENCE, rig.is_alive()).await.unwrap());
    println!("counted | admin | stalled handshakes beside a sound client | {}", stalled.len());
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections() {
    let (first, first_root) = certificate("localhost");
    let (second, second_root) = certificate("localhost");
    let rig = Rig::start(first).await;
    let mut old = rig.connect(&first_root, &[b"http/1.1"]).await.unwrap();
    assert!(get(&mut old).await.starts_with("HTTP/1.1 200 "));
    for _ in 0..3 {
        rig.show(second.clone());
        assert!(get(&mut old).await.starts_with("HTTP/1.1 200 "), "the old one goes on");
        assert!(rig.connect(&first_root, &[]).await.is_err(), "the first is not shown any more");
        let mut new = rig.connect(&second_root, &[]).await.unwrap();
        assert!(get(&mut new).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn only_http_1_1_is_agreed_on() {
    let (shown, root) = certificate("localhost");
    let rig = Rig::start(shown).await;
    let mut rows = 0;
    for (offered, agreed) in [
        (&[][..], Some(None)),
        (&[&b"http/1.1"[..]], Some(Some(&b"http/1.1"[..]))),
        (&[b"h2", b"http/1.1"], Some(Some(b"http/1.1"))),
        (&[b"h2"], None),
        (&[b"http/1.0"], None),
    ] {
        let met = rig.connect(&root, offered).await;
        let told = met.as_ref().ok().map(|stream| stream.get_ref().1.alpn_protocol());
        assert_eq!(told, agreed, "{offered:?}");
        rows += 1;
    }
    println!("counted | admin | protocols offered within TLS | {rows}");
}
