//! Carries the dispatcher's effects out and brings it what came of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use posthaste_contract::Contract;
use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{Clock, Dice, FaultKind, Seq, UnixMs};
use posthaste_net::{Guard, Transport};
use posthaste_store::{Hint, Store, StoreError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::bounds::Bounds;
use crate::dispatcher::{Claim, Dispatcher, Effect, Input};
use crate::housekeeping;
use crate::observe::Observe;
use crate::sending::{Sending, not_sent};

/// What an engine is made of.
pub struct EngineParts {
    /// The promise.
    pub contract: Arc<Contract>,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// Where deliveries may go.
    pub guard: Arc<Guard>,
    /// How they get there.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub dice: Arc<dyn Dice>,
    /// How much at a time.
    pub bounds: Bounds,
    /// How long events and attempts are kept after their end.
    pub retention: Duration,
    /// Metrics and log.
    pub observe: Observe,
}

/// A running engine.
pub struct Engine {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
    observe: Observe,
}

/// Inputs taken in before the dispatcher steps.
const INPUTS_AT_ONCE: usize = 1_024;

impl Engine {
    /// Starts deliveries from where the store says they stand.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn start(parts: EngineParts) -> Result<Self, StoreError> {
        let checkpoint = parts.store.checkpoint().await?;
        let observe = parts.observe.clone();
        let tidy_asked = Arc::new(Notify::new());
        let housekeeping = tokio::spawn(housekeeping::run(
            parts.store.clone(),
            parts.clock.clone(),
            parts.retention,
            parts.contract.policy.on_delete == QueuedOnDelete::Drop,
            tidy_asked.clone(),
            observe.clone(),
        ));
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(Driver::new(parts, checkpoint, tidy_asked).run(stopping));
        observe.started(checkpoint);
        Ok(Self { stop, task, housekeeping, observe })
    }

    /// Are deliveries being made?
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Starts no attempts any more and waits, at most `patience`, for those under way to end and be recorded.
    pub async fn stop(self, patience: Duration) {
        self.housekeeping.abort();
        let _ = self.stop.send(true);
        let in_time = tokio::time::timeout(patience, self.task).await.is_ok();
        self.observe.drained(in_time);
    }
}

struct Driver {
    dispatcher: Dispatcher,
    worker: Arc<Worker>,
    hints: mpsc::Receiver<Hint>,
    inputs: mpsc::UnboundedReceiver<Result<Input, StoreError>>,
    tidy_asked: Arc<Notify>,
}

impl Driver {
    fn new(parts: EngineParts, checkpoint: Seq, tidy_asked: Arc<Notify>) -> Self {
        let hints = parts.store.hints();
        let dispatcher = Dispatcher::new(
            parts.bounds,
            parts.contract.policy.clone(),
            parts.store.roster(),
            parts.dice,
            checkpoint,
        );
        let sending = Sending::new(parts.contract, parts.guard, parts.transport, parts.store.id_key());
        // Bounded by what the dispatcher asks for at one time: every effect gives one input.
        let (answers, inputs) = mpsc::unbounded_channel();
        let worker =
            Worker { sending, store: parts.store, clock: parts.clock, observe: parts.observe, answers };
        Self { dispatcher, worker: Arc::new(worker), hints, inputs, tidy_asked }
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(INPUTS_AT_ONCE);
        loop {
            let now = self.worker.clock.now();
            let step = self.dispatcher.step(now);
            step.effects.into_iter().for_each(|effect| self.carry_out(effect));
            let (in_flight, waiting) = self.dispatcher.load();
            self.worker.observe.load(in_flight, waiting);
            if self.dispatcher.is_draining() && self.dispatcher.is_drained() {
                return;
            }
            let patience = if step.has_more { Duration::ZERO } else { until(step.next_due, now) };
            tokio::select! {
                biased;
                _ = stopping.changed(), if !self.dispatcher.is_draining() => self.dispatcher.drain(),
                count = self.inputs.recv_many(&mut batch, INPUTS_AT_ONCE) => {
                    if count == 0 || !self.take_in(&mut batch) {
                        return;
                    }
                }
                Some(hint) = self.hints.recv() => self.hear(hint),
                () = tokio::time::sleep(patience) => {}
            }
            while let Ok(hint) = self.hints.try_recv() {
                self.hear(hint);
            }
        }
    }

    fn hear(&mut self, hint: Hint) {
        if matches!(hint, Hint::Webhook(_)) {
            self.tidy_asked.notify_one();
        }
        self.dispatcher.handle(Input::Hint(hint));
    }

    /// Hands answers to the dispatcher. The store stops for good when it fails, and so do deliveries.
    fn take_in(&mut self, batch: &mut Vec<Result<Input, StoreError>>) -> bool {
        for input in batch.drain(..) {
            match input {
                Ok(input) => self.dispatcher.handle(input),
                Err(error) => {
                    self.worker.observe.store_failed(&error);
                    return false;
                }
            }
        }
        true
    }

    fn carry_out(&self, effect: Effect) {
        let worker = self.worker.clone();
        tokio::spawn(async move {
            let answer = worker.carry_out(effect).await;
            // Nobody listens only when deliveries have stopped.
            let _ = worker.answers.send(answer);
        });
    }
}

/// How long from `now` until `due`.
fn until(due: Option<UnixMs>, now: UnixMs) -> Duration {
    due.map_or(Duration::from_secs(60), |due| due.since(now).max(Duration::from_millis(1)))
}

struct Worker {
    sending: Sending,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    observe: Observe,
    answers: mpsc::UnboundedSender<Result<Input, StoreError>>,
}

impl Worker {
    async fn carry_out(&self, effect: Effect) -> Result<Input, StoreError> {
        match effect {
            Effect::Attempt(claim) => Ok(self.attempt(claim).await),
            Effect::Record(batch) => {
                self.observe.recording(&batch);
                self.store.record(batch).await.map(|()| Input::Recorded)
            }
            Effect::LoadEvents { after, limit, with_written } => {
                self.load_events(after, limit, with_written).await
            }
            Effect::LoadPending { webhook, until, limit } => {
                let (rows, next) = self.store.pending(webhook, until, limit).await?;
                Ok(Input::PendingLoaded { webhook, rows, next })
            }
            Effect::LoadHeads => self.store.pending_heads().await.map(Input::HeadsLoaded),
        }
    }

    async fn attempt(&self, claim: Claim) -> Input {
        let attempt =
            AssertUnwindSafe(self.sending.attempt(&claim)).catch_unwind().await.unwrap_or_else(|_| {
                self.observe.attempt_panicked(&claim);
                not_sent(&claim, FaultKind::Internal, "the attempt could not be made")
            });
        self.observe.attempt_ended(&claim, &attempt);
        Input::Ended(claim, attempt)
    }

    async fn load_events(&self, after: Seq, limit: usize, with_written: bool) -> Result<Input, StoreError> {
        let events = self.store.events_after(after, limit).await?;
        let is_end = events.len() < limit;
        let mut loaded = Vec::with_capacity(events.len());
        for event in events {
            let written = if with_written { self.store.written(event.seq).await? } else { Vec::new() };
            loaded.push((event, written));
        }
        Ok(Input::EventsLoaded { events: loaded, is_end })
    }
}
