//! Answers of name servers with bytes in them that do not belong there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthaste_net::Transport as _;
use tokio::task::JoinSet;

use crate::rig::zone::{A, Question, Zone, alias};
use crate::rig::{ConnectProxy, Rig, Setup, told};

const NAME: &str = "hooks.example.com";
/// Attempts at one time, each for a name of its own.
const AT_ONCE: usize = 250;
const ROUNDS: usize = 12;
/// Short, because what was damaged most often leads to waiting.
const TIMEOUT: Duration = Duration::from_millis(300);

/// A generator of Knuth's, so that every run damages the same.
struct Damage(u64);

impl Damage {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    /// One of the answers, with a few bytes changed from `first` on, and now and then without its end.
    fn of(&mut self, sound: &[Vec<u8>], first: usize) -> Vec<u8> {
        let mut packet = sound[self.draw(sound.len())].clone();
        for _ in 0..=self.draw(4) {
            let at = first + self.draw(packet.len() - first);
            packet[at] = self.draw(256) as u8;
        }
        if self.draw(8) == 0 {
            packet.truncate(self.draw(packet.len()));
        }
        packet
    }
}

fn sound(question: &Question) -> [Vec<u8>; 3] {
    let aliases = [alias(&question.name, "a.example.net"), alias("a.example.net", "b.example.net")];
    [question.addresses(&["127.0.0.1", "127.9.0.1"]), question.answer(&aliases), question.refusal(3)]
}

#[test]
fn damaged_answers_are_read_without_a_crash() {
    let sound = sound(&Question::asking(NAME, A));
    let mut damage = Damage(0x5eed);
    let (mut tried, mut read) = (0_u64, 0_u64);
    while tried < 1_000_000 {
        let packet = damage.of(&sound, 0);
        read += u64::from(hickory_resolver::proto::op::Message::from_vec(&packet).is_ok());
        tried += 1;
    }
    assert!(read > 0 && read < tried, "{read} of {tried} could still be read");
    println!("counted | names | damaged answers read without a crash by the DNS library | {tried}");
}

/// An address in an answer may be damaged into any other. The way out leads nowhere, so that none is dialled, and tells
/// which ones would have been.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_answers_end_attempts_in_time_and_never_lead_inside() {
    let given = Arc::new(AtomicU64::new(0));
    let counted = given.clone();
    let zone = Zone::start(move |question| {
        let turn = counted.fetch_add(1, Ordering::SeqCst);
        // The id mostly stays, so that the answer is looked at.
        let first = if turn.is_multiple_of(16) { 0 } else { 2 };
        vec![Damage(turn).of(&sound(question), first)]
    })
    .await;
    let proxy = ConnectProxy::refusing().await;
    let setup = Setup {
        allow: &["127.0.0.1/32", "127.9.0.0/16"],
        name_server: Some(zone.address),
        proxy: Some(proxy.url()),
        ..Setup::default()
    };
    let rig = Arc::new(Rig::new(setup));
    let (mut attempts, mut judged) = (0, 0);
    for round in 0..ROUNDS {
        let all: JoinSet<String> =
            (0..AT_ONCE).map(|turn| attempt(rig.clone(), round * AT_ONCE + turn)).collect();
        for outcome in all.join_all().await {
            attempts += 1;
            judged += usize::from(["connect_failed", "target_forbidden"].contains(&outcome.as_str()));
            let known = ["connect_failed", "target_forbidden", "dns_error", "timeout"];
            assert!(known.contains(&outcome.as_str()), "{outcome}");
        }
    }
    let asked = proxy.targets();
    for target in &asked {
        let address: SocketAddr = target.parse().unwrap();
        assert!(rig.guard.check_address(address, posthaste_net::Origin::Dns).is_ok(), "{address}");
    }
    assert!(judged > 0 && !asked.is_empty() && judged < attempts, "{judged} of {attempts}, {}", asked.len());
    println!("counted | names | attempts on damaged answers, ended as they should | {attempts}");
    println!("counted | names | damaged answers given to them | {}", given.load(Ordering::SeqCst));
}

async fn attempt(rig: Arc<Rig>, turn: usize) -> String {
    let mut request = rig.request(turn as i64, &format!("https://n{turn}.example.com/"));
    request.timeout = TIMEOUT;
    let sent = rig.transport.send(request).await;
    told(&sent.outcome)
}
