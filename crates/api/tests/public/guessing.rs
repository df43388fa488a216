//! Limits by address in front of failed logins, over sockets and by a clock that is set by hand.

use std::time::Duration;

use posthaste_contract::model::Scheme;
use posthaste_contract::{Condition, Op};
use posthaste_core::Secret;

use crate::rig::{Ask, CONTRACTS, Holder, Rig};

/// What the rig allows.
const LIMIT: usize = 20;

fn list(rig: &Rig, holder: &Holder) -> Ask {
    rig.ask(holder, Op::WebhookList, &[], "", None)
}

/// A holder of a key that there is not.
fn stranger(rig: &Rig, number: usize) -> Holder {
    Holder { text: format!("guess-{number}"), ..rig.holder.clone() }
}

async fn guess(rig: &Rig, from: usize, count: usize) {
    for number in from..from + count {
        let reply = rig.send(&list(rig, &stranger(rig, number))).await;
        rig.assert_is("a guess", &reply, Condition::AuthInvalid);
    }
}

async fn has_to_wait(rig: &Rig, holder: &Holder) -> Option<u64> {
    let reply = rig.send(&list(rig, holder)).await;
    if reply.status != 429 {
        return None;
    }
    rig.assert_is("blocked", &reply, Condition::RateLimited);
    Some(reply.header("retry-after").expect("how long to wait").parse().unwrap())
}

#[tokio::test]
async fn guesses_are_refused_before_they_are_looked_at_and_accepted_keys_go_on() {
    let mut sequences = 0;
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let late = rig.key_of(&rig.account).await;
        rig.assert_taken("accepted before", &list(&rig, &rig.holder)).await;

        guess(&rig, 0, LIMIT).await;
        assert_eq!(has_to_wait(&rig, &stranger(&rig, 3)).await, None, "{contract}: known guesses count once");
        guess(&rig, LIMIT, 1).await;
        assert_eq!(has_to_wait(&rig, &stranger(&rig, 100)).await, Some(60), "{contract}");
        assert_eq!(has_to_wait(&rig, &stranger(&rig, 3)).await, Some(60), "{contract}: a known guess too");
        rig.assert_taken("right: this address may be a proxy", &list(&rig, &late)).await;
        rig.assert_taken("accepted lately", &list(&rig, &rig.holder)).await;
        sequences += 1;

        rig.clock.advance(Duration::from_millis(59_001));
        assert_eq!(has_to_wait(&rig, &stranger(&rig, 100)).await, Some(1), "{contract}: rounded up");
        rig.clock.advance(Duration::from_millis(999));
        rig.assert_taken("when the time has passed", &list(&rig, &late)).await;
        guess(&rig, 200, LIMIT + 1).await;
        rig.assert_taken("late is known by now", &list(&rig, &late)).await;
        assert_eq!(has_to_wait(&rig, &stranger(&rig, 300)).await, Some(60), "{contract}: again");
        sequences += 1;
    }
    println!("counted | tenants | contracts' sequences of guessed keys | {sequences}");
}

#[tokio::test]
async fn a_client_that_is_set_up_wrong_blocks_nobody() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let late = rig.key_of(&rig.account).await;
        for _ in 0..3 * LIMIT {
            let reply = rig.send(&list(&rig, &stranger(&rig, 1))).await;
            rig.assert_is("the same wrong key", &reply, Condition::AuthInvalid);
            let path = list(&rig, &rig.holder).target;
            let reply = rig.send(&Ask::new("GET", &path)).await;
            rig.assert_is("no key", &reply, Condition::AuthMissing);
        }
        rig.assert_taken("a key never seen before", &list(&rig, &late)).await;
    }
}

#[tokio::test]
async fn guesses_by_the_dozen_are_counted_one_by_one() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let asks = (0..100).map(|number| list(&rig, &stranger(&rig, number)));
        let replies = asks.map(|ask| {
            let (address, bytes) = (rig.address, ask.bytes());
            tokio::spawn(async move { crate::rig::exchange(address, &bytes).await })
        });
        let replies: Vec<_> = replies.collect();
        let mut told_wrong = 0;
        for reply in replies {
            let status = reply.await.unwrap().status;
            assert!(matches!(status, 401 | 429), "{contract}: {status}");
            told_wrong += usize::from(status == 401);
        }
        assert_eq!(told_wrong, LIMIT + 1, "{contract}");
    }
}

#[tokio::test]
async fn signatures_of_a_known_key_are_guesses_too() {
    let mut guesses = 0;
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        if !matches!(rig.contract.auth[0].scheme, Scheme::HmacRequest(_)) {
            continue;
        }
        for number in 0..=LIMIT {
            let secret = Secret::from(format!("not-the-secret-{number}"));
            let forger = Holder { signing_secret: Some(secret), ..rig.holder.clone() };
            let reply = rig.send(&list(&rig, &forger)).await;
            rig.assert_is("a forged signature", &reply, Condition::AuthInvalid);
            guesses += 1;
        }
        let forger =
            Holder { signing_secret: Some(Secret::from("another".to_owned())), ..rig.holder.clone() };
        assert_eq!(has_to_wait(&rig, &forger).await, Some(60), "{contract}");
        rig.assert_taken("the holder of the secret", &list(&rig, &rig.holder)).await;
    }
    println!("counted | tenants | forged signatures of a known key | {guesses}");
}
