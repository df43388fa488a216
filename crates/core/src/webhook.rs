//! Registered callback URLs.

use std::collections::BTreeMap;

use crate::health::Health;
use crate::ids::{AccountNo, KeyNo, Seq, WebhookNo};
use crate::secret::Secret;
use crate::subscription::Subscription;
use crate::time::UnixMs;
use crate::watched::Watched;

/// One registered callback URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Internal number.
    pub no: WebhookNo,
    /// The id customers see, in the contract's form.
    pub id: String,
    /// The account it belongs to.
    pub account: AccountNo,
    /// That account's public id.
    pub account_id: String,
    /// The key that made it; `None` if it was made through the admin side.
    pub key: Option<KeyNo>,
    /// The URL as the customer supplied it.
    pub url: String,
    /// The URL in canonical form: what uniqueness compares.
    pub canonical_url: String,
    /// Which events it wants.
    pub subscription: Subscription,
    /// Whether it is being delivered to.
    pub state: WebhookState,
    /// A free label.
    pub description: Option<String>,
    /// Fields only this contract has, by name, as the text that was given.
    pub extension: BTreeMap<String, String>,
    /// What signs its deliveries.
    pub secrets: SigningSecrets,
    /// The latest event accepted before it was created; it gets only those after.
    pub created_after: Seq,
    /// Its running record.
    pub health: Health,
    /// When it was created.
    pub created_at: UnixMs,
    /// When it was last changed by somebody.
    pub updated_at: UnixMs,
    /// While it is switched off, the latest event accepted before that; `None` also where a version of the program switched it
    /// off that did not note it.
    pub off_after: Option<Seq>,
    /// When it was deleted, with the latest event accepted before. Only the engine still sees deleted ones.
    pub deleted: Option<(UnixMs, Seq)>,
    /// Is its account deleted too? Then what is left for it ends, whatever the contract says of deleted webhooks.
    pub is_account_deleted: bool,
}

impl Webhook {
    /// Are its deliveries held? A deleted webhook holds nothing: nobody could resume it.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.state == WebhookState::Paused && self.deleted.is_none()
    }

    /// Does the webhook owe a delivery for an event of this type and place?
    #[must_use]
    pub fn is_owed(&self, event_type: &str, seq: Seq) -> bool {
        self.deleted.is_none_or(|(_, last)| seq <= last)
            && self.state != WebhookState::Disabled
            && self.would_take(event_type, seq)
    }

    /// Was it owed an event of this type and place until it was switched off, so that `recover` can ask for it?
    #[must_use]
    pub fn was_owed(&self, event_type: &str, seq: Seq) -> bool {
        self.deleted.is_none()
            && self.state == WebhookState::Disabled
            && self.off_after.is_some_and(|last| seq <= last)
            && self.would_take(event_type, seq)
    }

    fn would_take(&self, event_type: &str, seq: Seq) -> bool {
        seq > self.created_after && self.subscription.covers(event_type)
    }

    /// Is an event meant for it that tells of this value? One that tells of none is.
    #[must_use]
    pub fn is_concerned(&self, watched: Option<&Watched>) -> bool {
        watched.is_none_or(|it| it.crosses(self.extension.get(&it.reading.limit).map(String::as_str)))
    }
}

/// Whether a webhook is being delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookState {
    /// Deliveries go out.
    Active,
    /// Deliveries are held until it is resumed.
    Paused,
    /// It was switched off; events published meanwhile are not for it.
    Disabled,
}

impl WebhookState {
    /// The word used in contracts, the store and the admin API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Disabled].into_iter().find(|state| state.word() == word)
    }
}

/// A webhook's signing secrets as their text, newest first by use.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecrets {
    /// Signs every delivery.
    pub current: Secret,
    /// Former secrets that sign beside it until their time has come.
    pub previous: Vec<(Secret, UnixMs)>,
}

impl SigningSecrets {
    /// The secrets that sign at `now`, the current one first.
    pub fn signing_at(&self, now: UnixMs) -> impl Iterator<Item = &Secret> {
        let still_valid = self.previous.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.current).chain(still_valid.map(|(secret, _)| secret))
    }
}
