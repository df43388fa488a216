//! Once a key's revocation was answered, nothing more is done for its holder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posthaste_contract::{Condition, Op};
use posthaste_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TRIES, unhurried};
use crate::rig::{Ask, CONTRACTS, Reply, Rig, exchange, read};

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_that_begins_after_the_answer_is_served() {
    let (mut before, mut after, mut late) = (0, 0, 0);
    for round in 0..ROUNDS {
        let rig = Rig::of(unhurried(CONTRACTS[round % CONTRACTS.len()])).await;
        let bytes = rig.ask(&rig.holder, Op::WebhookList, &[], "", None).bytes();
        let is_revoked = Arc::new(AtomicBool::new(false));
        let callers = (0..10).map(|_| {
            let (bytes, address, is_revoked) = (bytes.clone(), rig.address, is_revoked.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                for _ in 0..TRIES / ROUNDS / 10 {
                    let began_after = is_revoked.load(Ordering::SeqCst);
                    told.push((began_after, exchange(address, &bytes).await));
                }
                // And one that surely comes after.
                while !is_revoked.load(Ordering::SeqCst) {
                    tokio::task::yield_now().await;
                }
                told.push((true, exchange(address, &bytes).await));
                told
            })
        });
        let callers: Vec<_> = callers.collect();
        rig.store.revoke_key(rig.account.no, &rig.holder.key.id, rig.clock.time().into()).await.unwrap();
        is_revoked.store(true, Ordering::SeqCst);
        for caller in callers {
            for (began_after, reply) in caller.await.unwrap() {
                match began_after {
                    true => {
                        rig.assert_is("after", &reply, Condition::AuthInactive);
                        after += 1;
                    }
                    false if reply.status == 200 => before += 1,
                    false => {
                        rig.assert_is("at the same time", &reply, Condition::AuthInactive);
                        late += 1;
                    }
                }
            }
        }
        rig.stop().await;
    }
    assert!(after >= ROUNDS * 10);
    println!("counted | tenants | requests raced against a revocation | {}", before + after + late);
}

/// Sends a request's head and waits until its body is asked for; by then its key was found good.
async fn begin(rig: &Rig, ask: &Ask) -> (TcpStream, Vec<u8>) {
    let bytes = ask.clone().header("Expect", "100-continue").bytes();
    let body = ask.body.clone().unwrap();
    let head = &bytes[..bytes.len() - body.len()];
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(head).await.unwrap();
    let mut asked_for = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked_for).await.unwrap();
    assert!(asked_for.starts_with(b"HTTP/1.1 100"));
    (stream, body)
}

async fn end(mut stream: TcpStream, body: &[u8]) -> Reply {
    stream.write_all(body).await.unwrap();
    read(&mut stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_after_the_revocation_changes_nothing() {
    let mut refused = 0;
    for contract in CONTRACTS {
        let rig = Rig::of(unhurried(contract)).await;
        let create = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
        let (stream, body) = begin(&rig, &create).await;
        assert_eq!(end(stream, &body).await.status, 201, "{contract}: a slow body is no fault");
        rig.clock.advance(std::time::Duration::from_millis(5));
        let create = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/b"));
        let (stream, body) = begin(&rig, &create).await;
        rig.store.revoke_key(rig.account.no, &rig.holder.key.id, rig.clock.time().into()).await.unwrap();
        let reply = end(stream, &body).await;
        rig.assert_is("revoked while it was sent", &reply, Condition::AuthInactive);
        assert_eq!(rig.webhooks().await, 1, "{contract}");
        refused += 1;
        rig.stop().await;
    }
    println!("counted | tenants | writes whose key was revoked while they were sent | {refused}");
}
