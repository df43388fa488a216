//! URLs that a contract probes before it takes them.

use posthaste_contract::Contract;
use posthaste_contract::model::{FieldRule, Probe};
use tokio::task::JoinSet;

use crate::rig::{Reply, Rig, exchange};

/// More than there are places for probes.
const FAILING: usize = 80;
const GOOD: usize = 8;

fn probing() -> Contract {
    let mut contract = Contract::builtin("standard").unwrap();
    for field in contract.inputs.iter_mut().flat_map(|input| &mut input.fields) {
        if let FieldRule::Url { probes, .. } = &mut field.rule {
            *probes = vec![Probe::Public, Probe::Tls];
        }
    }
    contract
}

/// What a failed probe says takes its time, so that it tells nothing of the place; nobody else waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn failed_probes_of_one_account_keep_no_other_waiting() {
    let rig = Rig::of(probing()).await;
    let other = rig.key_of(&rig.other_account("other").await).await;
    let mut failing: JoinSet<Reply> = JoinSet::new();
    for turn in 0..FAILING {
        // Every name leads to the receiver, whose certificate is not for this one.
        let ask = rig.create(&rig.holder, &rig.new_webhook(&format!("https://hooks.example.net/{turn}")));
        let (address, bytes) = (rig.address, ask.bytes());
        failing.spawn(async move { exchange(address, &bytes).await });
    }
    for turn in 0..GOOD {
        let ask = rig.create(&other, &rig.new_webhook(&format!("https://hooks.example.com/{turn}")));
        let reply = rig.send(&ask).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    assert!(failing.try_join_next().is_none(), "the good ones did not wait for the others");
    let replies = failing.join_all().await;
    for reply in &replies {
        assert!(reply.status == 422 && reply.body.contains("unreachable"), "{reply:?}");
    }
    println!("counted | tenants | failed probes that kept no other account waiting | {}", replies.len());
}
