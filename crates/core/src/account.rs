//! Accounts and their API keys.

use crate::ids::{AccountNo, KeyNo};
use crate::secret::Secret;
use crate::time::UnixMs;

/// One customer of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Internal number.
    pub no: AccountNo,
    /// The product's own name for the account, 1 to 255 characters.
    pub id: String,
    /// A label for people.
    pub name: Option<String>,
    /// When it was created.
    pub created_at: UnixMs,
    /// When it last changed.
    pub updated_at: UnixMs,
}

/// A customer's credential. The key's text itself is not kept, only a keyed hash of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Internal number.
    pub no: KeyNo,
    /// The id shown in the admin API (`key_…`), not the key.
    pub id: String,
    /// The account it acts for.
    pub account: AccountNo,
    /// That account's public id.
    pub account_id: String,
    /// The tier, for contracts whose access is by tier.
    pub tier: Option<String>,
    /// The roles, for contracts whose access is by role.
    pub roles: Vec<String>,
    /// The scopes, for contracts whose access is by scope.
    pub scopes: Vec<String>,
    /// A label for people.
    pub description: Option<String>,
    /// The secret that signs requests, for contracts whose requests are signed.
    pub signing_secret: Option<Secret>,
    /// When it was created.
    pub created_at: UnixMs,
    /// When it stops working, if ever.
    pub expires_at: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMs>,
}

impl ApiKey {
    /// May the key still be used?
    #[must_use]
    pub fn is_active(&self, now: UnixMs) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
