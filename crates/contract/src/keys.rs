//! Making API keys and signing secrets, and what keys may do.

use posthaste_core::{ApiKey, Dice, Secret};

use crate::model::{Auth, Contract, Need};

/// A new API key's texts.
pub struct NewApiKey {
    /// The key.
    pub key: Secret,
    /// For contracts with signed requests: what signs them.
    pub signing_secret: Option<Secret>,
}

impl Contract {
    /// Draws a new API key for the contract's first way to call. `level` is the tier or role that becomes part of
    /// the text where the contract says so.
    #[must_use]
    pub fn new_key(&self, level: Option<&str>, dice: &dyn Dice) -> NewApiKey {
        let _ = (level, dice);
        unimplemented!()
    }

    /// Draws a new signing secret for a webhook.
    #[must_use]
    pub fn new_secret(&self, dice: &dyn Dice) -> Secret {
        let _ = dice;
        unimplemented!()
    }

    /// May this key do what the route needs?
    #[must_use]
    pub fn allows(&self, key: &ApiKey, need: Option<Need>) -> bool {
        let _ = (key, need);
        unimplemented!()
    }

    /// Does the contract know these rights? The reason if not.
    ///
    /// # Errors
    /// A sentence for people that names the first unknown word and the known ones.
    pub fn check_rights(
        &self,
        tier: Option<&str>,
        roles: &[String],
        scopes: &[String],
    ) -> Result<(), String> {
        let _ = (tier, roles, scopes);
        unimplemented!()
    }
}

impl Auth {
    /// The value of `WWW-Authenticate` on a 401.
    #[must_use]
    pub fn challenge(&self) -> String {
        unimplemented!()
    }
}
