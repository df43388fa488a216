//! What can be asked of a store, as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{
    AccountNo, Action, Attempt, Audience, By, Chain, DeliveryKey, DeliveryState, Health, KeyNo, OrderingKey,
    Reading, Scope, Secret, Seq, Subscription, UnixMs, WebhookNo, WebhookState,
};

/// An account to create.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The product's own id, unique.
    pub id: String,
    /// A label.
    pub name: Option<String>,
}

/// Changes to an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// `Some(None)` removes the label.
    pub name: Option<Option<String>>,
}

/// An API key to create. The store keeps a keyed hash of `key` and seals `signing_secret`.
pub struct NewKey {
    /// The id shown in the admin API.
    pub id: String,
    /// The account it acts for.
    pub account: AccountNo,
    /// The key's text, not kept.
    pub key: Secret,
    /// For contracts with signed requests.
    pub signing_secret: Option<Secret>,
    /// Tier, roles and scopes as the contract knows them.
    pub tier: Option<String>,
    /// See `tier`.
    pub roles: Vec<String>,
    /// See `tier`.
    pub scopes: Vec<String>,
    /// A label.
    pub description: Option<String>,
    /// When it stops working.
    pub expires_at: Option<UnixMs>,
}

/// A named token to create. The store keeps a keyed hash of `token`.
pub struct NewToken {
    /// The id shown in the admin API.
    pub id: String,
    /// Its name; no other token that works may have it.
    pub name: String,
    /// The token's text, not kept.
    pub token: Secret,
    /// What it may do.
    pub scope: Scope,
    /// When it stops working.
    pub expires_at: Option<UnixMs>,
}

/// Which rows of the audit log; what is `None` lets every row through.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    /// Those about this account, by its public id.
    pub account: Option<String>,
    /// Those by this kind of actor ([`posthaste_core::Actor::kind`]).
    pub actor_kind: Option<&'static str>,
    /// Those by the token or key with this id, or by a token with this name.
    pub actor: Option<String>,
    /// Those of this action.
    pub action: Option<Action>,
    /// Those from this time on.
    pub since: Option<UnixMs>,
    /// Those before this time.
    pub until: Option<UnixMs>,
}

/// A webhook to create.
pub struct NewWebhook {
    /// The public id; if taken the store refuses with `Taken` and the caller rolls another.
    pub id: String,
    /// The owner.
    pub account: AccountNo,
    /// The key that makes it.
    pub key: Option<KeyNo>,
    /// As supplied.
    pub url: String,
    /// In canonical form.
    pub canonical_url: String,
    /// Which events.
    pub subscription: Subscription,
    /// A label.
    pub description: Option<String>,
    /// Contract-only fields.
    pub extension: BTreeMap<String, String>,
    /// What signs its deliveries.
    pub secret: Secret,
}

/// What a contract allows, checked inside the transaction that creates or changes a webhook.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebhookLimits {
    /// The most webhooks one owner may have; `None` for no limit.
    pub max: Option<u32>,
    /// Does `max` count per key (else per account)?
    pub per_key: bool,
    /// Must canonical URLs differ within the account?
    pub unique_url: bool,
}

/// Changes to a webhook; `None` leaves a field as it is.
#[derive(Default)]
pub struct WebhookPatch {
    /// As supplied and canonical.
    pub url: Option<(String, String)>,
    /// Which events.
    pub subscription: Option<Subscription>,
    /// `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// Fields to set; `None` as value removes one.
    pub extension: BTreeMap<String, Option<String>>,
    /// Pause, resume, disable. Resuming sets consecutive failures to 0 and makes overdue retries due in order of age.
    pub state: Option<WebhookState>,
    /// A new signing secret. The old one goes on signing for `overlap`; at most `keep` former ones are kept.
    pub rotate: Option<Rotation>,
}

/// A change of signing secret.
pub struct Rotation {
    /// The new secret.
    pub secret: Secret,
    /// How long the former secret goes on signing beside it; zero drops it at once.
    pub overlap: Duration,
    /// How many secrets may sign at one time, the new one included.
    pub keep: usize,
}

/// An event to accept. Its body is built when its place in the order is known, because the body may hold the id.
pub struct EventDraft {
    /// For whom.
    pub audience: Audience,
    /// The dotted type.
    pub event_type: Arc<str>,
    /// Not before this time.
    pub send_at: Option<UnixMs>,
    /// Its deliveries wait for those of earlier events with the same key. Not together with `send_at`.
    pub ordering_key: Option<OrderingKey>,
    /// The publisher's own id of it, if given.
    pub idempotency: Option<IdempotencyKey>,
    /// What it says of the value that its type watches, if it does.
    pub reading: Option<Box<Reading>>,
    /// Who sends a test; publishing itself is not noted in the audit log.
    pub test_by: Option<Box<By>>,
}

/// A publisher's own id of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as given, 1 to 255 visible ASCII characters. Independent per audience account and for broadcasts.
    pub key: String,
    /// SHA-256 of the content, to tell a repeat from a mistake.
    pub fingerprint: [u8; 32],
    /// How long the key is remembered.
    pub remembered_for: Duration,
}

/// What became of a published draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The event: the new one, or the first one with the same idempotency key.
    pub seq: Seq,
    /// When that event was accepted.
    pub created_at: UnixMs,
    /// Was it there already?
    pub is_duplicate: bool,
}

/// Everything the engine has to have remembered, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct RecordBatch {
    /// Ended attempts, with where their deliveries stand now.
    pub attempts: Vec<Recorded>,
    /// Deliveries that cannot be kept in memory or must wait; nothing happens where a row exists.
    pub spills: Vec<Spill>,
    /// Deliveries that will not be tried again, and why. Only pending ones change; unwritten ones are written.
    pub cancels: Vec<(DeliveryKey, &'static str)>,
    /// The running records of the webhooks touched, as they are now.
    pub health: Vec<(WebhookNo, Health)>,
    /// Webhooks to switch off, and why; only active ones change.
    pub disable: Vec<(WebhookNo, &'static str)>,
    /// Every event up to here has a row for each delivery it owes. Never goes back.
    pub checkpoint: Option<Seq>,
}

impl RecordBatch {
    /// Is there nothing to remember?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
            && self.spills.is_empty()
            && self.cancels.is_empty()
            && self.health.is_empty()
            && self.disable.is_empty()
            && self.checkpoint.is_none()
    }
}

/// An ended attempt and what it means for its delivery.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The delivery.
    pub key: DeliveryKey,
    /// The attempt.
    pub attempt: Attempt,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// Why, where that is not plain.
    pub reason: Option<&'static str>,
    /// When the next attempt is due; only if pending.
    pub next_attempt_at: Option<UnixMs>,
}

/// A delivery without an attempt that has to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spill {
    /// The delivery.
    pub key: DeliveryKey,
    /// When it is due.
    pub due_at: UnixMs,
    /// Of an event with an ordering key: due only when nothing before it in its chain is pending.
    pub chain: Option<Chain>,
}

/// A span of time, by when events were accepted, and where in it to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From, inclusive.
    pub since: UnixMs,
    /// To, exclusive.
    pub until: UnixMs,
    /// Only events behind this place; 0 for all. What was sent again and failed at once is not found a second time by it.
    pub after: Seq,
}

/// What a recovery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// How many deliveries.
    pub count: u64,
    /// The event of the last of them.
    pub last: Option<Seq>,
}
