//! A system that allows few open files, and receivers that hold on to all connections they get.

use std::time::Duration;

use serde_json::json;

use super::receiver::{Receiver, Step};
use super::world::{Customer, FLAGS, contract};
use crate::support::{Inbox, PATIENCE, Server, until};

const FILES: usize = 256;
/// More receivers than the server may have files.
const HANGING: usize = 300;
/// Events while they hang.
const EVENTS: usize = 20;
/// How long a hanging attempt lasts: no event can wait for one to end and still arrive in time for the next.
const LIMIT: &str = "timeout      = \"15s\"";

#[tokio::test(flavor = "multi_thread")]
async fn where_few_files_may_be_open_hanging_receivers_leave_enough_of_them() {
    let folder = tempfile::tempdir().unwrap();
    contract(folder.path(), &[("timeout      = \"2000ms\"", LIMIT)]);
    let mut inbox = Inbox::start().await;
    let flags = [FLAGS.as_slice(), &inbox.flags()].concat();
    let server = Server::start_with_files(folder.path(), FILES, &flags).await;
    assert!(server.log().contains("\"limit\":256"), "what is cut is said: {}", server.log());
    let healthy = Customer::new(&server, "healthy").await;
    healthy.webhook(&server, &format!("https://{}/", crate::support::HOST), "*").await;
    publish(&server, &mut inbox, 3).await;
    let receiver = Receiver::always(vec![Step::Read, Step::Hold]).await;
    for number in 0..HANGING {
        let customer = Customer::new(&server, &format!("hanging-{number}")).await;
        customer.webhook(&server, &receiver.url(), "*").await;
    }
    let broadcast = json!({"type": "invoice.paid", "broadcast": true, "data": {}});
    server.admin.post("/events", &broadcast).await.unwrap();
    until("receivers that hang", async || (receiver.accepts() >= FILES / 8).then_some(())).await;
    inbox.next().await;
    publish(&server, &mut inbox, EVENTS).await;
    let log = server.log();
    assert!(!log.contains("Too many open files") && !log.contains("os error 24"), "{log}");
    println!("counted | receivers | hanging receivers where few files may be open | {HANGING}");
}

/// Publishes one event after the other, each when the one before has arrived.
async fn publish(server: &Server, inbox: &mut Inbox, events: usize) {
    let publishing = async {
        for number in 0..events {
            let event = json!({"type": "invoice.paid", "account": "healthy", "data": {"number": number}});
            server.admin.post("/events", &event).await.unwrap();
            inbox.next().await;
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(1), publishing)
        .await
        .expect("nobody waits for others");
}
