//! Certificates that hold, and those that do not.

use std::time::Duration;

use posthaste_net::probe::PROBE_LIMIT;
use posthaste_net::{Probe, Unreachable};
use tokio_rustls::TlsAcceptor;

use crate::rig::{Authority, OK, Receiver, Rig, Setup, Step, answering, detail, self_signed, told};

const NAME: &str = "hooks.example.com";

/// A sender that trusts the authority and finds the name at the receiver.
fn rig(authority: &Authority, receiver: &Receiver) -> Rig {
    let entry = format!("{NAME}:443:{}", receiver.address);
    Rig::new(Setup { connect_to: &[entry], roots: Some(authority.pem()), ..Setup::default() })
}

async fn receiver(tls: TlsAcceptor) -> Receiver {
    Receiver::start(vec![answering(4, OK)], Some(tls)).await
}

fn url() -> String {
    format!("https://{NAME}/hook")
}

#[tokio::test]
async fn a_certificate_that_holds() {
    let authority = Authority::new("ours");
    let receiver = receiver(authority.for_name(NAME)).await;
    let rig = rig(&authority, &receiver);
    for _ in 0..2 {
        assert_eq!(told(&rig.send(&url()).await.outcome), "200 2B");
    }
    assert_eq!(receiver.accepts(), 1);
    let (_, request) = receiver.requests().remove(0);
    assert!(request.contains("\r\nHost: hooks.example.com\r\n"), "{request}");
}

#[tokio::test]
async fn certificates_that_do_not_hold() {
    let authority = Authority::new("ours");
    for (acceptor, expected) in [
        (
            self_signed(NAME),
            "The receiver's certificate is self-signed or from an issuer that is not trusted.",
        ),
        (
            Authority::new("theirs").for_name(NAME),
            "The receiver's certificate is self-signed or from an issuer that is not trusted.",
        ),
        (authority.expired(NAME), "The receiver's certificate has expired."),
        (authority.future(NAME), "The receiver's certificate is not valid yet."),
        (authority.for_name("other.example.com"), "The receiver's certificate is for another name."),
    ] {
        let receiver = receiver(acceptor).await;
        let sent = rig(&authority, &receiver).send(&url()).await;
        assert_eq!(told(&sent.outcome), "tls_error");
        assert_eq!(detail(&sent.outcome), expected);
        assert!(receiver.requests().is_empty(), "not a byte of the request was sent");
    }
}

#[tokio::test]
async fn receivers_that_do_not_speak_tls() {
    let authority = Authority::new("ours");
    for (script, expected) in [
        (vec![Step::Send(OK.to_vec()), Step::Hold], "tls_error"),
        (vec![], "tls_error"),
        (vec![Step::Hold], "timeout"),
    ] {
        let receiver = Receiver::always(script).await;
        let sent = rig(&authority, &receiver).send(&url()).await;
        assert_eq!(told(&sent.outcome), expected, "{}", detail(&sent.outcome));
    }
}

#[tokio::test]
async fn a_probe_passes_where_a_handshake_does() {
    let authority = Authority::new("ours");
    let receiver = receiver(authority.for_name(NAME)).await;
    let rig = rig(&authority, &receiver);
    let target = rig.guard.check_url(&url()).unwrap();
    assert_eq!(rig.dialler.probe(&target, &[Probe::Public, Probe::Tls], PROBE_LIMIT, ()).await, Ok(()));
    assert!(receiver.requests().is_empty(), "no HTTP is spoken");
}

#[tokio::test]
async fn all_failed_probes_look_alike() {
    const LIMIT: Duration = Duration::from_millis(300);
    let authority = Authority::new("ours");
    let wrong_name = receiver(authority.for_name("other.example.com")).await;
    let silent = Receiver::always(vec![Step::Hold]).await;
    let closed = Receiver::always(vec![]).await;
    for receiver in [wrong_name, silent, closed] {
        let rig = rig(&authority, &receiver);
        let target = rig.guard.check_url(&url()).unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(rig.dialler.probe(&target, &[Probe::Tls], LIMIT, ()).await, Err(Unreachable));
        assert!(begun.elapsed() >= LIMIT);
    }
}
