//! What an outage leaves behind: deliveries that became due while nobody could send them, put into the store through its
//! own verbs while no server runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use posthaste::outside::SystemClock;
use posthaste_core::{Audience, Clock as _, DeliveryKey, EventBody, Seq, UnixMs, Webhook, WebhookNo};
use posthaste_store::{Embedded, EventDraft, Options, RecordBatch, Spill, Store};

/// Events in one commit.
const BATCH: u64 = 500;
/// For how long nobody sent anything.
const STOPPED_FOR: Duration = Duration::from_secs(3_600);

/// Puts `events` events for each account but `spared` into the store, and a row for each of their deliveries. Answers how
/// many deliveries those are. Events are numbered from 0.
pub async fn leave_behind(data: &Path, events: u64, spared: &str) -> anyhow::Result<u64> {
    let store = Embedded::open(data, None, Options::default(), Arc::new(SystemClock))?;
    let all = store.roster().after(WebhookNo(0), usize::MAX);
    let mut webhooks: Vec<Arc<Webhook>> = all.into_iter().filter(|one| one.account_id != spared).collect();
    webhooks.sort_by_key(|webhook| webhook.account);
    let (mut number, mut deliveries) = (0, 0);
    for of_account in webhooks.chunk_by(|one, other| one.account == other.account) {
        for begin in (0..events).step_by(BATCH as usize) {
            let count = BATCH.min(events - begin);
            let due_at = SystemClock.steady().minus(STOPPED_FOR);
            let keys = publish(&*store, number..number + count, of_account, due_at).await?;
            number += count;
            deliveries += keys.len() as u64;
            let checkpoint = keys.last().map(|key| key.event);
            let spills = keys.into_iter().map(|key| Spill { key, due_at, chain: None }).collect();
            store.record(RecordBatch { spills, checkpoint, ..RecordBatch::default() }).await?;
        }
    }
    store.close().await;
    Ok(deliveries)
}

async fn publish(
    store: &dyn Store,
    numbers: std::ops::Range<u64>,
    webhooks: &[Arc<Webhook>],
    at: UnixMs,
) -> anyhow::Result<Vec<DeliveryKey>> {
    let account = webhooks.first().context("no webhook")?.account;
    let draft = |_| EventDraft {
        audience: Audience::Account(account),
        event_type: "load.numbered".into(),
        send_at: None,
        ordering_key: None,
        idempotency: None,
        reading: None,
        test_by: None,
    };
    let first = numbers.start;
    let build = |index: usize, _: Seq, _: UnixMs| body(first + index as u64);
    let mut keys = Vec::new();
    for published in store.publish(numbers.map(draft).collect(), &build, at).await? {
        let event = published?.seq;
        keys.extend(webhooks.iter().map(|webhook| DeliveryKey { event, webhook: webhook.no }));
    }
    Ok(keys)
}

/// As long as a usual one.
fn body(number: u64) -> EventBody {
    let (before, data) = (r#"{"type":"load.numbered","data":{"#, format!("\"number\":{number}"));
    let text = format!("{before}{data},\"padding\":\"{}\"}}}}", "x".repeat(300));
    let end = text.len().saturating_sub(2);
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    EventBody { bytes: Bytes::from(text), data: place(before.len())..place(end), account_at: None }
}
