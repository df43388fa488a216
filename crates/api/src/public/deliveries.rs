//! The log of a webhook's deliveries.

use posthaste_contract::model::Rows;
use posthaste_contract::{Condition, DeliveryFacts, EventFacts, QueryAsk, Subject};
use posthaste_core::{Audience, Webhook};
use posthaste_store::{DeliveryRow, PageCursor, Slice};

use super::answer::Answer;
use super::call::{Call, Shown};
use super::paging;
use super::refusal::Refused;
use super::walk::Source;

/// Lists a webhook's deliveries or attempts, newest first.
pub(super) async fn list(call: &Call<'_>) -> Result<Answer, Refused> {
    let ask = paging::read_query(call)?;
    let webhook = call.webhook().await?;
    let log = Log { call, webhook: &webhook, ask: &ask };
    let page = paging::turn(call, &log, &ask).await?;
    let texts: Vec<RowTexts> = page.items.iter().map(|row| RowTexts::of(call, row)).collect();
    let subjects: Vec<Subject<'_>> =
        page.items.iter().zip(&texts).map(|(row, texts)| texts.subject(row, &webhook)).collect();
    let facts = page.facts(&subjects);
    let about = Subject { webhook: Some(&webhook), ..Subject::default() };
    Ok(call.answer(about, Shown { page: Some(&facts), test: None }))
}

/// Shows one delivery.
pub(super) async fn get(call: &Call<'_>) -> Result<Answer, Refused> {
    let (webhook, row) = find(call).await?;
    Ok(answer_row(call, &webhook, &row))
}

/// Sends one again.
pub(super) async fn resend(call: &Call<'_>) -> Result<Answer, Refused> {
    let (webhook, mut row) = find(call).await?;
    call.may_write().await?;
    let id = call.api.ids.delivery(row.delivery.key, row.event.created_at);
    row.delivery = call.store().retry_delivery(row.delivery.key, call.by().about(&id)).await?;
    Ok(answer_row(call, &webhook, &row))
}

fn answer_row(call: &Call<'_>, webhook: &Webhook, row: &DeliveryRow) -> Answer {
    call.answer(RowTexts::of(call, row).subject(row, webhook), Shown::default())
}

/// The caller's delivery that the path or the body names, with its latest attempt.
async fn find(call: &Call<'_>) -> Result<(Webhook, DeliveryRow), Refused> {
    let values = call.read(None)?;
    let id = call.delivery_id.or(values.delivery_id.as_deref()).ok_or(Condition::NotFound)?;
    let key = call.api.ids.read_delivery(id).ok_or(Condition::NotFound)?;
    let webhook = match call.webhook_id.or(values.webhook_id.as_deref()) {
        Some(_) => call.webhook_of(&values).await?,
        None => owner_of(call, key.webhook).await?,
    };
    if webhook.no != key.webhook {
        return Err(Condition::NotFound.into());
    }
    let (delivery, event, mut attempts) = call.store().delivery(key).await?.ok_or(Condition::NotFound)?;
    if call.api.ids.delivery(key, event.created_at) != id {
        return Err(Condition::NotFound.into());
    }
    Ok((webhook, DeliveryRow { delivery, event, attempt: attempts.pop() }))
}

/// The webhook of a delivery whose path does not name it, if it is the caller's.
async fn owner_of(call: &Call<'_>, no: posthaste_core::WebhookNo) -> Result<Webhook, Refused> {
    let id = call.store().roster().get(no).ok_or(Condition::NotFound)?.id.clone();
    let found = call.store().webhook(call.key.account, call.owner_key(), &id).await?;
    found.ok_or_else(|| Condition::NotFound.into())
}

/// The texts of a row that are made for showing it.
pub(super) struct RowTexts {
    event_id: String,
    delivery_id: String,
    data: String,
}

impl RowTexts {
    pub fn of(call: &Call<'_>, row: &DeliveryRow) -> Self {
        Self {
            event_id: call.api.ids.event(&row.event),
            delivery_id: call.api.ids.delivery(row.delivery.key, row.event.created_at),
            data: row.event.body.data_json(),
        }
    }

    pub fn subject<'a>(&'a self, row: &'a DeliveryRow, webhook: &'a Webhook) -> Subject<'a> {
        let is_broadcast = row.event.audience == Audience::Broadcast;
        let event = EventFacts {
            id: &self.event_id,
            event_type: &row.event.event_type,
            occurred_at: row.event.created_at,
            account_id: (!is_broadcast).then_some(webhook.account_id.as_str()),
            data: &self.data,
        };
        let delivery = DeliveryFacts {
            id: &self.delivery_id,
            delivery: &row.delivery,
            created_at: row.event.created_at,
        };
        Subject {
            webhook: Some(webhook),
            event: Some(event),
            delivery: Some(delivery),
            attempt: row.attempt.as_ref(),
        }
    }
}

/// A webhook's log. Where a row is a delivery, those that wait for their first attempt come first.
struct Log<'c> {
    call: &'c Call<'c>,
    webhook: &'c Webhook,
    ask: &'c QueryAsk,
}

impl Source for Log<'_> {
    type Item = DeliveryRow;

    async fn part(&self, from: Option<PageCursor>, limit: usize) -> Result<Slice<DeliveryRow>, Refused> {
        let (store, no) = (self.call.store(), self.webhook.no);
        Ok(match self.call.route.rows {
            Rows::Attempt => store.attempts(no, from, limit).await?,
            Rows::Delivery => store.deliveries(no, from, limit).await?,
        })
    }

    fn keeps(&self, row: &DeliveryRow) -> bool {
        self.ask.delivery_state.is_none_or(|state| row.delivery.state == state)
            && self.ask.event_type.as_ref().is_none_or(|wanted| *row.event.event_type == **wanted)
    }

    fn id(&self, row: &DeliveryRow) -> String {
        self.call.api.ids.delivery(row.delivery.key, row.event.created_at)
    }

    async fn total(&self) -> Result<Option<u64>, Refused> {
        let is_filtered = self.ask.delivery_state.is_some() || self.ask.event_type.is_some();
        if is_filtered || self.call.route.rows == Rows::Attempt {
            return Ok(None);
        }
        Ok(Some(self.call.store().delivery_count(self.webhook.no).await?))
    }

    fn name(&self) -> String {
        format!("{}\0{:?}\0{:?}", self.webhook.no.0, self.ask.delivery_state, self.ask.event_type)
    }
}
