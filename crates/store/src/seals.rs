//! Which master key seals what.

use posthaste_core::UnixMs;

/// How a store's secrets are sealed. Keys are named, never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seals {
    /// The key that seals, 16 hexadecimal digits.
    pub key_id: String,
    /// When it became the only one; `None` if the store was made with it.
    pub key_since: Option<UnixMs>,
    /// Does the key come from outside, and not from the file in the data folder?
    pub is_key_given: bool,
    /// How many secrets are sealed under it.
    pub sealed: u64,
    /// How many secrets do not open with the keys at hand.
    pub unopened: u64,
    /// The change from the key before, while it is under way.
    pub rotation: Option<SealRotation>,
    /// What the change waits for, if somebody should see to it.
    pub held_up_by: Option<String>,
}

/// A change of the master key that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRotation {
    /// The former key, 16 hexadecimal digits.
    pub former_key_id: String,
    /// When it began; `None` if that was not written down yet.
    pub since: Option<UnixMs>,
    /// How many secrets are still sealed under the former key.
    pub sealed_under_former: u64,
}
