//! What the handlers share.

use std::sync::Arc;

use posthaste_contract::Contract;
use posthaste_core::{Account, Clock, Dice, Secret, Webhook, WebhookNo};
use posthaste_store::Store;

use super::problem::Problem;
use super::token::TokenCheck;
use crate::logins::Logins;
use crate::publishing::Publisher;
use posthaste_contract::PublicIds;

/// What the admin API is made of.
pub struct AdminParts {
    /// The product's contract.
    pub contract: Arc<Contract>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Chance, for keys and ids.
    pub dice: Arc<dyn Dice>,
    /// The admin token.
    pub token: Secret,
    /// How long bodies may be.
    pub limits: BodyLimits,
    /// Who guesses credentials; the same for all listeners.
    pub logins: Arc<Logins>,
}

/// How long bodies may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// One event, or any other body.
    pub event_bytes: usize,
    /// A batch of events.
    pub batch_bytes: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { event_bytes: 256 * 1024, batch_bytes: 8 * 1024 * 1024 }
    }
}

/// What the handlers share.
pub(crate) struct Admin {
    pub contract: Arc<Contract>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Dice>,
    pub token: TokenCheck,
    pub limits: BodyLimits,
    pub logins: Arc<Logins>,
    pub ids: PublicIds,
    pub publisher: Publisher,
}

impl Admin {
    pub fn new(parts: AdminParts) -> Self {
        let AdminParts { contract, store, clock, dice, token, limits, logins } = parts;
        Self {
            ids: PublicIds::new(&contract, store.id_key()),
            publisher: Publisher::new(contract.clone(), store.clone(), clock.clone()),
            token: TokenCheck::new(&token),
            contract,
            store,
            clock,
            dice,
            limits,
            logins,
        }
    }

    /// The account that a path names.
    pub async fn account(&self, id: &str) -> Result<Account, Problem> {
        self.store.account(id).await?.ok_or_else(|| Problem::unknown("account"))
    }

    /// The webhook of a delivery, also one that is deleted.
    pub async fn webhook_by_no(&self, no: WebhookNo) -> Result<Option<Arc<Webhook>>, Problem> {
        // Of one that is deleted the store knows whether its account is gone too.
        match self.store.roster().get(no).filter(|webhook| webhook.deleted.is_none()) {
            Some(webhook) => Ok(Some(webhook)),
            None => Ok(self.store.webhook_by_no(no).await?.map(Arc::new)),
        }
    }

    /// The webhook that a path names, with its account.
    pub async fn webhook(&self, account_id: &str, id: &str) -> Result<(Account, Webhook), Problem> {
        let account = self.account(account_id).await?;
        let found = self.store.webhook(account.no, None, id).await?;
        let webhook = found.ok_or_else(|| Problem::unknown("webhook of this account"))?;
        Ok((account, webhook))
    }
}

/// As axum hands it to handlers.
pub(crate) type Shared = axum::extract::State<Arc<Admin>>;
