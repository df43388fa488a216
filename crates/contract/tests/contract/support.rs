//! Things to write and read in tests.

use posthaste_contract::{Contract, Op};
use posthaste_core::{
    AccountNo, Attempt, Dice, Health, Outcome, Response, Secret, Seq, SigningSecrets, Subscription, UnixMs,
    Webhook, WebhookNo, WebhookState,
};

/// The index of the view that an operation answers with.
pub fn view_of(contract: &Contract, op: Op) -> usize {
    route_of(contract, op).view.unwrap()
}

/// The index of the input that an operation reads.
pub fn input_of(contract: &Contract, op: Op) -> usize {
    route_of(contract, op).input.unwrap()
}

pub fn route_of(contract: &Contract, op: Op) -> &posthaste_contract::model::Route {
    contract.routes.iter().find(|route| route.op == op).unwrap()
}

pub fn at(text: &str) -> UnixMs {
    UnixMs::parse_rfc3339(text).unwrap()
}

/// A fresh webhook.
pub fn webhook(
    id: &str,
    account: &str,
    url: &str,
    events: &[&str],
    secret: &str,
    created_at: UnixMs,
) -> Webhook {
    Webhook {
        no: WebhookNo(1),
        id: id.into(),
        account: AccountNo(1),
        account_id: account.into(),
        key: None,
        url: url.into(),
        canonical_url: url.into(),
        subscription: Subscription::Patterns(events.iter().map(|event| (*event).to_owned()).collect()),
        state: WebhookState::Active,
        description: None,
        extension: Default::default(),
        secrets: SigningSecrets { current: Secret::from(secret.to_owned()), previous: Vec::new() },
        created_after: Seq(0),
        health: Health::default(),
        created_at,
        updated_at: created_at,
        off_after: None,
        deleted: None,
        is_account_deleted: false,
    }
}

/// An answered attempt that ended at `finished_at`.
pub fn answered(number: u32, status: u16, finished_at: UnixMs, took_ms: u64) -> Attempt {
    let duration = std::time::Duration::from_millis(took_ms);
    Attempt {
        number,
        started_at: finished_at.minus(duration),
        duration,
        outcome: Outcome::Answered(Response { status, ..Response::default() }),
        signatures: Vec::new(),
    }
}

/// JSON text without the space between its tokens.
pub fn squeezed(text: &str) -> String {
    let (mut out, mut in_string, mut is_escaped) = (String::new(), false, false);
    for c in text.chars() {
        if in_string || !c.is_whitespace() {
            out.push(c);
        }
        in_string = in_string != (c == '"' && !is_escaped);
        is_escaped = in_string && c == '\\' && !is_escaped;
    }
    out
}

/// Rolls that differ from each other and are the same every time.
#[derive(Default)]
pub struct Loaded(std::sync::atomic::AtomicU64);

impl Dice for Loaded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *byte = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}
