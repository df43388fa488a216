//! Deliveries with their attempts, and making them again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_contract::{SigningFacts, json};
use posthaste_core::{Attempt, Delivery, DeliveryKey, DeliveryState, Event, UnixMs, Webhook};
use posthaste_store::{DeliveryRow, PageCursor, Refusal, StoreError, Window};

use super::fate;
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named};
use super::state::{Admin, Shared};
use super::wire::{AttemptShown, DeliveryShown, RecoveryShown, RequestShown};

/// Deliveries made pending again in one step, so that no transaction is long.
const RECOVER_STEP: usize = 1_000;
/// Deliveries one request may make pending again or count.
const RECOVER_MAX: usize = 100_000;

/// A delivery with all that is known of it.
struct Found {
    webhook: Arc<Webhook>,
    event: Arc<Event>,
    delivery: Delivery,
    attempts: Vec<Attempt>,
}

/// `GET /accounts/{account}/webhooks/{webhook}/deliveries`, newest first; those that wait for their first attempt come
/// before, as far as there is room.
pub(crate) async fn list(
    State(admin): Shared,
    Named((account, id)): Named<(String, String)>,
    paging: Paging,
) -> Result<Json<Page<DeliveryShown>>, Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let mut rows = match paging.from {
        None => admin.store.unattempted(webhook.no, paging.limit).await?,
        Some(_) => Vec::new(),
    };
    let room = paging.limit - rows.len().min(paging.limit);
    let next = if room == 0 {
        // No cursor of the store points before its first row, so this one does.
        Some(BEFORE_ALL)
    } else {
        let from = paging.from.filter(|from| *from != BEFORE_ALL);
        let slice = admin.store.deliveries(webhook.no, from, room).await?;
        rows.extend(slice.items);
        slice.next
    };
    let data = rows.into_iter().map(|row| in_list(&admin, &webhook, row)).collect();
    Ok(Json(Page::new(data, next)))
}

const BEFORE_ALL: PageCursor = PageCursor(i64::MAX, u32::MAX);

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
    let key = admin.ids.read_delivery(id).ok_or_else(Problem::not_found)?;
    let webhook = admin.store.roster().get(key.webhook).ok_or_else(Problem::not_found)?;
    let checkpoint = admin.store.checkpoint().await?;
    let found = match admin.store.delivery(key).await? {
        Some((delivery, event, attempts)) => Found { webhook, event, delivery, attempts },
        None => {
            let event = admin.store.event(key.event).await?.ok_or_else(Problem::not_found)?;
            let delivery = unwritten(key, &event, &webhook, checkpoint).ok_or_else(Problem::not_found)?;
            Found { webhook, event, delivery, attempts: Vec::new() }
        }
    };
    // An id is only good with the very time it was made with.
    let is_same = admin.ids.delivery(key, found.event.created_at) == id;
    if is_same { Ok(found) } else { Err(Problem::not_found()) }
}

/// A delivery that is owed but not yet written down.
fn unwritten(
    key: DeliveryKey,
    event: &Event,
    webhook: &Webhook,
    checkpoint: posthaste_core::Seq,
) -> Option<Delivery> {
    if !is_for(event, webhook) {
        return None;
    }
    let fate = fate::of(event, webhook, None, checkpoint);
    (fate.status != fate::Status::NotSent).then_some(Delivery {
        key,
        state: DeliveryState::Pending,
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
        posthaste_core::Audience::Account(account) => account == webhook.account,
        posthaste_core::Audience::Webhook(no) => no == webhook.no,
        posthaste_core::Audience::Broadcast => true,
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
) -> Result<(StatusCode, Json<DeliveryShown>), Problem> {
    let mut found = find(&admin, &id).await?;
    let refused = |why: &str| Problem::new(Kind::Conflict, why);
    if found.webhook.deleted.is_some() {
        return Err(refused("The webhook is deleted."));
    }
    found.delivery = match admin.store.retry_delivery(found.delivery.key, admin.clock.now()).await {
        Ok(delivery) => delivery,
        // One without a row was found all the same: its first attempt is still to come.
        Err(StoreError::Refused(Refusal::WrongState | Refusal::NotFound)) => {
            return Err(refused("The delivery is still pending, or its webhook is switched off."));
        }
        Err(error) => return Err(error.into()),
    };
    Ok((StatusCode::ACCEPTED, Json(found.shown(&admin))))
}

/// `POST …/webhooks/{webhook}/recover`
pub(crate) async fn recover(
    State(admin): Shared,
    Named((account, id)): Named<(String, String)>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<RecoveryShown>), Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let now = admin.clock.now();
    let (window, dry_run) = read_window(&body, now)?;
    let count = if dry_run {
        admin.store.recover(webhook.no, window, true, RECOVER_MAX, now).await?
    } else {
        recover_in_steps(&admin, &webhook, window, now).await?
    };
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let shown = RecoveryShown {
        dry_run,
        since: window.since.rfc3339_ms(),
        until: window.until.rfc3339_ms(),
        count,
        capped: count >= RECOVER_MAX as u64,
    };
    Ok((status, Json(shown)))
}

fn read_window(body: &[u8], now: UnixMs) -> Result<(Window, bool), Problem> {
    let mut members = Members::read(body, false)?;
    let since = members.time("since");
    let until = members.time("until").unwrap_or(now);
    let dry_run = members.flag("dry_run");
    match since {
        None => members.require("since"),
        Some(since) if since >= until => members.refuse("since", "since must lie before until".to_owned()),
        Some(_) => {}
    }
    members.finish()?;
    Ok((Window { since: since.unwrap_or(until), until }, dry_run))
}

/// Ends when a step finds less than it could take, or at the bound.
async fn recover_in_steps(
    admin: &Admin,
    webhook: &Webhook,
    window: Window,
    now: UnixMs,
) -> Result<u64, Problem> {
    let mut count = 0;
    while count < RECOVER_MAX as u64 {
        let step = admin.store.recover(webhook.no, window, false, RECOVER_STEP, now).await?;
        count += step;
        if step < RECOVER_STEP as u64 {
            break;
        }
    }
    Ok(count)
}
