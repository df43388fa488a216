//! Registering, showing, changing and deleting webhooks.

use posthaste_contract::model::{Owner, Target as Field};
use posthaste_contract::{Condition, QueryAsk, Subject, Values};
use posthaste_core::{Secret, Subscription, Webhook, WebhookState};
use posthaste_net::Target;
use posthaste_store::change::Rotation;
use posthaste_store::{NewWebhook, PageCursor, Refusal, Slice, StoreError, WebhookLimits, WebhookPatch};

use super::admission::admit;
use super::answer::Answer;
use super::call::{Call, Shown};
use super::paging;
use super::refusal::Refused;
use super::walk::Source;

/// How often a new id is drawn when the one before is taken.
const ID_DRAWS: usize = 8;

/// Registers a webhook.
pub(super) async fn create(call: &Call<'_>) -> Result<Answer, Refused> {
    let values = call.read(None)?;
    let Some(url) = &values.url else {
        return Err(Refused::field(&call.url_field(), "required", "The URL is missing."));
    };
    let target = admit(call, url).await?;
    let secret = secret(call, values.secret.as_ref()).await?;
    call.may_write().await?;
    let mut webhook = register(call, &values, url, &target, &secret).await?;
    if let Some(state) = values.state.filter(|state| *state != WebhookState::Active) {
        webhook =
            change(call, &webhook, WebhookPatch { state: Some(state), ..WebhookPatch::default() }).await?;
    }
    Ok(call.answer_webhook(&webhook))
}

/// Lists the caller's webhooks.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Refused> {
    let ask = paging::read_query(call)?;
    let page = paging::turn(call, &Webhooks { call, ask: &ask }, &ask).await?;
    let subjects: Vec<Subject<'_>> =
        page.items.iter().map(|webhook| Subject { webhook: Some(webhook), ..Subject::default() }).collect();
    let facts = page.facts(&subjects);
    Ok(call.answer(Subject::default(), Shown { page: Some(&facts), test: None }))
}

/// Shows one.
pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Refused> {
    Ok(call.answer_webhook(&call.webhook().await?))
}

/// Changes what the body names.
pub(super) async fn update(call: &Call<'_>) -> Result<Answer, Refused> {
    let current = call.webhook().await?;
    let values = call.read(Some(&current))?;
    let url = match values.url.filter(|url| *url != current.url) {
        Some(url) => Some(admit(call, &url).await.map(|target| (url, target.canonical().to_owned()))?),
        None => None,
    };
    let rotate = match &values.secret {
        Some(given) => Some(rotation(call, secret(call, Some(given)).await?)),
        None => None,
    };
    call.may_write().await?;
    let patch = WebhookPatch {
        url,
        subscription: values.events,
        description: values.description,
        extension: values.extension,
        state: values.state,
        rotate,
    };
    Ok(call.answer_webhook(&change(call, &current, patch).await?))
}

/// Deletes one.
pub(super) async fn delete(call: &Call<'_>) -> Result<Answer, Refused> {
    let webhook = call.webhook().await?;
    call.may_write().await?;
    call.store().delete_webhook(webhook.no, call.by()).await?;
    Ok(call.answer_webhook(&webhook))
}

/// Gives one a new signing secret.
pub(super) async fn rotate(call: &Call<'_>) -> Result<Answer, Refused> {
    let webhook = call.webhook().await?;
    let values = call.read(Some(&webhook))?;
    let secret = secret(call, values.secret.as_ref()).await?;
    call.may_write().await?;
    let patch = WebhookPatch { rotate: Some(rotation(call, secret)), ..WebhookPatch::default() };
    Ok(call.answer_webhook(&change(call, &webhook, patch).await?))
}

/// Holds its deliveries.
pub(super) async fn pause(call: &Call<'_>) -> Result<Answer, Refused> {
    set_state(call, WebhookState::Paused).await
}

/// Sends what was held.
pub(super) async fn resume(call: &Call<'_>) -> Result<Answer, Refused> {
    set_state(call, WebhookState::Active).await
}

async fn set_state(call: &Call<'_>, state: WebhookState) -> Result<Answer, Refused> {
    let webhook = call.webhook().await?;
    call.may_write().await?;
    let patch = WebhookPatch { state: Some(state), ..WebhookPatch::default() };
    Ok(call.answer_webhook(&change(call, &webhook, patch).await?))
}

async fn register(
    call: &Call<'_>,
    values: &Values,
    url: &str,
    target: &Target,
    secret: &Secret,
) -> Result<Webhook, Refused> {
    for _ in 0..ID_DRAWS {
        let new = NewWebhook {
            id: call.contract().ids.webhook.random(call.now, call.dice()),
            account: call.key.account,
            key: Some(call.key.no),
            url: url.to_owned(),
            canonical_url: target.canonical().to_owned(),
            subscription: values.events.clone().unwrap_or(Subscription::All),
            description: values.description.clone().flatten(),
            extension: values.extension.clone().into_iter().filter_map(|(k, v)| Some((k, v?))).collect(),
            secret: secret.clone(),
        };
        match call.store().create_webhook(new, limits(call), call.by()).await {
            Err(StoreError::Refused(Refusal::Taken)) => {}
            // The account went away between the check of its key and now.
            Err(StoreError::Refused(Refusal::NotFound)) => return Err(Condition::AuthInactive.into()),
            outcome => return Ok(outcome?),
        }
    }
    tracing::error!("no free webhook id was found; the contract's ids are too short");
    Err(Condition::Internal.into())
}

async fn change(call: &Call<'_>, webhook: &Webhook, patch: WebhookPatch) -> Result<Webhook, Refused> {
    Ok(call.store().update_webhook(webhook.no, patch, limits(call), call.by()).await?)
}

/// The caller's own secret, or a new one. An API key is no signing secret: receivers would hold it.
async fn secret(call: &Call<'_>, given: Option<&Secret>) -> Result<Secret, Refused> {
    let Some(given) = given else { return Ok(call.contract().new_secret(call.dice())) };
    if call.store().find_key(given).await?.is_some() {
        let field = secret_field(call);
        return Err(Refused::field(&field, "secret", "The signing secret must not be an API key."));
    }
    Ok(given.clone())
}

fn secret_field(call: &Call<'_>) -> String {
    let input = call.route.input.and_then(|input| call.contract().inputs.get(input));
    let field = input.and_then(|input| input.fields.iter().find(|field| field.to == Field::Secret));
    field.map_or_else(|| "secret".to_owned(), |field| field.at.join("."))
}

fn rotation(call: &Call<'_>, secret: Secret) -> Rotation {
    let rule = call.contract().rotation;
    Rotation { secret, overlap: rule.overlap, keep: rule.keys }
}

fn limits(call: &Call<'_>) -> WebhookLimits {
    let limits = call.contract().limits;
    WebhookLimits {
        max: limits.max_webhooks,
        per_key: limits.per == Owner::Key,
        unique_url: limits.unique_url,
    }
}

/// The caller's webhooks in order of creation.
struct Webhooks<'c> {
    call: &'c Call<'c>,
    ask: &'c QueryAsk,
}

impl Source for Webhooks<'_> {
    type Item = Webhook;

    async fn part(&self, from: Option<PageCursor>, limit: usize) -> Result<Slice<Webhook>, Refused> {
        let (account, key) = (self.call.key.account, self.call.owner_key());
        Ok(self.call.store().webhooks(account, key, from, limit).await?)
    }

    fn keeps(&self, webhook: &Webhook) -> bool {
        let names = |name: &String| match &webhook.subscription {
            Subscription::All => name == "*",
            Subscription::Patterns(patterns) => patterns.contains(name),
        };
        self.ask.webhook_state.is_none_or(|state| webhook.state == state)
            && self.ask.covers.as_ref().is_none_or(|event_type| webhook.subscription.covers(event_type))
            && self.ask.names.as_ref().is_none_or(names)
    }

    fn id(&self, webhook: &Webhook) -> String {
        webhook.id.clone()
    }

    async fn total(&self) -> Result<Option<u64>, Refused> {
        Ok(None)
    }

    fn name(&self) -> String {
        format!("{:?}\0{:?}\0{:?}", self.ask.webhook_state, self.ask.covers, self.ask.names)
    }
}
