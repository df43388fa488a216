//! Who takes part: a contract, an account with one webhook, and the event that is published over and over.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use posthaste_contract::Contract;
use posthaste_core::Subscription;
use posthaste_store::{Inline, NewAccount, NewWebhook, WebhookLimits};

use crate::outside::{NOW, SeededDice};

/// Events published, and deliveries made, in each round.
pub const EVENTS_A_ROUND: usize = 16;

/// What a publisher sends: about 300 bytes of data.
pub const EVENT: &str = r#"{"type":"order.paid","account":"acme","data":{"order":"ord_8f14e45fceea167a","number":104729,"paid_at":"2026-09-21T13:46:40.000Z","total":{"amount":"1249.50","currency":"EUR"},"customer":{"id":"cus_c9f0f895fb98","name":"Zo\u00eb Ångström"},"lines":[{"sku":"A-1001","quantity":2,"price":"499.75"},{"sku":"B-2002","quantity":1,"price":"250.00"}],"test":false}}"#;

/// The contract whose deliveries are counted.
pub fn contract() -> anyhow::Result<Arc<Contract>> {
    Contract::builtin("standard").map(Arc::new).context("there is no built-in contract")
}

/// A store with the account and its webhook at `receiver`.
pub fn store(contract: &Contract, receiver: SocketAddr) -> anyhow::Result<Arc<Inline>> {
    let store = Inline::open_in_memory([7; 16])?;
    let account = store.create_account(NewAccount { id: "acme".to_owned(), name: None }, NOW)?;
    let url = format!("http://{receiver}/webhooks/orders");
    let webhook = NewWebhook {
        id: "wh_01HZY0000000000000000000000".to_owned(),
        account: account.no,
        key: None,
        canonical_url: url.clone(),
        url,
        subscription: Subscription::All,
        description: None,
        extension: std::collections::BTreeMap::new(),
        secret: contract.new_secret(&SeededDice::default()),
    };
    store.create_webhook(webhook, WebhookLimits::default(), NOW)?;
    Ok(Arc::new(store))
}
