//! How many webhooks there may be, and which URLs are equal: under races too.

use posthaste_contract::Condition;

use crate::registration::id_of;
use crate::rig::{Rig, exchange};
use posthaste_contract::Op;

/// Registers at all these URLs at once; answers the statuses in order.
async fn all_at_once(rig: &Rig, urls: &[String]) -> Vec<u16> {
    let mut running = Vec::new();
    for url in urls {
        // Signed requests of the same millisecond would be copies of each other only if their bodies were.
        let bytes = rig.create(&rig.holder, &rig.new_webhook(url)).bytes();
        let address = rig.address;
        running.push(tokio::spawn(async move { exchange(address, &bytes).await.status }));
    }
    let mut statuses = Vec::new();
    for one in running {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

fn urls(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("https://hooks.example.com/{n}")).collect()
}

#[tokio::test]
async fn the_number_of_webhooks_holds_under_a_race() {
    for (contract, max) in [("aioka", 5), ("pipai", 25)] {
        let rig = Rig::start(contract).await;
        let statuses = all_at_once(&rig, &urls(max + 10)).await;
        let refused = rig.contract.error_rule(Condition::WebhookLimit).unwrap().status;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), max, "{contract}: {statuses:?}");
        assert_eq!(
            statuses.iter().filter(|status| **status == refused).count(),
            10,
            "{contract}: {statuses:?}"
        );
        assert_eq!(rig.webhooks().await, max);
        let more = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/more"));
        let reply = rig.send(&more).await;
        rig.assert_is("B64 B65", &reply, Condition::WebhookLimit);
        assert_eq!((rig.webhooks().await, reply.header("retry-after")), (max, None));
    }
}

#[tokio::test]
async fn keys_have_their_own_limit_where_it_is_per_key() {
    let rig = Rig::start("aioka").await;
    all_at_once(&rig, &urls(5)).await;
    let second = rig.key_of(&rig.account).await;
    rig.assert_taken("B64", &rig.create(&second, &rig.new_webhook("https://hooks.example.com/0"))).await;
}

#[tokio::test]
async fn a_deleted_webhook_makes_room() {
    let rig = Rig::start("aioka").await;
    all_at_once(&rig, &urls(4)).await;
    let last = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/last"));
    let id = id_of(&rig.assert_taken("fifth", &last).await);
    rig.assert_refused("sixth", &last, Condition::WebhookLimit).await;
    rig.assert_taken("delete", &rig.ask(&rig.holder, Op::WebhookDelete, &[&id], "", None)).await;
    rig.assert_taken("again", &last).await;
}

#[tokio::test]
async fn one_of_many_equal_urls_wins() {
    let rig = Rig::start("pipai").await;
    let spellings =
        ["https://hooks.example.com/a", "https://HOOKS.example.com/a", "https://hooks.example.com:443/a"];
    // Different descriptions make different signatures.
    let mut running = Vec::new();
    for number in 0..12 {
        let mut body = rig.new_webhook(spellings[number % 3]);
        body["description"] = number.to_string().into();
        let (bytes, address) = (rig.create(&rig.holder, &body).bytes(), rig.address);
        running.push(tokio::spawn(async move { exchange(address, &bytes).await.status }));
    }
    let mut statuses = Vec::new();
    for one in running {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], rig.webhooks().await), (201, 1), "{statuses:?}");
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
}

#[tokio::test]
async fn urls_are_compared_in_their_canonical_form() {
    let rig = Rig::start("pipai").await;
    rig.assert_taken("first", &rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com"))).await;
    for url in [
        "https://hooks.example.com",
        "https://hooks.example.com/",
        "https://HOOKS.example.com",
        "https://hooks.example.com:443",
    ] {
        let mut body = rig.new_webhook(url);
        body["description"] = url.into();
        body["tag"] = "differs from the first".into();
        let ask = rig.create(&rig.holder, &body);
        let reply = rig.send(&ask).await;
        rig.assert_is(&format!("B67 {url}"), &reply, Condition::DuplicateUrl);
        assert_eq!(rig.webhooks().await, 1);
    }
    for url in [
        "https://hooks.example.com/A",
        "https://hooks.example.com/a",
        "https://hooks.example.com/a/",
        "https://hooks.example.com/a?x=1",
        "https://hooks.example.com:8443/a",
    ] {
        rig.assert_taken(&format!("B68 {url}"), &rig.create(&rig.holder, &rig.new_webhook(url))).await;
    }
    rig.tell("B67 B68 equal URLs");
}

#[tokio::test]
async fn equal_urls_are_welcome_elsewhere() {
    for contract in ["aioka", "aira", "elydora"] {
        let rig = Rig::start(contract).await;
        let ask = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
        rig.assert_taken("one", &ask).await;
        rig.assert_taken("two", &ask).await;
        assert_eq!(rig.webhooks().await, 2, "{contract}");
    }
}
