//! Every kind of key that a contract knows.

use std::time::Duration;

use posthaste_contract::model::{AccessKind, Route};
use posthaste_contract::{Condition, Contract};
use posthaste_core::Account;
use posthaste_store::{NewKey, Store};

use crate::rig::{Chance, Holder, Rig};

/// Somebody who asks for what is not theirs.
pub struct Caller {
    /// Who they are, for people.
    pub what: String,
    pub holder: Holder,
    pub standing: Standing,
}

/// How good a key is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    Ended,
    Unknown,
}

impl Caller {
    /// What a route answers this caller about anything that is not theirs.
    pub fn refusal(&self, contract: &Contract, route: &Route) -> Condition {
        match self.standing {
            Standing::Unknown => Condition::AuthInvalid,
            Standing::Ended => Condition::AuthInactive,
            Standing::Good if contract.allows(&self.holder.key, route.needs) => Condition::NotFound,
            Standing::Good => Condition::AccessDenied,
        }
    }
}

/// Every combination of rights: each tier; no role, each, each two, all; each set of scopes.
pub fn every_right(contract: &Contract) -> Vec<Vec<String>> {
    match &contract.access.kind {
        AccessKind::None => vec![Vec::new()],
        AccessKind::Tier(tiers) => {
            std::iter::once(Vec::new()).chain(tiers.iter().map(|tier| vec![tier.clone()])).collect()
        }
        AccessKind::Role(roles) => {
            subsets(roles).into_iter().filter(|set| set.len() <= 2 || set.len() == roles.len()).collect()
        }
        AccessKind::Scope(scopes) => subsets(scopes),
    }
}

fn subsets(words: &[String]) -> Vec<Vec<String>> {
    let chosen = |mask: usize| {
        words.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, word)| word.clone()).collect()
    };
    (0..1 << words.len()).map(chosen).collect()
}

/// Keys of a stranger with every right, keys of the owner's own account where webhooks belong to the key that made
/// them, keys that ended, and a key that another contract made.
pub async fn strangers(rig: &Rig, owner: &Account, stranger: &Account) -> Vec<Caller> {
    let mut callers = Vec::new();
    let mut accounts = vec![("stranger", stranger)];
    if rig.contract.access.owner == posthaste_contract::model::Owner::Key {
        accounts.push(("another key of the account", owner));
    }
    for (who, account) in accounts {
        for rights in every_right(&rig.contract) {
            let holder = rig.key_with(account, &rights).await;
            callers.push(Caller { what: format!("{who} {rights:?}"), holder, standing: Standing::Good });
        }
    }
    for (who, account) in [("stranger", stranger), ("owner", owner)] {
        let revoked = rig.key_of(account).await;
        rig.store.revoke_key(account.no, &revoked.key.id, rig.clock.time().into()).await.unwrap();
        callers.push(Caller { what: format!("{who} revoked"), holder: revoked, standing: Standing::Ended });
        let expired = expired(rig, account).await;
        callers.push(Caller { what: format!("{who} expired"), holder: expired, standing: Standing::Ended });
    }
    callers.push(Caller {
        what: "another contract's key".into(),
        holder: of_another_contract(rig, owner).await,
        standing: Standing::Unknown,
    });
    callers
}

/// A key with every right whose time is over.
async fn expired(rig: &Rig, account: &Account) -> Holder {
    let ready = rig.key_of(account).await;
    let texts = rig.contract.new_key(ready.key.tier.as_deref(), &far_along());
    let until = rig.clock.time().plus(Duration::from_secs(1));
    let new = NewKey {
        id: format!("key_expired_{}", account.no.0),
        account: account.no,
        key: posthaste_core::Secret::from(format!("{}{}", texts.key.expose_text(), account.no.0)),
        signing_secret: texts.signing_secret.clone(),
        tier: ready.key.tier.clone(),
        roles: ready.key.roles.clone(),
        scopes: ready.key.scopes.clone(),
        description: None,
        expires_at: Some(until),
    };
    let text = new.key.expose_text().to_owned();
    let key = rig.store.create_key(new, rig.clock.time().into()).await.unwrap();
    rig.clock.advance(Duration::from_secs(2));
    Holder { key, text, signing_secret: texts.signing_secret }
}

/// A key as another contract draws them, with the same account behind it in that product.
async fn of_another_contract(rig: &Rig, owner: &Account) -> Holder {
    let other = if rig.contract.name == "standard" { "aira" } else { "standard" };
    let texts = Contract::builtin(other).unwrap().new_key(None, &far_along());
    let sound = rig.key_of(owner).await;
    Holder { text: texts.key.expose_text().to_owned(), ..sound }
}

/// Chance that a rig does not come by in a test.
pub fn far_along() -> Chance {
    let chance = Chance::default();
    posthaste_core::Dice::fill(&chance, &mut vec![0; 8 << 20]);
    chance
}
