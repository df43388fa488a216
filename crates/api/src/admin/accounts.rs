//! Accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_store::{AccountPatch, NewAccount, Refusal, StoreError};

use super::caller::Caller;
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named, Said};
use super::state::Shared;
use super::wire::AccountShown;

/// The longest id of an account.
const ID_MAX_CHARS: usize = 255;
/// The longest label of an account.
const NAME_MAX_CHARS: usize = 255;

/// `POST /accounts`
pub(crate) async fn create(
    State(admin): Shared,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<AccountShown>), Problem> {
    let new = read_new(&body)?;
    match admin.store.create_account(new, caller.by(&admin)).await {
        Ok(account) => Ok((StatusCode::CREATED, Json(account.into()))),
        Err(StoreError::Refused(Refusal::Taken)) => {
            Err(Problem::new(Kind::Taken, "There is an account with this id."))
        }
        Err(error) => Err(error.into()),
    }
}

fn read_new(body: &[u8]) -> Result<NewAccount, Problem> {
    let mut members = Members::read(body, false)?;
    let id = match members.text("id", ID_MAX_CHARS) {
        Said::This(id) if is_id(&id) => id,
        Said::This(_) => {
            let rule = "id must have 1 to 255 characters out of letters, digits and . _ : -";
            members.refuse("id", rule.to_owned());
            String::new()
        }
        Said::Null | Said::Nothing => {
            members.require("id");
            String::new()
        }
    };
    let name = members.text("name", NAME_MAX_CHARS).this();
    members.finish()?;
    Ok(NewAccount { id, name })
}

/// Ids stand in paths, so they hold nothing that a path would change or hide.
fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    !text.is_empty() && text != "." && text != ".." && text.bytes().all(is_plain)
}

/// `GET /accounts`
pub(crate) async fn list(State(admin): Shared, paging: Paging) -> Result<Json<Page<AccountShown>>, Problem> {
    let slice = admin.store.accounts(paging.from, paging.limit).await?;
    Ok(Json(Page::of(slice, AccountShown::from)))
}

/// `GET /accounts/{account}`
pub(crate) async fn get(
    State(admin): Shared,
    Named(id): Named<String>,
) -> Result<Json<AccountShown>, Problem> {
    Ok(Json(admin.account(&id).await?.into()))
}

/// `PATCH /accounts/{account}`
pub(crate) async fn update(
    State(admin): Shared,
    Named(id): Named<String>,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Json<AccountShown>, Problem> {
    let mut members = Members::read(&body, false)?;
    let name = match members.text("name", NAME_MAX_CHARS) {
        Said::Nothing => None,
        Said::Null => Some(None),
        Said::This(name) => Some(Some(name)),
    };
    members.finish()?;
    let account = admin.store.update_account(&id, AccountPatch { name }, caller.by(&admin)).await?;
    Ok(Json(account.into()))
}

/// `DELETE /accounts/{account}`
pub(crate) async fn delete(
    State(admin): Shared,
    Named(id): Named<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    admin.store.delete_account(&id, caller.by(&admin)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn ids_can_stand_in_a_path() {
        for (text, expected) in [
            ("acme", true),
            ("Acme_1.eu:prod-2", true),
            ("...", true),
            ("", false),
            (".", false),
            ("..", false),
            ("../x", false),
            ("a b", false),
            ("a%20b", false),
            ("é", false),
            ("🦀", false),
        ] {
            assert_eq!(is_id(text), expected, "{text}");
        }
    }
}
