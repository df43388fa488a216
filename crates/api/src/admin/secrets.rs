//! The master key: which one seals what, and its rotation.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_store::{Refusal, StoreError};

use super::caller::Caller;
use super::problem::{Kind, Problem};
use super::state::{Admin, Shared};
use super::wire::SealsShown;

/// What is to be done where the key is not the store's to change.
const KEY_GIVEN: &str = "The master key is given from outside. Start the server with POSTHASTE_MASTER_KEY=NEW,FORMER: \
    it seals everything under NEW by itself; when it has, only NEW is needed.";

/// `GET /secrets`
pub(crate) async fn get(State(admin): Shared) -> Result<Json<SealsShown>, Problem> {
    shown(&admin).await
}

/// `POST /secrets/rotate`: everything is sealed under a new master key from here on.
pub(crate) async fn rotate(
    State(admin): Shared,
    caller: Caller,
) -> Result<(StatusCode, Json<SealsShown>), Problem> {
    match admin.store.rotate_master_key(caller.by(&admin)).await {
        Err(StoreError::Refused(Refusal::KeyGiven)) => Err(Problem::new(Kind::Conflict, KEY_GIVEN)),
        Err(StoreError::Refused(Refusal::RotationUnderWay)) => {
            Err(Problem::new(Kind::Conflict, "The master key is being rotated already."))
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok((StatusCode::ACCEPTED, shown(&admin).await?)),
    }
}

async fn shown(admin: &Admin) -> Result<Json<SealsShown>, Problem> {
    Ok(Json(admin.store.seals().await?.into()))
}
