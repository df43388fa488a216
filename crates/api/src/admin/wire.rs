//! What the answers look like. These shapes are promises; the domain's types may change freely.

mod accounts;
mod audit;
mod deliveries;
mod events;
mod secrets;
mod sending;
mod webhooks;

pub(crate) use accounts::{AccountShown, KeyShown, NewKeyShown};
pub(crate) use audit::{ChangeShown, NewTokenShown, TokenShown};
pub(crate) use deliveries::{AttemptShown, DeliveryShown, RecoveryShown, RequestShown};
pub(crate) use events::{AcceptedShown, EventShown, FateShown};
pub(crate) use secrets::SealsShown;
pub(crate) use sending::SendingShown;
pub(crate) use webhooks::{RotatedShown, TestShown, WebhookShown};

use posthaste_core::UnixMs;

fn spelled(at: UnixMs) -> String {
    at.rfc3339_ms()
}

fn maybe(at: Option<UnixMs>) -> Option<String> {
    at.map(spelled)
}
