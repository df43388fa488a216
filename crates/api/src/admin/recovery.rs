//! Making a webhook's failed deliveries again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_core::{By, Seq, UnixMs, Webhook, WebhookState};
use posthaste_store::{Refusal, StoreError, Window};

use super::caller::Caller;
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named};
use super::state::{Admin, Shared};
use super::wire::RecoveryShown;

/// Deliveries made pending again in one step, so that no transaction is long.
const RECOVER_STEP: usize = 1_000;
/// Deliveries one request may make pending again or count.
const RECOVER_MAX: usize = 100_000;

/// `POST …/webhooks/{webhook}/recover`
pub(crate) async fn recover(
    State(admin): Shared,
    Named((account, id)): Named<(String, String)>,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<RecoveryShown>), Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let by = caller.by(&admin);
    let now = by.at;
    let (window, dry_run) = read_window(&body, now)?;
    if webhook.state == WebhookState::Disabled {
        return Err(Problem::new(Kind::Conflict, "The webhook is switched off; resume it first."));
    }
    let count = if dry_run {
        admin.store.recover(webhook.no, window, true, RECOVER_MAX, by).await?.count
    } else {
        recover_in_steps(&admin, &webhook, window, by).await?
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
    Ok((Window { since: since.unwrap_or(until), until, after: Seq(0) }, dry_run))
}

/// Ends when a step finds less than it could take, at the bound, or when the webhook is switched off meanwhile.
async fn recover_in_steps(
    admin: &Admin,
    webhook: &Webhook,
    mut window: Window,
    by: By,
) -> Result<u64, Problem> {
    let mut count = 0;
    while count < RECOVER_MAX as u64 {
        let step = match admin.store.recover(webhook.no, window, false, RECOVER_STEP, by.clone()).await {
            Err(StoreError::Refused(Refusal::WrongState)) if count > 0 => break,
            step => step?,
        };
        count += step.count;
        match step.last.filter(|_| step.count == RECOVER_STEP as u64) {
            Some(last) => window.after = last,
            None => break,
        }
    }
    Ok(count)
}
