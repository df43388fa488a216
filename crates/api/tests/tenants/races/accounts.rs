//! Accounts that go while their customers are at work.

use std::time::Duration;

use posthaste_contract::Condition;
use posthaste_core::WebhookNo;
use posthaste_store::Store;

use super::{TRIES, all_at_once, unhurried};
use crate::rig::Rig;

const AT_WORK: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_created_for_an_account_that_is_gone() {
    let rig = Rig::of(unhurried("standard")).await;
    let (mut made, mut refused) = (0, 0);
    for round in 0..TRIES / AT_WORK {
        // Keys of accounts that are gone are wrong ones; so many in a minute would be guessing.
        rig.clock.advance(Duration::from_mins(2));
        let id = format!("account-{round}");
        let account = rig.other_account(&id).await;
        let holder = rig.key_of(&account).await;
        let one = |number: usize| {
            rig.create(&holder, &rig.new_webhook(&format!("https://hooks.example.com/{number}"))).bytes()
        };
        let creations = all_at_once(rig.address, (0..AT_WORK).map(one).collect());
        let (answers, deleted) =
            tokio::join!(creations, rig.store.delete_account(&id, rig.clock.time().into()));
        deleted.unwrap();
        for reply in answers {
            match reply.status {
                201 => made += 1,
                _ => {
                    let gone = [Condition::AuthInvalid, Condition::AuthInactive];
                    let statuses = gone.map(|condition| rig.contract.error_rule(condition).unwrap().status);
                    assert!(statuses.contains(&reply.status), "{reply:?}");
                    refused += 1;
                }
            }
        }
        let roster = rig.store.roster().of_account(account.no, WebhookNo(0), 100);
        assert!(roster.iter().all(|webhook| webhook.deleted.is_some()), "round {round}");
        assert!(rig.store.webhooks(account.no, None, None, 100).await.unwrap().items.is_empty());
        let reply = rig.send(&rig.create(&holder, &rig.new_webhook("https://hooks.example.com/late"))).await;
        rig.assert_is("after the deletion", &reply, Condition::AuthInvalid);
    }
    assert_eq!(made + refused, TRIES);
    println!("counted | tenants | creations raced against the end of their account | {}", made + refused);
}
