//! The API keys of an account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use posthaste_contract::NewApiKey;
use posthaste_core::public_id::{IdAlphabet, IdKind};
use posthaste_core::{AccountNo, Dice, UnixMs};
use posthaste_store::NewKey;

use super::caller::Caller;
use super::paging::Page;
use super::problem::Problem;
use super::reading::{JsonBody, Members, Named};
use super::state::Shared;
use super::wire::{KeyShown, NewKeyShown};
use crate::publishing::MemberFault;

/// The longest tier, role, scope or label.
const WORD_MAX_CHARS: usize = 255;
/// The most roles or scopes of a key.
const WORDS_MAX: usize = 100;
const ID_PREFIX: &str = "key_";
const ID_LENGTH: usize = 22;

/// What a request says about a new key.
struct Wanted {
    tier: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    description: Option<String>,
    expires_at: Option<UnixMs>,
}

/// `POST /accounts/{account}/keys`
pub(crate) async fn create(
    State(admin): Shared,
    Named(account_id): Named<String>,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let account = admin.account(&account_id).await?;
    let now = admin.clock.now();
    let wanted = Wanted::read(&body, now)?;
    admin
        .contract
        .check_rights(wanted.tier.as_deref(), &wanted.roles, &wanted.scopes)
        .map_err(|why| Problem::invalid(vec![wanted.blame(why)]))?;
    let made = admin.contract.new_key(wanted.level(), &*admin.dice);
    let id = new_id(now, &*admin.dice);
    let key = admin.store.create_key(wanted.into_new(id, account.no, &made), caller.by(&admin)).await?;
    let shown = NewKeyShown {
        about: key.into(),
        key: made.key.expose_text(),
        signing_secret: made.signing_secret.as_ref().map(|secret| secret.expose_text()),
    };
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

impl Wanted {
    fn read(body: &[u8], now: UnixMs) -> Result<Self, Problem> {
        let mut members = Members::read(body, true)?;
        let wanted = Self {
            tier: members.text("tier", WORD_MAX_CHARS).this(),
            roles: members.words("roles", WORDS_MAX),
            scopes: members.words("scopes", WORDS_MAX),
            description: members.text("description", WORD_MAX_CHARS).this(),
            expires_at: members.time("expires_at"),
        };
        if wanted.expires_at.is_some_and(|end| end <= now) {
            members.refuse("expires_at", "expires_at must lie ahead".to_owned());
        }
        members.finish()?;
        Ok(wanted)
    }

    /// What becomes part of the key's text where the contract says so.
    fn level(&self) -> Option<&str> {
        self.tier.as_deref().or_else(|| self.roles.first().map(String::as_str))
    }

    /// Points at the member that the contract most likely has something against.
    fn blame(&self, why: String) -> MemberFault {
        let said = [
            ("tier", self.tier.is_some()),
            ("roles", !self.roles.is_empty()),
            ("scopes", !self.scopes.is_empty()),
        ];
        let named = said.iter().find(|(name, _)| why.contains(name.trim_end_matches('s')));
        let (name, _) = named.or_else(|| said.iter().find(|(_, is_said)| *is_said)).unwrap_or(&said[0]);
        MemberFault::at(name, why)
    }

    fn into_new(self, id: String, account: AccountNo, made: &NewApiKey) -> NewKey {
        NewKey {
            id,
            account,
            key: made.key.clone(),
            signing_secret: made.signing_secret.clone(),
            tier: self.tier,
            roles: self.roles,
            scopes: self.scopes,
            description: self.description,
            expires_at: self.expires_at,
        }
    }
}

fn new_id(now: UnixMs, dice: &dyn Dice) -> String {
    let alphabet = IdAlphabet::Base58 { length: ID_LENGTH };
    IdKind { prefix: ID_PREFIX.to_owned(), alphabet, accept: None }.random(now, dice)
}

/// `GET /accounts/{account}/keys`
pub(crate) async fn list(
    State(admin): Shared,
    Named(account_id): Named<String>,
) -> Result<Json<Page<KeyShown>>, Problem> {
    let account = admin.account(&account_id).await?;
    let keys = admin.store.keys(account.no).await?;
    Ok(Json(Page::new(keys.into_iter().map(KeyShown::from).collect(), None)))
}

/// `DELETE /accounts/{account}/keys/{key}`
pub(crate) async fn revoke(
    State(admin): Shared,
    Named((account_id, key_id)): Named<(String, String)>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let account = admin.account(&account_id).await?;
    admin.store.revoke_key(account.no, &key_id, caller.by(&admin)).await?;
    Ok(StatusCode::NO_CONTENT)
}
