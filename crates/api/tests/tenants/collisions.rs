//! Short ids: one that is taken, by anybody, is drawn again and never given twice.

use std::collections::BTreeSet;

use posthaste_contract::Contract;
use posthaste_core::public_id::{IdAlphabet, IdKind};
use posthaste_store::Store;

use crate::holdings::{Holdings, delete, id_of};
use crate::rig::Rig;

/// Two hexadecimal digits: 256 ids in all.
const SPACE: usize = 256;

fn with_short_ids() -> Contract {
    let mut contract = Contract::builtin("standard").unwrap();
    contract.ids.webhook =
        IdKind { prefix: "wh_".into(), alphabet: IdAlphabet::Hex { length: 2 }, accept: None };
    contract
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_id_is_drawn_again_and_never_overwritten() {
    let rig = Rig::of(with_short_ids()).await;
    let owner = Holdings::of(&rig, &rig.holder, "https://hooks.example.com/owner").await;
    let gone = Holdings::of(&rig, &rig.holder, "https://hooks.example.com/gone").await;
    delete(&rig, &rig.holder, &gone.webhook).await;
    let before = owner.kept(&rig).await;
    let stranger = rig.key_of(&rig.other_account("umbrella").await).await;
    let mut ids = BTreeSet::from([owner.webhook.id.clone(), gone.webhook.id.clone()]);
    let (mut tries, mut refused) = (0, 0);
    while ids.len() < SPACE * 3 / 4 || refused == 0 {
        let url = format!("https://hooks.example.com/{tries}");
        let reply = rig.send(&rig.create(&stranger, &rig.new_webhook(&url))).await;
        tries += 1;
        match reply.status {
            201 => assert!(ids.insert(id_of(&reply)), "an id was given twice: {reply:?}"),
            // So full a space is a fault of the contract; nobody's webhook pays for it.
            500 => refused += 1,
            _ => panic!("{reply:?}"),
        }
        assert!(ids.len() <= SPACE && tries < 10_000, "{} ids after {tries} tries", ids.len());
    }
    let all = rig.store.webhooks(stranger.key.account, None, None, 1000).await.unwrap().items;
    assert_eq!(all.len() + 2, ids.len());
    assert!(owner.kept(&rig).await == before, "the owner's webhook stands as it was");
    owner.assert_alive(&rig).await;
    println!("counted | tenants | registrations in a space of 256 ids | {tries}");
    println!("counted | tenants | ids given, each once, also those of deleted webhooks | {}", ids.len());
}
