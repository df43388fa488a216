//! Sending a test event on a customer's wish.

use posthaste_contract::{Condition, EventFacts, Subject};
use posthaste_store::DeliveryRow;

use super::answer::Answer;
use super::call::{Call, Shown};
use super::deliveries::RowTexts;
use super::refusal::{Refused, STORE_PAUSE};
use crate::test_delivery::{TestOutcome, TestParts, sample_data, send_test};

/// Sends a test event and answers with what became of it.
pub(super) async fn send(call: &Call<'_>) -> Result<Answer, Refused> {
    let values = call.read(None)?;
    let webhook = call.webhook_of(&values).await?;
    let busy = || Refused { retry_in: Some(STORE_PAUSE), ..Condition::Unavailable.into() };
    let _place = call.api.tests.take(call.key.account).ok_or_else(busy)?;
    call.may_write().await?;
    let event_type = event_type(call, values.event_type.as_deref());
    let data = sample_data(call.contract(), event_type);
    let parts = TestParts { contract: call.contract(), store: call.store(), publisher: &call.api.publisher };
    let outcome = send_test(parts, &webhook, event_type, data, call.by()).await?;
    let facts = outcome.facts();
    let shown = Shown { page: None, test: Some(&facts) };
    if let Some(row) = row(call, &outcome).await? {
        return Ok(call.answer(RowTexts::of(call, &row).subject(&row, &webhook), shown));
    }
    let event_id = outcome.event_id(&call.api.ids);
    let event = EventFacts {
        id: &event_id,
        event_type,
        occurred_at: outcome.created_at,
        account_id: Some(&webhook.account_id),
        data,
    };
    Ok(call.answer(Subject { webhook: Some(&webhook), event: Some(event), ..Subject::default() }, shown))
}

/// The delivery of the test, once it has a row.
async fn row(call: &Call<'_>, outcome: &TestOutcome) -> Result<Option<DeliveryRow>, Refused> {
    let found = call.store().delivery(outcome.key).await?;
    Ok(found.map(|(delivery, event, _)| DeliveryRow { delivery, event, attempt: outcome.attempt.clone() }))
}

/// What the request names, else the route, else the contract's first type.
fn event_type<'c>(call: &Call<'c>, named: Option<&'c str>) -> &'c str {
    let first = || call.contract().events.types.first().map(|first| first.name.as_str());
    named.or(call.route.test_event_type.as_deref()).or_else(first).unwrap_or("webhook.test")
}
