//! One event on its way to one webhook.

use crate::ids::DeliveryKey;
use crate::time::UnixMs;

/// A delivery as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which event and webhook; the public id is made from it.
    pub key: DeliveryKey,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it ended as it did, or what it waits for; one of [`reasons`].
    pub reason: Option<String>,
    /// Attempts made so far.
    pub attempts: u32,
    /// When the next attempt may start; only while pending.
    pub next_attempt_at: Option<UnixMs>,
    /// When the receiver took it.
    pub delivered_at: Option<UnixMs>,
    /// The latest attempt's status code; `None` if there was no answer or no attempt.
    pub last_status: Option<u16>,
    /// When the latest attempt ended.
    pub last_attempt_at: Option<UnixMs>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// An attempt is owed.
    Pending,
    /// A receiver answered with success.
    Delivered,
    /// Its tries are used up.
    Failed,
    /// It will not be tried again, for a reason that is not the receiver's answer.
    Canceled,
}

impl DeliveryState {
    /// Every state with its word.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::Pending, "pending"),
        (Self::Delivered, "delivered"),
        (Self::Failed, "failed"),
        (Self::Canceled, "canceled"),
    ];

    /// The word used in the store and the admin API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// Why deliveries are not sent, not any more, or not at all.
pub mod reasons {
    /// The webhook is paused; the delivery is held.
    pub const WEBHOOK_PAUSED: &str = "webhook_paused";
    /// The webhook was switched off.
    pub const WEBHOOK_DISABLED: &str = "webhook_disabled";
    /// The webhook was deleted.
    pub const WEBHOOK_DELETED: &str = "webhook_deleted";
    /// The webhook did not subscribe to the type.
    pub const NOT_SUBSCRIBED: &str = "not_subscribed";
    /// The event's value did not cross the webhook's limit.
    pub const NOT_CROSSED: &str = "not_crossed";
    /// The webhook was created after the event.
    pub const CREATED_LATER: &str = "created_later";
    /// The webhook was changed after the event, and did not take the type or was switched off before that.
    pub const CHANGED_LATER: &str = "changed_later";
    /// The attempts the contract promises are used up.
    pub const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";
    /// The receiver answered 410.
    pub const GONE: &str = "gone";
    /// An earlier event with the same ordering key has not ended.
    pub const WAITING_FOR_ORDER: &str = "waiting_for_order";
    /// The event, or what says that it is owed, was found damaged in the store: nobody knows what to send.
    pub const EVENT_DAMAGED: &str = "event_damaged";
    /// Somebody asked for another attempt.
    pub const RESENT: &str = "resent";
}
