//! Deliveries with their attempts, and making one again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_contract::{SigningFacts, json};
use posthaste_core::{
    Attempt, Audience, Delivery, DeliveryKey, DeliveryState, Event, Seq, Webhook, WebhookState,
};
use posthaste_store::{DeliveryRow, Refusal, StoreError};

use super::caller::Caller;
use super::fate;
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use super::reading::Named;
use super::state::{Admin, Shared};
use super::wire::{AttemptShown, DeliveryShown, RequestShown};

/// A delivery with all that is known of it.
struct Found {
    webhook: Arc<Webhook>,
    event: Arc<Event>,
    delivery: Delivery,
    attempts: Vec<Attempt>,
}

/// `GET /accounts/{account}/webhooks/{webhook}/deliveries`: those that wait for their first attempt, those attempted, and those
/// canceled without an attempt, each newest first.
pub(crate) async fn list(
    State(admin): Shared,
    Named((account, id)): Named<(String, String)>,
    paging: Paging,
) -> Result<Json<Page<DeliveryShown>>, Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let slice = admin.store.deliveries(webhook.no, paging.from, paging.limit).await?;
    Ok(Json(Page::of(slice, |row| in_list(&admin, &webhook, row))))
}

fn in_list(admin: &Admin, webhook: &Webhook, row: DeliveryRow) -> DeliveryShown {
    let attempts = row.attempt.iter().map(AttemptShown::brief).collect();
    let ids = ids(admin, row.delivery.key, &row.event);
    DeliveryShown::new(ids, &row.event, webhook, row.delivery, attempts)
}

fn ids(admin: &Admin, key: DeliveryKey, event: &Event) -> (String, String) {
    (admin.ids.delivery(key, event.created_at), admin.ids.event(event))
}

/// `GET /deliveries/{delivery}`
pub(crate) async fn get(
    State(admin): Shared,
    Named(id): Named<String>,
) -> Result<Json<DeliveryShown>, Problem> {
    let found = find(&admin, &id).await?;
    Ok(Json(found.shown(&admin)))
}

async fn find(admin: &Admin, id: &str) -> Result<Found, Problem> {
    let key = admin.ids.read_delivery(id).ok_or_else(unknown)?;
    let webhook = admin.webhook_by_no(key.webhook).await?.ok_or_else(unknown)?;
    let checkpoint = admin.store.checkpoint().await?;
    let found = match admin.store.delivery(key).await? {
        Some((delivery, event, attempts)) => Found { webhook, event, delivery, attempts },
        None => {
            let event = admin.store.event(key.event).await?.ok_or_else(unknown)?;
            let delivery = unwritten(key, &event, &webhook, checkpoint).ok_or_else(unknown)?;
            Found { webhook, event, delivery, attempts: Vec::new() }
        }
    };
    // An id is only good with the very time it was made with.
    let is_same = admin.ids.delivery(key, found.event.created_at) == id;
    if is_same { Ok(found) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    Problem::unknown("delivery")
}

/// A delivery that is owed but not yet written down.
fn unwritten(key: DeliveryKey, event: &Event, webhook: &Webhook, checkpoint: Seq) -> Option<Delivery> {
    if !is_for(event, webhook) {
        return None;
    }
    let fate = fate::of(event, webhook, None, checkpoint);
    let state = match fate.status {
        fate::Status::Delivery(state) => state,
        fate::Status::Held => DeliveryState::Pending,
        fate::Status::NotSent => return None,
    };
    Some(Delivery {
        key,
        state,
        reason: fate.reason,
        attempts: 0,
        next_attempt_at: fate.next_attempt_at,
        delivered_at: None,
        last_status: None,
        last_attempt_at: None,
    })
}

fn is_for(event: &Event, webhook: &Webhook) -> bool {
    match event.audience {
        Audience::Account(account) => account == webhook.account,
        Audience::Webhook(no) => no == webhook.no,
        Audience::Broadcast => true,
    }
}

impl Found {
    fn shown(self, admin: &Admin) -> DeliveryShown {
        let ids = ids(admin, self.delivery.key, &self.event);
        let body = self.event.body.for_account(&json::string(&self.webhook.account_id));
        let attempts = self.attempts.iter().map(|attempt| {
            let headers = self.headers(admin, attempt, &ids, &body);
            AttemptShown::whole(attempt, RequestShown::new(headers, &body))
        });
        let attempts = attempts.collect();
        DeliveryShown::new(ids, &self.event, &self.webhook, self.delivery, attempts)
    }

    /// The headers an attempt was made with: signatures as remembered, the rest as the contract has it.
    fn headers(
        &self,
        admin: &Admin,
        attempt: &Attempt,
        (delivery_id, event_id): &(String, String),
        body: &[u8],
    ) -> Vec<(String, String)> {
        let facts = SigningFacts {
            webhook_id: &self.webhook.id,
            url: &self.webhook.url,
            event_id,
            event_type: &self.event.event_type,
            account_id: &self.webhook.account_id,
            delivery_id,
            attempt_number: attempt.number,
            at: attempt.started_at,
            body,
        };
        admin.contract.delivery_headers(&facts, &attempt.signatures)
    }
}

/// `POST /deliveries/{delivery}/retry`
pub(crate) async fn retry(
    State(admin): Shared,
    Named(id): Named<String>,
    caller: Caller,
) -> Result<(StatusCode, Json<DeliveryShown>), Problem> {
    let mut found = find(&admin, &id).await?;
    let refused = |why: &str| Problem::new(Kind::Conflict, why);
    if found.webhook.deleted.is_some() {
        return Err(refused("The webhook is deleted."));
    }
    if found.webhook.state == WebhookState::Disabled {
        return Err(refused("The webhook is switched off; resume it first."));
    }
    // The id as this API shows it, however it was asked for.
    let by = caller.by(&admin).about(&admin.ids.delivery(found.delivery.key, found.event.created_at));
    found.delivery = match admin.store.retry_delivery(found.delivery.key, by).await {
        Ok(delivery) => delivery,
        // One without a row was found all the same: its first attempt is still to come.
        Err(StoreError::Refused(Refusal::WrongState | Refusal::NotFound)) => {
            return Err(refused(
                "The delivery is still pending: it is attempted at its next_attempt_at, or when its turn comes.",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    Ok((StatusCode::ACCEPTED, Json(found.shown(&admin))))
}
