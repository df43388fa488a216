//! Named tokens of this API.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use posthaste_core::public_id::{IdAlphabet, IdKind, random_text};
use posthaste_core::{Dice, Scope, Secret, UnixMs};
use posthaste_store::NewToken;

use super::caller::Caller;
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named, Said};
use super::state::Shared;
use super::token::NAMED_PREFIX;
use super::wire::{NewTokenShown, TokenShown};

/// The longest name.
const NAME_MAX_CHARS: usize = 100;
/// The name of the token that the server was started with.
const OPERATOR: &str = "operator";
const ID_PREFIX: &str = "tok_";
const ID_LENGTH: usize = 22;
/// What a token's text is drawn from: nothing that a double click would stop at.
const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// So many of them are 261 bits.
const TEXT_LENGTH: usize = 44;

/// What a request says about a new token.
struct Wanted {
    name: String,
    scope: Scope,
    expires_at: Option<UnixMs>,
}

/// `POST /tokens`: the one answer that shows the token.
pub(crate) async fn create(
    State(admin): Shared,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let by = caller.by(&admin);
    let wanted = Wanted::read(&body, by.at)?;
    if wanted.name == OPERATOR {
        return Err(Problem::new(
            Kind::Taken,
            "This is the name of the token that the server was started with.",
        ));
    }
    let text = new_text(&*admin.dice);
    let new = NewToken {
        id: new_id(by.at, &*admin.dice),
        name: wanted.name,
        token: text.clone(),
        scope: wanted.scope,
        expires_at: wanted.expires_at,
    };
    let token = admin.store.create_token(new, by).await?;
    let shown = NewTokenShown { about: token.into(), token: text.expose_text() };
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

impl Wanted {
    fn read(body: &[u8], now: UnixMs) -> Result<Self, Problem> {
        let mut members = Members::read(body, false)?;
        let name = match members.text("name", NAME_MAX_CHARS) {
            Said::This(name) if name.is_empty() || name.chars().any(char::is_control) => {
                let rule =
                    format!("name must have 1 to {NAME_MAX_CHARS} characters and no control characters");
                members.refuse("name", rule);
                None
            }
            said => {
                let name = said.this();
                if name.is_none() {
                    members.require("name");
                }
                name
            }
        };
        let scope = members.text("scope", NAME_MAX_CHARS).this();
        let known = scope.as_deref().map(Scope::from_word);
        match known {
            None => members.require("scope"),
            Some(None) => members.refuse("scope", "scope must be publish, read or full".to_owned()),
            Some(Some(_)) => {}
        }
        let expires_at = members.time("expires_at");
        if expires_at.is_some_and(|end| end <= now) {
            members.refuse("expires_at", "expires_at must lie ahead".to_owned());
        }
        members.finish()?;
        // Where one of these is missing, the line before has refused.
        let scope = known.flatten().ok_or_else(Problem::not_found)?;
        Ok(Self { name: name.unwrap_or_default(), scope, expires_at })
    }
}

fn new_text(dice: &dyn Dice) -> Secret {
    Secret::from(format!("{NAMED_PREFIX}{}", random_text(DIGITS, TEXT_LENGTH, dice)))
}

fn new_id(now: UnixMs, dice: &dyn Dice) -> String {
    let alphabet = IdAlphabet::Base58 { length: ID_LENGTH };
    IdKind { prefix: ID_PREFIX.to_owned(), alphabet, accept: None }.random(now, dice)
}

/// `GET /tokens`, those that ended too.
pub(crate) async fn list(State(admin): Shared, paging: Paging) -> Result<Json<Page<TokenShown>>, Problem> {
    let slice = admin.store.tokens(paging.from, paging.limit).await?;
    Ok(Json(Page::of(slice, TokenShown::from)))
}

/// `DELETE /tokens/{token}`: from the answer on no request with it is served.
pub(crate) async fn revoke(
    State(admin): Shared,
    Named(id): Named<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    admin.store.revoke_token(&id, caller.by(&admin)).await?;
    Ok(StatusCode::NO_CONTENT)
}
