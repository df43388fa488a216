//! Deliveries through a proxy: it is told judged addresses and nothing else.

use std::net::SocketAddr;
use std::time::Duration;

use posthaste_net::{Guard, GuardPolicy, Probe};

use crate::rig::zone::Zone;
use crate::rig::{
    Authority, ConnectProxy, Filtered, Manner, OK, Receiver, Rig, Setup, answering, detail, in_time, policy,
    told,
};

const INSIDE: &[&str] = &["127.0.0.0/8"];
const PASSWORD: &str = "open-sesame";

fn through(proxy: SocketAddr) -> String {
    format!("http://user:{PASSWORD}@{proxy}")
}

#[tokio::test]
async fn both_schemes_go_through_it_by_address() {
    let authority = Authority::new("Test roots");
    let plain = Receiver::steady().await;
    let tls = authority.for_name("hooks.example.com");
    let secured = Receiver::start(vec![answering(8, OK)], Some(tls)).await;
    let (names, proxy) = (Zone::saying(&["127.0.0.1"]).await, ConnectProxy::start(Manner::Tunnel).await);
    let rig = Rig::new(Setup {
        allow: INSIDE,
        name_server: Some(names.address),
        roots: Some(authority.pem()),
        proxy: Some(through(proxy.address)),
        ..Setup::default()
    });
    for (scheme, receiver) in [("http", &plain), ("https", &secured)] {
        let authority = format!("hooks.example.com:{}", receiver.address.port());
        for _ in 0..2 {
            assert_eq!(told(&rig.send(&format!("{scheme}://{authority}/")).await.outcome), "200 2B");
        }
        let (_, request) = receiver.requests().remove(0);
        assert!(request.contains(&format!("\r\nHost: {authority}\r\n")), "{request}");
        assert!(!request.to_lowercase().contains("proxy"), "{request}");
        assert_eq!(receiver.accepts(), 1, "the tunnel is pooled");
    }
    assert_eq!(proxy.targets(), [plain.address.to_string(), secured.address.to_string()]);
    for head in proxy.heads() {
        assert!(!head.contains("example.com"), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic dXNlcjpvcGVuLXNlc2FtZQ==\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_through_it_as_well() {
    let authority = Authority::new("Test roots");
    let tls = authority.for_name("other.example.com");
    let receiver = Receiver::start(vec![answering(1, OK)], Some(tls)).await;
    let (names, proxy) = (Zone::saying(&["127.0.0.1"]).await, ConnectProxy::start(Manner::Tunnel).await);
    let rig = Rig::new(Setup {
        allow: INSIDE,
        name_server: Some(names.address),
        roots: Some(authority.pem()),
        proxy: Some(through(proxy.address)),
        ..Setup::default()
    });
    let url = format!("https://hooks.example.com:{}/", receiver.address.port());
    assert_eq!(told(&rig.send(&url).await.outcome), "tls_error");
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_policy_that_changes_reaches_tunnels_in_the_pool() {
    let (receiver, proxy) = (Receiver::steady().await, ConnectProxy::start(Manner::Tunnel).await);
    let rig = Rig::new(Setup { allow: INSIDE, proxy: Some(through(proxy.address)), ..Setup::default() });
    assert_eq!(told(&rig.send(&receiver.url()).await.outcome), "200 2B");
    let request = rig.request(1, &receiver.url());
    rig.guard.replace(policy(&[]));
    let sent = posthaste_net::Transport::send(&rig.transport, request).await;
    assert_eq!(told(&sent.outcome), "target_forbidden");
    assert_eq!((proxy.heads().len(), receiver.requests().len()), (1, 1));
}

/// Sends to a URL whose text was let through by a guard that lets everything through: what is left is the judgement at
/// the connect. `None` if the text itself is no URL that could be sent to.
async fn forced(rig: &Rig, url: &str) -> Option<String> {
    let open = Guard::new(GuardPolicy::default().allowing_any_net());
    let target = std::sync::Arc::new(open.check_url(url).ok()?);
    let request = posthaste_net::Outgoing { target, ..rig.request(1, "https://hooks.example.com/") };
    Some(told(&posthaste_net::Transport::send(&rig.transport, request).await.outcome))
}

/// Every case of the table through a proxy that makes no connections; names lead to `address`.
async fn cases_through_a_proxy(address: &str, expect_names: &str) -> (usize, Vec<String>) {
    let names = Zone::saying(&[address]).await;
    let proxy = ConnectProxy::refusing().await;
    let setup =
        Setup { name_server: Some(names.address), proxy: Some(through(proxy.address)), ..Setup::default() };
    let rig = Rig::new(setup);
    let mut rows = 0;
    for line in include_str!("../fixtures/url-guard.tsv").lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let url: String = serde_json::from_str(&format!("\"{}\"", cells[1])).unwrap();
        let is_literal = url.contains("://1.1.1.1") || url.contains("://[2001:4860");
        let expected = match (cells[2], is_literal, cells[3].starts_with("rule 10")) {
            ("accept", true, _) => "connect_failed",
            ("accept", ..) | (.., true) => expect_names,
            _ => "target_forbidden",
        };
        if let Some(told) = forced(&rig, &url).await {
            assert_eq!(told, expected, "{line}");
        } else {
            assert_eq!(cells[2], "reject", "{line}");
        }
        rows += 1;
    }
    (rows, proxy.targets())
}

#[tokio::test]
async fn it_is_never_asked_for_a_forbidden_address() {
    let (rows, targets) = cases_through_a_proxy("169.254.169.254", "target_forbidden").await;
    assert_eq!(targets, ["[2001:4860:4860::8888]:443", "1.1.1.1:443"]);
    let (again, more) = cases_through_a_proxy("8.8.8.8", "connect_failed").await;
    let is_public = |target: &String| {
        ["8.8.8.8:", "1.1.1.1:", "[2001:4860:4860::8888]:"].iter().any(|known| target.starts_with(known))
    };
    assert!(more.len() > targets.len() && more.iter().all(is_public), "{more:?}");
    let forbidden = targets.iter().chain(&more).filter(|target| !is_public(target)).count();
    println!("counted | guard | url rows sent through a proxy | {}", rows + again);
    println!("counted | guard | connections to forbidden addresses asked of the proxy | {forbidden}");
}

#[tokio::test]
async fn faults_of_the_proxy_are_told_as_such() {
    let receiver = Receiver::steady().await;
    let head = |status: &str| Manner::Say(format!("HTTP/1.1 {status}\r\n\r\n").into_bytes());
    let through_it = "The proxy that deliveries go through";
    let refused =
        |status: u16| format!("{through_it} made no connection to the receiver (it answered {status}).");
    let not_understood = format!("{through_it} gave an answer that cannot be understood.");
    let late =
        "The time limit passed while the proxy that deliveries go through made the connection.".to_owned();
    let closed = format!("{through_it} closed the connection.");
    let mut rows = 0;
    for (manner, kind, sentence) in [
        (head("403 Forbidden"), "connect_failed", refused(403)),
        (head("502 Bad Gateway"), "connect_failed", refused(502)),
        (head("100 Continue"), "connect_failed", refused(100)),
        (head("302 Found\r\nLocation: http://127.0.0.1/"), "connect_failed", refused(302)),
        (head("407 Who are you"), "connect_failed", format!("{through_it} refused our credentials.")),
        (head("200 OK\r\n\r\nHTTP/1.1 200 OK"), "connect_failed", not_understood.clone()),
        (Manner::Say(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), "connect_failed", not_understood.clone()),
        (Manner::Say(b"\x16\x03\x01\0\0".to_vec()), "connect_failed", not_understood.clone()),
        (Manner::Say(b"HTTP/1.1 200".to_vec()), "connect_failed", closed.clone()),
        (Manner::Say(Vec::new()), "connect_failed", closed),
        (Manner::Endless(b"HTTP/1.1 200 OK\r\n".to_vec()), "connect_failed", not_understood.clone()),
        (Manner::Endless(vec![b'x'; 4096]), "connect_failed", not_understood.clone()),
        (
            Manner::Say([b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 16 * 1024]].concat()),
            "connect_failed",
            not_understood,
        ),
        (Manner::Stall(Vec::new()), "timeout", late.clone()),
        (Manner::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), "timeout", late),
    ] {
        let proxy = ConnectProxy::start(manner).await;
        let rig = Rig::new(Setup { allow: INSIDE, proxy: Some(through(proxy.address)), ..Setup::default() });
        let sent = in_time(async || rig.send(&receiver.url()).await).await;
        assert_eq!((told(&sent.outcome).as_str(), detail(&sent.outcome)), (kind, sentence.as_str()));
        assert!(!detail(&sent.outcome).contains(PASSWORD));
        rows += 1;
    }
    assert_eq!(receiver.accepts(), 0);
    println!("counted | guard | faults of a proxy | {rows}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_and_not_gone_around() {
    let receiver = Receiver::steady().await;
    let names = Zone::failing(3).await;
    for (proxy, sentence) in [
        ("http://127.0.0.1:9", "The proxy that deliveries go through cannot be reached."),
        ("http://proxy.example:9", "The name of the proxy that deliveries go through does not resolve."),
    ] {
        let setup = Setup {
            allow: INSIDE,
            name_server: Some(names.address),
            proxy: Some(proxy.to_owned()),
            ..Setup::default()
        };
        let sent = Rig::new(setup).send(&receiver.url()).await;
        assert_eq!((told(&sent.outcome).as_str(), detail(&sent.outcome)), ("connect_failed", sentence));
    }
    assert_eq!(receiver.accepts(), 0);
}

#[tokio::test]
async fn every_address_of_its_name_gets_a_share_of_the_time() {
    let (receiver, filtered) = (Receiver::steady().await, Filtered::start().await);
    let elsewhere = format!("127.0.0.2:{}", filtered.address.port());
    let proxy = ConnectProxy::start_at(&elsewhere, Manner::Tunnel).await;
    let mut rows = 0;
    for (addresses, expected) in [
        (&["127.0.0.2"][..], "200 2B"),
        (&["127.0.0.1", "127.0.0.2"], "200 2B"),
        (&["127.0.0.3", "127.0.0.1", "127.0.0.2"], "200 2B"),
        (&["127.0.0.1"], "timeout"),
        (&["127.0.0.3"], "connect_failed"),
    ] {
        let names = Zone::saying(addresses).await;
        let setup = Setup {
            allow: INSIDE,
            name_server: Some(names.address),
            proxy: Some(format!("http://proxy.example:{}", proxy.address.port())),
            ..Setup::default()
        };
        let rig = Rig::new(setup);
        let sent = in_time(async || rig.send(&receiver.url()).await).await;
        assert_eq!(told(&sent.outcome), expected, "{addresses:?}: {}", detail(&sent.outcome));
        rows += 1;
    }
    println!("counted | receivers | addresses of a proxy's name | {rows}");
}

#[tokio::test]
async fn probes_go_through_it_too() {
    let authority = Authority::new("Test roots");
    let tls = authority.for_name("hooks.example.com");
    let receiver = Receiver::start(vec![answering(1, OK)], Some(tls)).await;
    let (names, proxy) = (Zone::saying(&["127.0.0.1"]).await, ConnectProxy::start(Manner::Tunnel).await);
    let rig = Rig::new(Setup {
        allow: INSIDE,
        name_server: Some(names.address),
        roots: Some(authority.pem()),
        proxy: Some(through(proxy.address)),
        ..Setup::default()
    });
    let url = format!("https://hooks.example.com:{}/", receiver.address.port());
    let target = rig.guard.check_url(&url).unwrap();
    let limit = Duration::from_secs(5);
    assert!(rig.dialler.probe(&target, &[Probe::Public, Probe::Tls], limit, ()).await.is_ok());
    assert_eq!(proxy.targets(), [receiver.address.to_string()]);
}
