//! Every log sentence and every metric of the engine.

use std::sync::atomic::AtomicU64;

use posthaste_core::{Attempt, DeliveryState, FaultKind, Outcome};
use posthaste_store::StoreError;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::dispatcher::Claim;

/// What the engine tells people who watch it.
#[derive(Clone)]
pub struct Observe {
    attempts: Family<AttemptLabels, Counter>,
    attempt_seconds: Histogram,
    settled: Family<StateLabels, Counter>,
    in_flight: Gauge,
    waiting: Gauge,
    records: Counter,
    disabled: Counter<u64, AtomicU64>,
    damaged: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    /// `2xx` … `5xx`, or the word of a fault.
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

impl Observe {
    /// Registers the engine's metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let observe = Self {
            attempts: Family::default(),
            attempt_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            settled: Family::default(),
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            records: Counter::default(),
            disabled: Counter::default(),
            damaged: Gauge::default(),
        };
        registry.register("posthaste_attempts", "Attempts made, by result", observe.attempts.clone());
        let seconds = observe.attempt_seconds.clone();
        registry.register("posthaste_attempt_seconds", "How long attempts took", seconds);
        registry.register(
            "posthaste_settlements",
            "Attempts by what became of the delivery",
            observe.settled.clone(),
        );
        registry.register("posthaste_in_flight", "Attempts under way", observe.in_flight.clone());
        registry.register("posthaste_waiting", "Deliveries waiting in memory", observe.waiting.clone());
        registry.register("posthaste_records", "Batches made durable by the engine", observe.records.clone());
        registry.register(
            "posthaste_webhooks_disabled",
            "Webhooks switched off for failing",
            observe.disabled.clone(),
        );
        registry.register(
            "posthaste_damaged_rows",
            "Rows of the store that were found damaged and left out since the start",
            observe.damaged.clone(),
        );
        observe
    }

    pub(crate) fn damaged(&self, rows: usize) {
        self.damaged.set(rows as i64);
    }

    pub(crate) fn attempt_ended(&self, claim: &Claim, attempt: &Attempt) {
        let result = match &attempt.outcome {
            Outcome::Answered(response) => format!("{}xx", response.status / 100),
            Outcome::Failed(fault) => fault.kind.word().to_owned(),
        };
        tracing::debug!(
            webhook = claim.webhook.id,
            event_type = &*claim.event.event_type,
            attempt = attempt.number,
            duration_ms = attempt.duration.as_millis() as u64,
            result,
            "attempt ended"
        );
        self.attempts.get_or_create(&AttemptLabels { result }).inc();
        self.attempt_seconds.observe(attempt.duration.as_secs_f64());
    }

    pub(crate) fn load(&self, in_flight: usize, waiting: usize) {
        self.in_flight.set(in_flight as i64);
        self.waiting.set(waiting as i64);
    }

    pub(crate) fn recording(&self, batch: &posthaste_store::RecordBatch) {
        self.records.inc();
        for state in
            [DeliveryState::Delivered, DeliveryState::Failed, DeliveryState::Pending, DeliveryState::Canceled]
        {
            let count = batch.attempts.iter().filter(|recorded| recorded.state == state).count();
            if count > 0 {
                self.settled.get_or_create(&StateLabels { state: state.word() }).inc_by(count as u64);
            }
        }
        for (webhook, reason) in &batch.disable {
            self.disabled.inc();
            tracing::warn!(webhook = webhook.0, reason, "webhook switched off");
        }
    }

    pub(crate) fn attempt_panicked(&self, claim: &Claim) {
        self.attempts.get_or_create(&AttemptLabels { result: FaultKind::Internal.word().to_owned() }).inc();
        tracing::error!(
            webhook = claim.webhook.id,
            "an attempt ended in a fault of ours; it counts as failed"
        );
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        tracing::error!(%error, "the store failed; deliveries stop");
    }

    pub(crate) fn tidying_failed(&self, error: &StoreError) {
        tracing::warn!(%error, "housekeeping failed; it is tried again later");
    }

    pub(crate) fn started(&self, checkpoint: posthaste_core::Seq) {
        tracing::info!(checkpoint = checkpoint.0, "deliveries run");
    }

    pub(crate) fn drained(&self, in_time: bool) {
        if in_time {
            tracing::info!("deliveries stopped; nothing is under way");
        } else {
            tracing::warn!(
                "deliveries stopped; attempts still under way will be repeated after the next start"
            );
        }
    }
}
