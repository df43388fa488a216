//! Registering, listing and deleting, in every contract.

use posthaste_contract::Op;
use posthaste_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{CONTRACTS, Rig};

/// The id in the answer to a registration, whatever it is called.
pub fn id_of(reply: &crate::rig::Reply) -> String {
    let json = reply.json();
    let webhook = json.get("webhook").unwrap_or(&json);
    let id = webhook.get("id").or(webhook.get("webhook_id")).unwrap_or_else(|| panic!("{reply:?}"));
    id.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhook_is_registered_listed_and_deleted() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let created =
            rig.send(&rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"))).await;
        assert_eq!(created.status, 201, "{contract}: {created:?}");
        assert_eq!(created.header("content-type"), Some("application/json"));
        assert_eq!(created.header("cache-control"), Some("no-store"));
        assert!(created.header("x-request-id").is_some());
        let id = id_of(&created);

        let listed = rig.send(&rig.ask(&rig.holder, Op::WebhookList, &[], "", None)).await;
        assert_eq!(listed.status, 200, "{contract}: {listed:?}");
        assert!(
            listed.body.contains(&id) && listed.body.contains("https://hooks.example.com/a"),
            "{listed:?}"
        );

        let delete = rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None);
        let deleted = rig.send(&delete).await;
        assert_eq!(deleted.status, rig.route(Op::WebhookDelete).status, "{contract}: {deleted:?}");
        assert_eq!(rig.webhooks().await, 0);
        rig.clock.advance(std::time::Duration::from_millis(1));
        let again = rig.send(&rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None)).await;
        assert_eq!(again.status, 404, "{contract}: {again:?}");
        rig.stop().await;
    }
}

/// Whoever never saw the answer to a registration has a webhook whose secret nobody can tell them again.
#[tokio::test]
async fn a_registration_whose_answer_was_lost_can_be_made_good() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let url = "https://hooks.example.com/a";
        let ask = rig.create(&rig.holder, &rig.new_webhook(url));
        let mut stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&ask.bytes()).await.unwrap();
        // The answer has begun, so the webhook is there; the rest of it is lost.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        drop(stream);
        rig.clock.advance(std::time::Duration::from_millis(1));
        let listed = rig.assert_taken("B59", &rig.ask(&rig.holder, Op::WebhookList, &[], "", None)).await;
        let webhooks = rig.store.webhooks(rig.account.no, None, None, 2).await.unwrap().items;
        let [webhook] = &webhooks[..] else { panic!("{contract}: one webhook: {listed:?}") };
        assert!(!listed.body.contains(webhook.secrets.current.expose_text()), "{contract}: {listed:?}");
        let delete = rig.ask(&rig.holder, Op::WebhookDelete, &[&webhook.id], "", None);
        rig.assert_taken("B59 delete", &delete).await;
        rig.clock.advance(std::time::Duration::from_millis(1));
        rig.assert_taken("B59 create", &rig.create(&rig.holder, &rig.new_webhook(url))).await;
        rig.tell("B59 lost answers");
    }
}
