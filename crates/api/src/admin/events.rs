//! Events, and what became of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use posthaste_core::{Audience, Delivery, DeliveryKey, Event, Seq, Webhook, WebhookNo};

use super::fate;
use super::problem::Problem;
use super::reading::Named;
use super::state::{Admin, Shared};
use super::wire::{EventShown, FateShown};

/// The most webhooks that one answer tells of.
const WEBHOOKS_MAX: usize = 1_000;

/// `GET /events/{event}`: by its id, or by the publisher's own; that is looked for among the events of the account in
/// the parameter `account`, or among broadcasts without it.
pub(crate) async fn get(
    State(admin): Shared,
    Named(id): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<EventShown>, Problem> {
    let event = match find_by_id(&admin, &id).await? {
        Some(event) => event,
        None => find_by_key(&admin, &id, query.as_deref()).await?.ok_or_else(|| Problem::unknown("event"))?,
    };
    let account = match event.audience {
        Audience::Account(no) => admin.store.account_by_no(no).await?.map(|account| account.id),
        Audience::Webhook(no) => admin.webhook_by_no(no).await?.map(|webhook| webhook.account_id.clone()),
        Audience::Broadcast => None,
    };
    if account.is_none() && event.audience != Audience::Broadcast {
        // Its account is deleted, and what is left of it is on its way out.
        return Err(Problem::unknown("event"));
    }
    let (webhooks, is_cut) = fates(&admin, &event).await?;
    Ok(Json(EventShown::new(admin.ids.event(&event), &event, account, webhooks, is_cut)))
}

async fn find_by_id(admin: &Admin, id: &str) -> Result<Option<Arc<Event>>, Problem> {
    for seq in admin.ids.read_event(id) {
        let found = admin.store.event(seq).await?;
        if let Some(event) = found.filter(|event| admin.ids.event(event) == id) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

async fn find_by_key(admin: &Admin, key: &str, query: Option<&str>) -> Result<Option<Arc<Event>>, Problem> {
    let mut parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let account = match parameters.find(|(name, _)| name == "account") {
        Some((_, id)) => Some(admin.account(&id).await?.no),
        None => None,
    };
    Ok(admin.store.event_by_key(account, key, admin.clock.steady()).await?)
}

/// What became of an event at each webhook it could have been for; also, whether there are more than shown.
async fn fates(admin: &Admin, event: &Event) -> Result<(Vec<FateShown>, bool), Problem> {
    // The checkpoint first: what has no row by then has none for a reason.
    let checkpoint = admin.store.checkpoint().await?;
    let rows = admin.store.deliveries_of_event(event.seq, WEBHOOKS_MAX).await?;
    let last_known = if rows.len() < WEBHOOKS_MAX { None } else { rows.last().map(|row| row.key.webhook) };
    let rows: HashMap<WebhookNo, Delivery> = rows.into_iter().map(|row| (row.key.webhook, row)).collect();
    let mut webhooks = audience(admin, event);
    webhooks.extend(departed(admin, &rows, &webhooks).await?);
    webhooks.sort_unstable_by_key(|webhook| webhook.no);
    let all = webhooks.len();
    webhooks.truncate(WEBHOOKS_MAX);
    webhooks.retain(|webhook| last_known.is_none_or(|last| webhook.no <= last));
    let is_cut = webhooks.len() < all;
    let tell = |webhook: &Arc<Webhook>| show(admin, event, webhook, rows.get(&webhook.no), checkpoint);
    Ok((webhooks.iter().map(tell).collect(), is_cut))
}

/// The webhooks that were deleted since and have nothing left to come, as far as the event had deliveries to them.
async fn departed(
    admin: &Admin,
    rows: &HashMap<WebhookNo, Delivery>,
    known: &[Arc<Webhook>],
) -> Result<Vec<Arc<Webhook>>, Problem> {
    let known: HashSet<WebhookNo> = known.iter().map(|webhook| webhook.no).collect();
    let mut departed = Vec::new();
    for no in rows.keys().filter(|no| !known.contains(no)) {
        departed.extend(admin.webhook_by_no(*no).await?);
    }
    Ok(departed)
}

/// The webhooks an event could be for, and one more than are shown.
fn audience(admin: &Admin, event: &Event) -> Vec<Arc<Webhook>> {
    let roster = admin.store.roster();
    match event.audience {
        Audience::Account(account) => roster.of_account(account, WebhookNo(0), WEBHOOKS_MAX + 1),
        Audience::Broadcast => roster.after(WebhookNo(0), WEBHOOKS_MAX + 1),
        Audience::Webhook(no) => roster.get(no).into_iter().collect(),
    }
}

fn show(
    admin: &Admin,
    event: &Event,
    webhook: &Webhook,
    row: Option<&Delivery>,
    checkpoint: Seq,
) -> FateShown {
    let fate = fate::of(event, webhook, row, checkpoint);
    let key = DeliveryKey { event: event.seq, webhook: webhook.no };
    let is_owed = fate.status != fate::Status::NotSent;
    FateShown {
        webhook_id: webhook.id.clone(),
        delivery_id: is_owed.then(|| admin.ids.delivery(key, event.created_at)),
        status: fate.status.word(),
        reason: fate.reason,
        next_attempt_at: fate.next_attempt_at.map(|at| at.rfc3339_ms()),
    }
}
