//! The cases of the address guard, as a customer would register them.

use posthaste_contract::{Condition, Op};
use serde_json::{Value, json};

use crate::registration::id_of;
use crate::rig::{CONTRACTS, Rig};

/// Rows whose verdict needs a name server: here every name leads to a receiver.
const DECIDED_BY_LOOKUP: &str = "rule 10";

/// The ids and URLs of the cases that are refused for their text.
fn refused() -> Vec<(String, Value)> {
    let lines = include_str!("../../../net/tests/fixtures/url-guard.tsv").lines().skip(1);
    let rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let rows = rows.filter(|row| row[2] == "reject" && !row[3].starts_with(DECIDED_BY_LOOKUP));
    rows.map(|row| (row[0].to_owned(), serde_json::from_str(&format!("\"{}\"", row[1])).unwrap())).collect()
}

#[tokio::test]
async fn no_contract_takes_a_guarded_url() {
    for contract in CONTRACTS {
        let rig = Rig::start(contract).await;
        let field = rig.url_field();
        let create = rig.create(&rig.holder, &rig.new_webhook("https://hooks.example.com/a"));
        let id = id_of(&rig.assert_taken("create", &create).await);
        let mut rows = 0;
        for (row, url) in refused() {
            let mut body = rig.new_webhook("");
            body[&field] = url.clone();
            let ask = rig.create(&rig.holder, &body);
            let reply = rig.assert_refused(&format!("B32 {row}"), &ask, Condition::Invalid).await;
            assert!(reply.body.contains(&field), "{row}: the field is named: {reply:?}");
            if rig.has(Op::WebhookUpdate) {
                let body = json!({ &field: url });
                let ask = rig.ask(&rig.holder, Op::WebhookUpdate, &[&id], "", Some(&body));
                rig.assert_refused(&format!("B32 update {row}"), &ask, Condition::Invalid).await;
            }
            rows += 1;
        }
        assert!(rows > 100, "the table is read");
        assert_eq!(rig.webhook(&rig.holder, &id).await.url, "https://hooks.example.com/a");
        rig.tell("B32 guarded URLs");
    }
}
