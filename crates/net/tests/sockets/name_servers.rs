//! What becomes of an attempt whatever the name servers say: the cases by their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::rig::zone::{A, CUT, Question, Zone, alias, records};
use crate::rig::{Receiver, Rig, Setup, TIMEOUT, detail, told};

const NAME: &str = "hooks.example.com";
/// Longer than a lookup may take.
const PATIENT: Duration = Duration::from_secs(5);
/// What is in here, in the tests, is the public internet; all else of the host is not.
const PUBLIC: &[&str] = &["127.0.0.1/32", "127.9.0.0/16"];
/// What a lookup may take.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(250);

fn rig(zone: &Zone) -> Rig {
    Rig::new(Setup { allow: PUBLIC, name_server: Some(zone.address), ..Setup::default() })
}

fn url(receiver: &Receiver) -> String {
    format!("http://{NAME}:{}/", receiver.address.port())
}

/// One attempt with time enough for the slowest lookup.
async fn attempt(rig: &Rig, receiver: &Receiver) -> String {
    let mut request = rig.request(1, &url(receiver));
    request.timeout = PATIENT;
    let sent = posthaste_net::Transport::send(&rig.transport, request).await;
    assert!(sent.duration < PATIENT + SLACK, "{:?}", sent.duration);
    told(&sent.outcome)
}

type Script = Box<dyn Fn(&Question) -> Vec<Vec<u8>> + Send + Sync>;

fn script(made: impl Fn(&Question) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Script {
    Box::new(made)
}

fn saying(addresses: &'static [&'static str]) -> Script {
    script(move |question| vec![question.addresses(addresses)])
}

fn failing(code: u8) -> Script {
    script(move |question| vec![question.refusal(code)])
}

/// Whatever `script` says for IPv4, and `other` for IPv6.
fn by_family(ipv4: Script, ipv6: Script) -> Script {
    script(move |question| if question.kind == A { ipv4(question) } else { ipv6(question) })
}

/// A chain of aliases for each family, with the addresses at its end.
fn chains(ipv4: usize, ipv6: usize, last: &'static [&'static str]) -> Script {
    script(move |question| {
        let (links, family) = if question.kind == A { (ipv4, "a") } else { (ipv6, "b") };
        let name_at =
            |link: usize| if link == 0 { NAME.to_owned() } else { format!("{family}{link}.example.net") };
        let links_of = (0..links).map(|at| alias(&name_at(at), &name_at(at + 1)));
        let end = records(&name_at(links), question.kind, last);
        vec![question.answer(&links_of.chain(end).collect::<Vec<_>>())]
    })
}

/// A chain of so many names, each an alias of the next, the last one with addresses; all of it in one answer, or each
/// link for the asking.
fn chain(links: usize, last: &'static [&'static str], at_once: bool) -> Script {
    script(move |question| {
        let name_at = |link: usize| if link == 0 { NAME.to_owned() } else { format!("a{link}.example.net") };
        let end = records(&name_at(links), question.kind, last);
        let link = |at: usize| alias(&name_at(at), &name_at(at + 1));
        if at_once {
            let all: Vec<_> = (0..links).map(link).chain(end).collect();
            return vec![question.answer(&all)];
        }
        match (0..links).find(|at| name_at(*at).eq_ignore_ascii_case(&question.name)) {
            Some(at) => vec![question.answer(&[link(at)])],
            None => vec![question.answer(&end)],
        }
    })
}

/// What it is about, what the name server says, and what becomes of an attempt.
type Case = (&'static str, Script, &'static str);

fn cases() -> Vec<Case> {
    let here: &'static [&'static str] = &["127.0.0.1"];
    let both: &'static [&'static str] = &["127.0.0.1", "64:ff9b::7f00:1"];
    let silent = || script(|_| Vec::new());
    let loops = script(|question| {
        let other = if question.name.starts_with("hooks") { "loop.example.net" } else { NAME };
        vec![question.answer(&[alias(&question.name, other)])]
    });
    let inwards = |to: &'static str, ip: &'static [&'static str]| {
        script(move |question| {
            let mut answer = vec![alias(NAME, to)];
            answer.extend(records(to, question.kind, ip));
            vec![question.answer(&answer)]
        })
    };
    vec![
        ("N1 inner address", saying(&["127.8.0.1"]), "target_forbidden"),
        ("N3 good then bad", saying(&["127.0.0.1", "127.8.0.1"]), "target_forbidden"),
        ("N3 bad then good", saying(&["127.8.0.1", "127.0.0.1"]), "target_forbidden"),
        (
            "N3 the last of many",
            saying(&["127.0.0.1", "127.9.0.1", "127.9.0.2", "127.8.169.254"]),
            "target_forbidden",
        ),
        ("N4 AAAA ::1", saying(&["127.0.0.1", "::1"]), "target_forbidden"),
        ("N4 AAAA fd00::1", saying(&["127.0.0.1", "fd00::1"]), "target_forbidden"),
        ("N4 AAAA mapped", saying(&["127.0.0.1", "::ffff:127.8.0.1"]), "target_forbidden"),
        ("N5 one alias", chain(1, here, true), "200 2B"),
        ("N5 one alias asked for", chain(1, here, false), "200 2B"),
        ("N5 eight aliases", chain(8, here, true), "200 2B"),
        ("N5 nine aliases", chain(9, here, true), "dns_error"),
        ("N5 nine aliases asked for", chain(9, here, false), "dns_error"),
        ("N5 a hundred aliases", chain(100, here, true), "dns_error"),
        ("N5 loop", loops, "dns_error"),
        ("N5 five aliases for each family, all different", chains(5, 5, both), "200 2B"),
        ("N5 eight aliases for each family, all different", chains(8, 8, both), "200 2B"),
        ("N5 nine aliases for one family that has no addresses", chains(5, 9, here), "200 2B"),
        ("N5 nine aliases for one family", chains(5, 9, both), "dns_error"),
        ("N5 nine aliases for the other", chains(9, 0, both), "dns_error"),
        ("N5 to localhost", inwards("localhost", &["127.0.0.1"]), "target_forbidden"),
        ("N5 to an inner address", chain(3, &["127.8.0.1"], true), "target_forbidden"),
        ("N5 to an inner address asked for", chain(3, &["127.8.0.1"], false), "target_forbidden"),
        (
            "N6 another case",
            script(|question| vec![question.addresses_of("HOOKS.Example.COM", &["127.0.0.1"])]),
            "200 2B",
        ),
        ("N7 FORMERR", failing(1), "dns_error"),
        ("N7 SERVFAIL", failing(2), "dns_error"),
        ("N7 NXDOMAIN", failing(3), "dns_error"),
        ("N7 NOTIMP", failing(4), "dns_error"),
        ("N7 REFUSED", failing(5), "dns_error"),
        ("N7 an unknown code", failing(15), "dns_error"),
        ("N7 no records", saying(&[]), "dns_error"),
        ("N8 silence", silent(), "dns_error"),
        ("N8 IPv4 alone is answered for", by_family(saying(here), silent()), "200 2B"),
        ("N8 of IPv6 the servers know nothing", by_family(saying(here), failing(2)), "200 2B"),
        ("N8 of IPv6 the servers want to know nothing", by_family(saying(here), failing(5)), "200 2B"),
        ("N8 of IPv6 they say that the name is none", by_family(saying(here), failing(3)), "200 2B"),
        ("N8 silence about IPv6, inner", by_family(saying(&["127.8.0.1"]), silent()), "target_forbidden"),
        ("N8 silence about IPv4, inner", by_family(silent(), saying(&["::1"])), "target_forbidden"),
        ("N8 failure about IPv4, inner", by_family(failing(2), saying(&["fd00::1"])), "target_forbidden"),
        ("N8 no address, and silence", by_family(saying(&[]), silent()), "dns_error"),
        ("N8 failure, and silence", by_family(failing(2), silent()), "dns_error"),
        (
            "N10 cut, and silent over TCP",
            script(|question| if question.is_tcp { Vec::new() } else { vec![question.packet(CUT, 0, &[])] }),
            "dns_error",
        ),
        (
            "N10 cut, whole over TCP",
            script(|question| match question.is_tcp {
                true => vec![question.addresses(&["127.0.0.1"])],
                false => vec![question.packet(CUT, 0, &[])],
            }),
            "200 2B",
        ),
        (
            "N11 another name",
            script(|question| vec![question.addresses_of("evil.example.net", &["127.0.0.1"])]),
            "dns_error",
        ),
        (
            "N11 another id, then right",
            script(|question| {
                let mut wrong = question.addresses(&["127.9.9.9"]);
                wrong[0] ^= 0x55;
                vec![wrong, question.addresses(&["127.0.0.1"])]
            }),
            "200 2B",
        ),
        (
            "N11 another id only",
            script(|question| {
                let mut wrong = question.addresses(&["127.0.0.1"]);
                wrong[1] ^= 1;
                vec![wrong]
            }),
            "dns_error",
        ),
        (
            "N11 a question in place of an answer",
            script(|question| {
                let mut wrong = question.addresses(&["127.0.0.1"]);
                wrong[2] &= 0x7f;
                vec![wrong]
            }),
            "dns_error",
        ),
        (
            "N12 name that points at itself",
            script(|question| {
                let mut packet = question.refusal(0);
                packet[7] = 1;
                let at = packet.len() as u8;
                packet.extend_from_slice(&[0xc0, at, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
                vec![packet]
            }),
            "dns_error",
        ),
        (
            "N12 length that lies",
            script(|question| {
                let mut packet = question.addresses(&["127.0.0.1"]);
                let at = packet.len() - 5;
                if question.kind == A {
                    packet[at] = 200;
                }
                vec![packet]
            }),
            "dns_error",
        ),
        (
            "N12 count that lies",
            script(|question| {
                let mut packet = question.addresses(&["127.0.0.1"]);
                packet[6] = 0xff;
                vec![packet]
            }),
            "dns_error",
        ),
        ("N12 half a header", script(|question| vec![question.refusal(0)[..7].to_vec()]), "dns_error"),
        ("N12 an empty packet", script(|_| vec![Vec::new()]), "dns_error"),
        ("N13 NAT64 of an inner address", saying(&["64:ff9b::7f00:2"]), "target_forbidden"),
        ("N13 NAT64 of the platform", saying(&["64:ff9b::a9fe:a9fe"]), "target_forbidden"),
    ]
}

async fn play(receiver: Arc<Receiver>, case: Case) -> (&'static str, &'static str, String) {
    let (row, script, expected) = case;
    let zone = Zone::start(script).await;
    (row, expected, attempt(&rig(&zone), &receiver).await)
}

#[tokio::test]
async fn every_answer_of_a_name_server_has_its_outcome() {
    let receiver = Arc::new(Receiver::steady().await);
    let mut wrong = Vec::new();
    let (mut rows, mut refused, mut accepted) = (0, 0, 0);
    let played: JoinSet<_> = cases().into_iter().map(|case| play(receiver.clone(), case)).collect();
    for (row, expected, got) in played.join_all().await {
        accepted += usize::from(expected.starts_with("200"));
        refused += usize::from(expected == "target_forbidden");
        rows += 1;
        if got != expected {
            wrong.push(format!("{row}: expected {expected}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(receiver.accepts(), accepted, "only what may be dialled was dialled");
    println!("counted | names | answers of name servers | {rows}");
    println!("counted | names | answers refused for an address or a name in them | {refused}");
}

#[tokio::test]
async fn a_forbidden_name_is_one_as_an_alias_too() {
    for (of, expected) in [
        ("hooks.example.net", None),
        ("metadata.google.internal", Some("name_forbidden")),
        ("printer.LOCAL", Some("name_forbidden")),
        ("vault", Some("single_label")),
    ] {
        let zone = Zone::start(move |question| {
            let all = [vec![alias(NAME, of)], records(of, question.kind, &["8.8.8.8"])].concat();
            vec![question.answer(&all)]
        })
        .await;
        let rig = Rig::new(Setup { name_server: Some(zone.address), ..Setup::default() });
        let verdict = rig.dialler.admit(&format!("https://{NAME}/")).await;
        assert_eq!(verdict.err().map(|refusal| refusal.rule.word()), expected, "{of}");
    }
}

#[tokio::test]
async fn one_lookup_serves_one_attempt_and_its_address_is_dialled() {
    // N2, N6: every second answer is an inner address, or another view; none is kept.
    let receiver = Receiver::steady().await;
    let asked = AtomicUsize::new(0);
    let zone = Zone::start(move |question| {
        let turn = if question.kind == A { asked.fetch_add(1, Ordering::SeqCst) } else { 0 };
        vec![question.addresses(if turn % 2 == 0 { &["127.0.0.1"] } else { &["127.8.0.1"] })]
    })
    .await;
    let rig = rig(&zone);
    for turn in 0..20 {
        let expected = if turn % 2 == 0 { "200 2B" } else { "target_forbidden" };
        assert_eq!(attempt(&rig, &receiver).await, expected, "{turn}");
        rig.transport.close_idle();
        assert_eq!(zone.lookups(), turn + 1);
    }
    assert_eq!(receiver.accepts(), 10);
}

#[tokio::test]
async fn a_warm_pool_does_not_outlive_a_name_that_turns_inwards() {
    // N9; that old connections end however busy they are is a test of the pool's own.
    let receiver = Receiver::steady().await;
    let turned = Arc::new(AtomicUsize::new(0));
    let now = turned.clone();
    let zone = Zone::start(move |question| {
        let inside = now.load(Ordering::SeqCst) == 1;
        vec![question.addresses(if inside { &["127.8.0.1"] } else { &["127.0.0.1"] })]
    })
    .await;
    let rig = rig(&zone);
    for _ in 0..1_000 {
        assert_eq!(attempt(&rig, &receiver).await, "200 2B");
    }
    let connections = receiver.accepts();
    assert_eq!(connections, zone.lookups());
    assert!(connections < 1_000, "the pool was warm");
    turned.store(1, Ordering::SeqCst);
    rig.transport.close_idle();
    assert_eq!(attempt(&rig, &receiver).await, "target_forbidden");
    assert_eq!(receiver.accepts(), connections);
}

#[tokio::test]
async fn of_many_addresses_eight_are_tried() {
    // N10: the receiver's address stands at every place in turn, the others refuse at once.
    let receiver = Receiver::steady().await;
    for (place, expected) in [(0, "200 2B"), (7, "200 2B"), (8, "connect_failed"), (499, "connect_failed")] {
        let zone = Zone::start(move |question| {
            if !question.is_tcp {
                return vec![question.packet(CUT, 0, &[])];
            }
            let mut all: Vec<String> =
                (0..500).map(|n| format!("127.9.{}.{}", n / 250, n % 250 + 1)).collect();
            all[place] = "127.0.0.1".to_owned();
            vec![question.addresses(&all.iter().map(String::as_str).collect::<Vec<_>>())]
        })
        .await;
        assert_eq!(attempt(&rig(&zone), &receiver).await, expected, "{place}");
    }
}

#[tokio::test]
async fn an_answer_as_large_as_can_be_is_read_and_judged_whole() {
    // N10: 64 KiB over TCP, its last address an inner one.
    let receiver = Receiver::steady().await;
    let zone = Zone::start(|question| {
        if !question.is_tcp {
            return vec![question.packet(CUT, 0, &[])];
        }
        let mut all = vec!["127.0.0.1"; 1_900];
        all.push("127.8.0.1");
        let packet = question.addresses(&all);
        assert!(question.kind != A || (60_000..=65_535).contains(&packet.len()), "{}", packet.len());
        vec![packet]
    })
    .await;
    assert_eq!(attempt(&rig(&zone), &receiver).await, "target_forbidden");
    assert_eq!(receiver.accepts(), 0);
}

#[tokio::test]
async fn silence_ends_after_two_seconds_or_with_the_attempt() {
    // N8.
    let receiver = Receiver::steady().await;
    let zone = Zone::start(|_| Vec::new()).await;
    let rig = rig(&zone);
    let mut request = rig.request(1, &url(&receiver));
    request.timeout = PATIENT;
    let sent = posthaste_net::Transport::send(&rig.transport, request).await;
    assert_eq!(told(&sent.outcome), "dns_error");
    assert_eq!(detail(&sent.outcome), "The name servers did not answer in time.");
    assert!((LOOKUP_LIMIT..PATIENT).contains(&sent.duration), "{:?}", sent.duration);
    let sent = rig.send(&url(&receiver)).await;
    assert_eq!(told(&sent.outcome), "timeout");
    assert!(sent.duration < TIMEOUT + SLACK, "{:?}", sent.duration);
}

#[tokio::test]
async fn names_are_asked_for_as_they_are() {
    // N15: nothing is appended, however few dots there are; no file of hosts is read.
    let receiver = Receiver::steady().await;
    let zone = Zone::start(|question| vec![question.refusal(3)]).await;
    assert_eq!(attempt(&rig(&zone), &receiver).await, "dns_error");
    let mut names: Vec<String> =
        zone.asked().into_iter().map(|question| question.name.to_lowercase()).collect();
    names.dedup();
    assert_eq!(names, [NAME]);
}

#[tokio::test]
async fn a_translated_public_address_passes() {
    // N13, the good half: registration judges without dialling.
    let zone = Zone::start(|question| vec![question.addresses(&["64:ff9b::808:808"])]).await;
    let rig = Rig::new(Setup { name_server: Some(zone.address), ..Setup::default() });
    assert!(rig.dialler.admit(&format!("http://{NAME}/")).await.is_ok());
    assert!(zone.lookups() > 0);
}
