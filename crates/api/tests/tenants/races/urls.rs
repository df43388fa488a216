//! One webhook for one URL, however it is spelled.

use posthaste_contract::{Condition, Op};
use posthaste_store::Store;
use serde_json::json;

use super::{TRIES, all_at_once, unhurried, with_status};
use crate::holdings::register;
use crate::rig::Rig;

/// Spellings of one URL.
const SPELLINGS: [&str; 5] = [
    "https://hooks.example.com",
    "https://hooks.example.com/",
    "https://HOOKS.example.com",
    "https://hooks.example.com:443",
    "https://Hooks.Example.Com:443/",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_spellings_of_one_url_make_one_webhook() {
    let rig = Rig::of(unhurried("pipai")).await;
    let other = rig.key_of(&rig.account).await;
    let one = |number: usize| {
        let mut body = rig.new_webhook(SPELLINGS[number % SPELLINGS.len()]);
        // Different descriptions make different signatures.
        body["description"] = number.to_string().into();
        rig.create(if number.is_multiple_of(2) { &rig.holder } else { &other }, &body).bytes()
    };
    let answers = all_at_once(rig.address, (0..TRIES).map(one).collect()).await;
    let refused = answers.iter().filter(|reply| reply.status != 201);
    refused.for_each(|reply| rig.assert_is("the same URL", reply, Condition::DuplicateUrl));
    assert_eq!((with_status(&answers, 201), rig.webhooks().await), (1, 1));
    println!("counted | tenants | creations raced for one URL | {}", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_changes_to_one_url_leave_it_with_one_webhook() {
    let rig = Rig::of(unhurried("pipai")).await;
    let mut webhooks = Vec::new();
    for number in 0..20 {
        webhooks.push(register(&rig, &rig.holder, &format!("https://hooks.example.com/{number}")).await);
    }
    let one = |number: usize| {
        let body = json!({ "url": SPELLINGS[number % SPELLINGS.len()], "description": number.to_string() });
        let id = &webhooks[number % webhooks.len()].id;
        rig.ask(&rig.holder, Op::WebhookUpdate, &[id], "", Some(&body)).bytes()
    };
    let answers = all_at_once(rig.address, (0..TRIES).map(one).collect()).await;
    let refused: Vec<_> = answers.iter().filter(|reply| reply.status != 200).collect();
    refused.iter().for_each(|reply| rig.assert_is("the same URL", reply, Condition::DuplicateUrl));
    let all = rig.store.webhooks(rig.account.no, None, None, 100).await.unwrap().items;
    let having = all.iter().filter(|webhook| webhook.canonical_url == "https://hooks.example.com/").count();
    assert_eq!((having, all.len()), (1, 20));
    assert_eq!(refused.len(), TRIES - TRIES / 20, "all but those of the one that has it");
    println!("counted | tenants | changes raced for one URL | {}", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_do_not_race_each_other_for_a_url() {
    let rig = Rig::of(unhurried("pipai")).await;
    let mut holders = Vec::new();
    for number in 0..10 {
        holders.push(rig.key_of(&rig.other_account(&format!("account-{number}")).await).await);
    }
    let one = |number: usize| {
        let mut body = rig.new_webhook(SPELLINGS[0]);
        body["description"] = number.to_string().into();
        rig.create(&holders[number % holders.len()], &body).bytes()
    };
    let answers = all_at_once(rig.address, (0..TRIES).map(one).collect()).await;
    assert_eq!(with_status(&answers, 201), holders.len());
    println!("counted | tenants | creations of one URL by ten accounts | {}", answers.len());
}
