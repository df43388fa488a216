//! Signed writes: of a thousand copies one is obeyed.

use posthaste_contract::{Condition, Op};
use serde_json::json;

use super::{TRIES, all_at_once, unhurried, with_status};
use crate::holdings::register;
use crate::rig::{Ask, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_copies_of_a_signed_write_one_is_obeyed() {
    let mut copies = 0;
    for op in [Op::WebhookCreate, Op::WebhookUpdate, Op::WebhookRotate] {
        let rig = Rig::of(unhurried("pipai")).await;
        let webhook = register(&rig, &rig.holder, "https://hooks.example.com/0").await;
        let ask = write(&rig, op, &webhook.id);
        let answers = all_at_once(rig.address, vec![ask.bytes(); TRIES]).await;
        let obeyed = answers.iter().filter(|reply| reply.status < 300).count();
        // A copy of a creation may also find the URL taken: it was refused as well.
        let refused = rig.contract.error_rule(Condition::AuthReplay).unwrap().status;
        assert_eq!((obeyed, with_status(&answers, refused)), (1, TRIES - 1), "{op:?}");
        let after = rig.webhook(&rig.holder, &webhook.id).await;
        assert_eq!(after.secrets.previous.len(), usize::from(op == Op::WebhookRotate), "{op:?}");
        assert_eq!(rig.webhooks().await, 1 + usize::from(op == Op::WebhookCreate), "{op:?}");
        copies += answers.len();
        rig.stop().await;
    }
    println!("counted | tenants | copies of signed writes sent at once | {copies}");
}

fn write(rig: &Rig, op: Op, webhook: &str) -> Ask {
    match op {
        Op::WebhookCreate => rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/1")),
        Op::WebhookUpdate => {
            rig.ask(&rig.holder, op, &[webhook], "", Some(&json!({ "description": "changed" })))
        }
        _ => rig.ask(&rig.holder, op, &[webhook], "", None),
    }
}
