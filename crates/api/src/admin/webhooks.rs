//! The operator's view of webhooks.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use posthaste_contract::model::SecretOrigin;
use posthaste_contract::{Contract, Op};
use posthaste_core::{Account, Secret, UnixMs, Webhook, WebhookState};
use posthaste_store::change::Rotation;
use posthaste_store::{WebhookLimits, WebhookPatch};

use super::caller::Caller;
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use super::reading::{JsonBody, Members, Named};
use super::state::{Admin, Shared};
use super::wire::{RotatedShown, TestShown, WebhookShown};
use crate::test_delivery::{TestParts, sample_data, send_test};

/// The longest time for which a former secret goes on signing.
const OVERLAP_MAX: Duration = Duration::from_hours(7 * 24);
/// The longest event type a request may name.
const TYPE_MAX_CHARS: usize = 255;
/// The type of test events where the contract names none.
const TEST_TYPE: &str = "webhook.test";

/// An account's and a webhook's id.
type Names = Named<(String, String)>;

/// `GET /accounts/{account}/webhooks`
pub(crate) async fn list(
    State(admin): Shared,
    Named(account_id): Named<String>,
    paging: Paging,
) -> Result<Json<Page<WebhookShown>>, Problem> {
    let account = admin.account(&account_id).await?;
    let slice = admin.store.webhooks(account.no, None, paging.from, paging.limit).await?;
    Ok(Json(Page::of(slice, WebhookShown::from)))
}

/// `GET /accounts/{account}/webhooks/{webhook}`
pub(crate) async fn get(
    State(admin): Shared,
    Named((account, id)): Names,
) -> Result<Json<WebhookShown>, Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    Ok(Json(webhook.into()))
}

/// `POST …/pause`: deliveries are held.
pub(crate) async fn pause(
    State(admin): Shared,
    Named((account, id)): Names,
    caller: Caller,
) -> Result<Json<WebhookShown>, Problem> {
    let found = admin.webhook(&account, &id).await?;
    if found.1.state == WebhookState::Disabled {
        return Err(Problem::new(Kind::Conflict, "The webhook is switched off; there is nothing to hold."));
    }
    set_state(&admin, found, caller, WebhookState::Paused).await
}

/// `POST …/resume`: held deliveries go out, oldest first; a webhook that was switched off is on again.
pub(crate) async fn resume(
    State(admin): Shared,
    Named((account, id)): Names,
    caller: Caller,
) -> Result<Json<WebhookShown>, Problem> {
    let found = admin.webhook(&account, &id).await?;
    set_state(&admin, found, caller, WebhookState::Active).await
}

async fn set_state(
    admin: &Admin,
    (_, webhook): (Account, Webhook),
    caller: Caller,
    state: WebhookState,
) -> Result<Json<WebhookShown>, Problem> {
    if webhook.state == state {
        return Ok(Json(webhook.into()));
    }
    let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
    let by = caller.by(admin);
    let webhook = admin.store.update_webhook(webhook.no, patch, WebhookLimits::default(), by).await?;
    Ok(Json(webhook.into()))
}

/// `POST …/rotate-secret`
pub(crate) async fn rotate_secret(
    State(admin): Shared,
    Named((account, id)): Names,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let asked = RotationAsked::read(&body, &admin.contract)?;
    let by = caller.by(&admin);
    let now = by.at;
    let made = asked.secret.is_none().then(|| admin.contract.new_secret(&*admin.dice));
    let Some(secret) = asked.secret.or_else(|| made.clone()) else { return Err(Problem::not_found()) };
    let rotation = Rotation { secret, overlap: asked.overlap, keep: admin.contract.rotation.keys };
    let patch = WebhookPatch { rotate: Some(rotation), ..WebhookPatch::default() };
    let signing_before = webhook.secrets.signing_at(now).count();
    let webhook = admin.store.update_webhook(webhook.no, patch, WebhookLimits::default(), by).await?;
    let still_signing: Vec<UnixMs> =
        webhook.secrets.previous.iter().map(|(_, until)| *until).filter(|until| now < *until).collect();
    let shown = RotatedShown {
        dropped_secrets: signing_before.saturating_sub(still_signing.len()),
        previous_secrets_until: still_signing.iter().map(|until| until.rfc3339_ms()).collect(),
        webhook: webhook.into(),
        secret: made.as_ref().map(Secret::expose_text),
    };
    Ok(Json(shown).into_response())
}

/// What a request says about a new secret.
struct RotationAsked {
    secret: Option<Secret>,
    overlap: Duration,
}

impl RotationAsked {
    fn read(body: &[u8], contract: &Contract) -> Result<Self, Problem> {
        let mut members = Members::read(body, true)?;
        let overlap_s = members.number("overlap_seconds", OVERLAP_MAX.as_secs());
        let secret = members.text("secret", contract.secret.max_chars).this();
        if let Err(why) = check_secret(secret.as_deref(), contract) {
            members.refuse("secret", why);
        }
        members.finish()?;
        let overlap = overlap_s.map_or(contract.rotation.overlap, Duration::from_secs);
        Ok(Self { secret: secret.map(Secret::from), overlap })
    }
}

fn check_secret(given: Option<&str>, contract: &Contract) -> Result<(), String> {
    let rule = &contract.secret;
    match (given, rule.origin) {
        (None, SecretOrigin::Caller) => {
            Err("secret is missing; in this contract the customer brings it".to_owned())
        }
        (None, _) => Ok(()),
        (Some(_), SecretOrigin::Server) => Err("secret is made by the server in this contract".to_owned()),
        (Some(text), _) if text.chars().count() < rule.min_chars => {
            Err(format!("secret must have at least {} characters", rule.min_chars))
        }
        (Some(text), _) if !contract.is_secret(text) => {
            Err("secret does not have the form of a signing secret".to_owned())
        }
        (Some(_), _) => Ok(()),
    }
}

/// `POST …/test`: sends a test event and waits for what comes of it.
pub(crate) async fn test(
    State(admin): Shared,
    Named((account, id)): Names,
    caller: Caller,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (_, webhook) = admin.webhook(&account, &id).await?;
    let event_type = read_test_type(&body, &admin.contract)?;
    let parts = TestParts { contract: &admin.contract, store: &*admin.store, publisher: &admin.publisher };
    let data = sample_data(&admin.contract, &event_type);
    let outcome = send_test(parts, &webhook, &event_type, data, caller.by(&admin)).await?;
    let facts = outcome.facts();
    let shown = TestShown {
        ok: facts.ok,
        status_code: facts.status,
        error: facts.error,
        message: facts.message,
        duration_ms: facts.duration.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        event_id: outcome.event_id(&admin.ids),
        delivery_id: admin.ids.delivery(outcome.key, outcome.created_at),
    };
    Ok(Json(shown).into_response())
}

/// The type a test is asked for, else the one that the contract's own test route uses, else one that says it is a test.
fn read_test_type(body: &[u8], contract: &Contract) -> Result<String, Problem> {
    let mut members = Members::read(body, true)?;
    let asked = members.text("event_type", TYPE_MAX_CHARS).this();
    let usual = contract.routes.iter().filter(|route| route.op == Op::WebhookTest);
    let usual = usual.filter_map(|route| route.test_event_type.clone()).next();
    let is_internal =
        |name: &str| contract.events.types.iter().any(|known| known.internal && known.name == name);
    if let Some(name) = asked.as_deref().filter(|name| !is_internal(name))
        && let Err(why) = contract.check_event_type(name)
    {
        members.refuse("event_type", why);
    }
    members.finish()?;
    Ok(asked.or(usual).unwrap_or_else(|| TEST_TYPE.to_owned()))
}
