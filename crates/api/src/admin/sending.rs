//! Whether deliveries are sent, or held because the store was put back from an old copy.

use axum::Json;
use axum::extract::State;

use super::caller::Caller;
use super::problem::Problem;
use super::state::{Admin, Shared};
use super::wire::SendingShown;

/// `GET /sending`
pub(crate) async fn get(State(admin): Shared) -> Result<Json<SendingShown>, Problem> {
    shown(&admin).await
}

/// `POST /sending/release`: what waits is sent from here on. Nothing changes where nothing is held.
pub(crate) async fn release(State(admin): Shared, caller: Caller) -> Result<Json<SendingShown>, Problem> {
    admin.store.release_sending(caller.by(&admin)).await?;
    shown(&admin).await
}

async fn shown(admin: &Admin) -> Result<Json<SendingShown>, Problem> {
    let held_since = *admin.store.held_since().borrow();
    Ok(Json(SendingShown::of(held_since, admin.store.owed().await?)))
}
