//! Making a webhook's failed deliveries again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use posthaste_core::{By, Seq, UnixMs, Webhook, WebhookState};
use posthaste_store::{PageCursor, Recovered, Refusal, StoreError, Window};

use super::caller::Caller;
use super::paging;
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named};
use super::state::{Admin, Shared};
use super::wire::RecoveryShown;

/// Deliveries made pending again in one step, so that no transaction is long.
const RECOVER_STEP: usize = 1_000;
/// Deliveries one request may make pending again or count.
const RECOVER_MAX: usize = 100_000;
/// Characters of a cursor.
const CURSOR_MAX: usize = 64;

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
    let found = if dry_run {
        admin.store.recover(webhook.no, window, true, RECOVER_MAX, by).await?
    } else {
        recover_in_steps(&admin, &webhook, window, by).await?
    };
    let status = if dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let shown = RecoveryShown {
        dry_run,
        since: window.since.rfc3339_ms(),
        until: window.until.rfc3339_ms(),
        count: found.count,
        capped: found.count >= RECOVER_MAX as u64,
        next: found.last.map(|last| paging::spell(PageCursor(last.0, 0))),
    };
    Ok((status, Json(shown)))
}

fn read_window(body: &[u8], now: UnixMs) -> Result<(Window, bool), Problem> {
    let mut members = Members::read(body, false)?;
    let since = members.time("since");
    let until = members.time("until").unwrap_or(now);
    let dry_run = members.flag("dry_run");
    let after = read_cursor(&mut members).unwrap_or(Seq(0));
    match since {
        None => members.require("since"),
        Some(since) if since >= until => members.refuse("since", "since must lie before until".to_owned()),
        Some(_) => {}
    }
    members.finish()?;
    Ok((Window { since: since.unwrap_or(until), until, after }, dry_run))
}

fn read_cursor(members: &mut Members) -> Option<Seq> {
    let cursor = members.text("cursor", CURSOR_MAX).this()?;
    let Some(PageCursor(after, 0)) = paging::unspell(&cursor) else {
        members.refuse("cursor", "cursor must be the next of an earlier answer".to_owned());
        return None;
    };
    Some(Seq(after))
}

/// Ends when a step finds less than it could take, at the bound, or when the webhook is switched off meanwhile.
async fn recover_in_steps(
    admin: &Admin,
    webhook: &Webhook,
    mut window: Window,
    by: By,
) -> Result<Recovered, Problem> {
    let mut all = Recovered { count: 0, last: None };
    while all.count < RECOVER_MAX as u64 {
        let step = match admin.store.recover(webhook.no, window, false, RECOVER_STEP, by.clone()).await {
            Err(StoreError::Refused(Refusal::WrongState)) if all.count > 0 => break,
            step => step?,
        };
        all = Recovered { count: all.count + step.count, last: step.last.or(all.last) };
        match step.last.filter(|_| step.count == RECOVER_STEP as u64) {
            Some(last) => window.after = last,
            None => break,
        }
    }
    Ok(all)
}
