//! The number of webhooks, per key and per account.

use posthaste_contract::Condition;
use posthaste_store::Store;

use super::{TRIES, all_at_once, unhurried, with_status};
use crate::rig::{Holder, Rig};

fn creations(rig: &Rig, holders: &[&Holder]) -> Vec<Vec<u8>> {
    let one = |number: usize| {
        let body = rig.new_webhook(&format!("https://hooks.example.com/{number}"));
        rig.create(holders[number % holders.len()], &body).bytes()
    };
    (0..TRIES).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creations_make_as_many_webhooks_as_the_limit_allows() {
    // The contract, how many keys race, and how many webhooks there may be in all.
    for (contract, keys, most) in [("aioka", 1, 5), ("aioka", 3, 15), ("pipai", 1, 25), ("pipai", 3, 25)] {
        let rig = Rig::of(unhurried(contract)).await;
        let mut holders = vec![rig.holder.clone()];
        while holders.len() < keys {
            holders.push(rig.key_of(&rig.account).await);
        }
        let holders: Vec<&Holder> = holders.iter().collect();
        let answers = all_at_once(rig.address, creations(&rig, &holders)).await;
        let refused = answers.iter().filter(|reply| reply.status != 201);
        refused.for_each(|reply| rig.assert_is("beyond the limit", reply, Condition::WebhookLimit));
        assert_eq!(with_status(&answers, 201), most, "{contract} by {keys} keys");
        assert_eq!(rig.webhooks().await, most, "{contract} by {keys} keys");
        for holder in holders {
            let own = rig.store.webhooks(rig.account.no, Some(holder.key.no), None, 100).await.unwrap().items;
            assert!(contract != "aioka" || own.len() == 5, "{} webhooks of one key", own.len());
        }
        println!(
            "counted | tenants | creations raced for {most} places in {contract} by {keys} key(s) | {}",
            answers.len()
        );
        rig.stop().await;
    }
}
