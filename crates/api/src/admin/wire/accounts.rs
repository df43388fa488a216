//! Accounts and API keys.

use posthaste_core::{Account, ApiKey};
use serde::Serialize;

use super::{maybe, spelled};

/// An account.
#[derive(Serialize)]
pub(crate) struct AccountShown {
    id: String,
    name: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<Account> for AccountShown {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_at: spelled(account.created_at),
            updated_at: spelled(account.updated_at),
        }
    }
}

/// An API key without its text.
#[derive(Serialize)]
pub(crate) struct KeyShown {
    id: String,
    account: String,
    tier: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    description: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<ApiKey> for KeyShown {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            account: key.account_id,
            tier: key.tier,
            roles: key.roles,
            scopes: key.scopes,
            description: key.description,
            created_at: spelled(key.created_at),
            expires_at: maybe(key.expires_at),
            revoked_at: maybe(key.revoked_at),
        }
    }
}

/// A new API key with its text: the one answer that shows it.
#[derive(Serialize)]
pub(crate) struct NewKeyShown<'a> {
    #[serde(flatten)]
    pub about: KeyShown,
    pub key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_secret: Option<&'a str>,
}
