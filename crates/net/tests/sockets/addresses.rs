//! Which addresses are dialled, with a name server of our own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste_net::Probe;

use crate::rig::zone::Zone;
use crate::rig::{
    BEYOND, ConnectProxy, Filtered, Receiver, Rig, Setup, Step, TRIES, closed, detail, in_time, told,
};

const INSIDE: &[&str] = &["127.0.0.0/8"];

fn rig(allow: &[&str], names: &Zone) -> Rig {
    Rig::new(Setup { allow, name_server: Some(names.address), ..Setup::default() })
}

/// The same with a way out that leads nowhere: should the guard let through what it must not, it stays on this host.
fn rig_through(proxy: &ConnectProxy, allow: &[&str], names: &Zone) -> Rig {
    let (name_server, proxy) = (Some(names.address), Some(proxy.url()));
    Rig::new(Setup { allow, name_server, proxy, ..Setup::default() })
}

fn url(receiver: &Receiver) -> String {
    format!("http://hooks.example.com:{}/", receiver.address.port())
}

#[tokio::test]
async fn a_forbidden_address_is_never_dialled() {
    let (receiver, proxy) = (Receiver::steady().await, ConnectProxy::refusing().await);
    for addresses in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "8.8.8.8"],
        &["8.8.8.8", "::1"],
        &["8.8.8.8", "fd00::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
    ] {
        let names = Zone::saying(addresses).await;
        let is_here = addresses.iter().all(|address| address.starts_with("127."));
        let rig = if is_here { rig(&[], &names) } else { rig_through(&proxy, &[], &names) };
        let sent = rig.send(&url(&receiver)).await;
        assert_eq!(told(&sent.outcome), "target_forbidden", "{addresses:?}");
        assert_eq!(detail(&sent.outcome), "The target is not one that deliveries may go to.");
        assert!(rig.dialler.admit(&url(&receiver)).await.is_err(), "{addresses:?}");
    }
    assert_eq!((receiver.accepts(), proxy.targets().len()), (0, 0));
}

#[tokio::test]
async fn an_allowed_address_is_dialled() {
    let receiver = Receiver::steady().await;
    let names = Zone::saying(&["127.0.0.1"]).await;
    let rig = rig(INSIDE, &names);
    assert_eq!(told(&rig.send(&url(&receiver)).await.outcome), "200 2B");
    assert!(rig.dialler.admit(&url(&receiver)).await.is_ok());
    assert!(names.lookups() >= 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::steady().await;
    let names = Zone::saying(&["127.0.0.2", "127.0.0.3", "127.0.0.1"]).await;
    assert_eq!(told(&rig(INSIDE, &names).send(&url(&receiver)).await.outcome), "200 2B");
}

#[tokio::test]
async fn a_name_that_turns_inwards_later_is_refused_then() {
    let receiver = Receiver::steady().await;
    let asked = AtomicUsize::new(0);
    let names = Zone::start(move |question| {
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        // The first lookup is for both families.
        vec![question.addresses(if turn < 2 { &["127.0.0.1"] } else { &["127.8.0.1"] })]
    })
    .await;
    let rig = rig(&["127.0.0.1/32"], &names);
    assert_eq!(told(&rig.send(&url(&receiver)).await.outcome), "200 2B");
    rig.transport.close_idle();
    assert_eq!(told(&rig.send(&url(&receiver)).await.outcome), "target_forbidden");
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    let receiver = Receiver::steady().await;
    for (names, expected) in [
        (Zone::failing(3).await, "The host name does not resolve."),
        (Zone::saying(&[]).await, "The host name does not resolve."),
        (Zone::failing(2).await, "The name servers gave no usable answer."),
    ] {
        let rig = rig(&[], &names);
        let sent = rig.send(&url(&receiver)).await;
        assert_eq!((told(&sent.outcome).as_str(), detail(&sent.outcome)), ("dns_error", expected));
        assert!(rig.dialler.admit(&url(&receiver)).await.is_ok(), "it may resolve later");
    }
}

#[tokio::test]
async fn name_servers_that_do_not_answer_or_make_no_sense_end_at_the_limit() {
    let receiver = Receiver::steady().await;
    let garbage = Zone::start(|question| {
        // Nine answers are announced and none is there.
        let mut packet = question.refusal(0);
        packet[7] = 9;
        packet.extend_from_slice(&[0xc0, 0x0c, 0xff]);
        vec![packet]
    });
    let silent = Zone::start(|_| Vec::new());
    for (names, expected) in [(silent.await, "timeout"), (garbage.await, "dns_error")] {
        let rig = rig(&[], &names);
        let sent = in_time(async || rig.send(&url(&receiver)).await).await;
        assert_eq!(told(&sent.outcome), expected, "{}", detail(&sent.outcome));
    }
    assert_eq!(receiver.accepts(), 0);
}

#[tokio::test]
async fn localhost_is_this_host_and_needs_an_allowed_network() {
    let receiver = Receiver::steady().await;
    let local = |name: &str| format!("http://{name}:{}/", receiver.address.port());
    let both = Rig::new(Setup { allow: &["127.0.0.0/8", "::1/128"], ..Setup::default() });
    for name in ["localhost", "a.localhost"] {
        assert_eq!(told(&both.send(&local(name)).await.outcome), "200 2B", "{name}");
        assert!(both.dialler.admit(&local(name)).await.is_ok());
    }
    let one_family = Rig::new(Setup { allow: &["127.0.0.0/8"], ..Setup::default() });
    assert_eq!(told(&one_family.send(&local("localhost")).await.outcome), "200 2B");
    assert!(one_family.dialler.admit(&local("localhost")).await.is_ok());
    let elsewhere = Rig::new(Setup { allow: &["10.0.0.0/8"], ..Setup::default() });
    assert_eq!(told(&elsewhere.send(&local("localhost")).await.outcome), "target_forbidden");
    let refusal = elsewhere.dialler.admit(&local("localhost")).await.unwrap_err();
    assert_eq!(refusal.rule.word(), "ip_forbidden");
}

#[tokio::test]
async fn rules_that_only_an_allowed_network_lifts_hold_for_all_others() {
    let (names, proxy) = (Zone::saying(&["8.8.8.8"]).await, ConnectProxy::refusing().await);
    let rig = rig_through(&proxy, INSIDE, &names);
    for (url, rule) in [
        ("https://receiver/", "single_label"),
        ("https://vault.internal/", "name_forbidden"),
        ("https://hooks.example.com:25/", "port_forbidden"),
    ] {
        assert_eq!(rig.dialler.admit(url).await.unwrap_err().rule.word(), rule);
        assert_eq!(told(&rig.send(url).await.outcome), "target_forbidden");
    }
}

#[tokio::test]
async fn names_that_do_not_resolve_are_not_lifted_by_an_allowed_network() {
    let names = Zone::failing(3).await;
    let refusal = rig(INSIDE, &names).dialler.admit("https://vault.internal/").await.unwrap_err();
    assert_eq!(refusal.rule.word(), "name_forbidden");
}

#[tokio::test]
async fn the_operator_may_name_an_address_and_no_other() {
    let receiver = Receiver::steady().await;
    let entry = format!("hooks.example.com:8080:{}", receiver.address);
    let names = Zone::saying(&["127.0.0.1"]).await;
    let setup = Setup { connect_to: &[entry], name_server: Some(names.address), ..Setup::default() };
    let rig = Rig::new(setup);
    assert_eq!(told(&rig.send("http://hooks.example.com:8080/").await.outcome), "200 2B");
    let (_, request) = receiver.requests().remove(0);
    assert!(request.contains("\r\nHost: hooks.example.com:8080\r\n"), "{request}");
    let other = format!("http://hooks.example.com:{}/", receiver.address.port());
    assert_eq!(told(&rig.send(&other).await.outcome), "target_forbidden");
}

#[tokio::test]
async fn an_allowed_network_counts_for_whole_answers_only() {
    let (receiver, proxy) = (Receiver::steady().await, ConnectProxy::refusing().await);
    let mut rows = 0;
    for (addresses, expected) in [
        (&["127.0.0.1"][..], "200 2B"),
        (&["127.0.0.2", "127.0.0.1"], "200 2B"),
        (&["127.0.0.1", "8.8.8.8"], "target_forbidden"),
        (&["8.8.8.8", "127.0.0.1"], "target_forbidden"),
        (&["127.0.0.1", "10.0.0.1"], "target_forbidden"),
        (&["127.0.0.1", "::1"], "target_forbidden"),
    ] {
        let names = Zone::saying(addresses).await;
        let rig = match expected {
            "target_forbidden" => rig_through(&proxy, INSIDE, &names),
            _ => rig(INSIDE, &names),
        };
        let sent = rig.send(&url(&receiver)).await;
        assert_eq!(told(&sent.outcome), expected, "{addresses:?}");
        if expected == "target_forbidden" {
            assert_eq!(sent.duration, Duration::ZERO, "{addresses:?}: it says nothing of the place");
        }
        rows += 1;
    }
    println!("counted | guard | answers of names beside an allowed network | {rows}");
}

/// The rules about ports and names are lifted by allowed networks, not by an address that the operator names.
#[tokio::test]
async fn an_address_by_the_operator_lifts_no_rule_about_ports() {
    let receiver = Receiver::steady().await;
    for allow in [&[][..], &["10.0.0.0/8"]] {
        let entry = format!("hooks.example.com:25:{}", receiver.address);
        let rig = Rig::new(Setup { allow, connect_to: &[entry], ..Setup::default() });
        let refusal = rig.dialler.admit("http://hooks.example.com:25/").await.unwrap_err();
        assert_eq!(refusal.rule.word(), "port_forbidden");
    }
}

#[tokio::test]
async fn probes_tell_closed_filtered_forbidden_and_slow_places_alike() {
    const LIMIT: Duration = Duration::from_millis(300);
    let (filtered, closed) = (Filtered::start().await, closed().await);
    let (slow, plain) = (Receiver::always(vec![Step::Hold]).await, Receiver::steady().await);
    let names = Zone::saying(&["127.0.0.1"]).await;
    let mut told_apart = std::collections::BTreeSet::new();
    let mut rows = 0;
    for (what, address, allow) in [
        ("closed", closed, INSIDE),
        ("filtered", filtered.address, INSIDE),
        ("forbidden", slow.address, &[]),
        ("slow TLS", slow.address, INSIDE),
        ("no TLS", plain.address, INSIDE),
    ] {
        let rig = rig(allow, &names);
        let target = rig.guard.check_url(&format!("https://hooks.example.com:{}/", address.port())).unwrap();
        let mut took = Vec::new();
        while took.len() < TRIES && took.last().is_none_or(|last| *last > LIMIT + BEYOND) {
            let begun = tokio::time::Instant::now();
            let verdict = rig.dialler.probe(&target, &[Probe::Public, Probe::Tls], LIMIT, ()).await;
            took.push(begun.elapsed());
            told_apart.insert(verdict.expect_err(what).to_string());
        }
        assert!(took.iter().all(|took| *took >= LIMIT), "{what}: {took:?}");
        assert!(took.iter().any(|took| *took <= LIMIT + BEYOND), "{what}: {took:?}");
        rows += 1;
    }
    assert_eq!(told_apart.len(), 1, "{told_apart:?}");
    println!("counted | guard | places a probe does not tell apart | {rows}");
}
