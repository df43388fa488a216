//! Carries the dispatcher's effects out and brings it what came of them.

use std::sync::Arc;
use std::time::Duration;

use posthaste_contract::Contract;
use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{Clock, Dice, Seq, UnixMs};
use posthaste_net::Guard;
use posthaste_store::{Damage, EventsRead, Hint, ReadRoom, Store, StoreError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::bounds::Bounds;
pub use crate::crew::Home;
use crate::crew::{Crew, Ended};
use crate::dispatcher::{Dispatcher, Effect, Input};
use crate::housekeeping::{self, Keeping};
use crate::observe::Observe;
use crate::pulse::Pulse;
use crate::sending::Sending;

/// What an engine is made of.
pub struct EngineParts {
    /// The promise.
    pub contract: Arc<Contract>,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// Where deliveries may go.
    pub guard: Arc<Guard>,
    /// How they get there: at least one home for attempts.
    pub homes: Vec<Home>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter.
    pub dice: Arc<dyn Dice>,
    /// How much at a time.
    pub bounds: Bounds,
    /// How long events and attempts are kept after their end.
    pub retention: Duration,
    /// How long the audit log is kept.
    pub audit_retention: Duration,
    /// Metrics and log.
    pub observe: Observe,
}

/// A running engine.
pub struct Engine {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
    observe: Observe,
    pulse: Arc<Pulse>,
}

/// Inputs taken in before the dispatcher steps.
const INPUTS_AT_ONCE: usize = 1_024;
/// The longest rest between two steps: so often it shows that it lives.
const REST_MAX: Duration = Duration::from_secs(1);
/// With the bug of that name, deliveries stall after so many attempts.
const STALLS_AFTER: u64 = 40;

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
            Keeping {
                deliveries: parts.retention,
                audit: parts.audit_retention,
                drops_queued_of_deleted: parts.contract.policy.on_delete == QueuedOnDelete::Drop,
            },
            tidy_asked.clone(),
            observe.clone(),
        ));
        let (stop, stopping) = watch::channel(false);
        let pulse = Arc::new(Pulse::default());
        let driver = Driver::new(parts, checkpoint, tidy_asked, pulse.clone());
        let task = tokio::spawn(driver.run(stopping));
        observe.started(checkpoint);
        Ok(Self { stop, task, housekeeping, observe, pulse })
    }

    /// Are deliveries being made, and what is over forgotten?
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.task.is_finished() && !self.housekeeping.is_finished()
    }

    /// What tells a watcher that deliveries get on.
    #[must_use]
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Starts no attempts any more and waits, at most `patience`, for those under way to end and be recorded.
    pub async fn stop(self, patience: Duration) {
        self.housekeeping.abort();
        let _ = self.stop.send(true);
        if posthaste_faults::bug("inflight-forgotten-at-sigterm") {
            return;
        }
        let in_time = tokio::time::timeout(patience, self.task).await.is_ok();
        self.observe.drained(in_time);
    }
}

struct Driver {
    dispatcher: Dispatcher,
    crew: Crew,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    observe: Observe,
    hints: mpsc::Receiver<Hint>,
    ended: mpsc::UnboundedReceiver<Ended>,
    answers: mpsc::UnboundedReceiver<Result<Input, StoreError>>,
    tell: mpsc::UnboundedSender<Result<Input, StoreError>>,
    tidy_asked: Arc<Notify>,
    pulse: Arc<Pulse>,
    /// While it holds a time nothing is sent.
    held_since: watch::Receiver<Option<UnixMs>>,
    damage: Arc<Damage>,
}

impl Driver {
    fn new(parts: EngineParts, checkpoint: Seq, tidy_asked: Arc<Notify>, pulse: Arc<Pulse>) -> Self {
        let hints = parts.store.hints();
        let dispatcher = Dispatcher::new(
            parts.bounds,
            parts.contract.policy.clone(),
            parts.store.roster(),
            parts.dice,
            checkpoint,
        );
        let id_key = parts.store.id_key();
        let member = |home: Home| {
            let (contract, guard) = (parts.contract.clone(), parts.guard.clone());
            (home.runtime, Sending::new(contract, guard, home.transport, id_key))
        };
        // Both bounded by what the dispatcher asks for at one time: every effect gives one input.
        let (tell_ended, ended) = mpsc::unbounded_channel();
        let (tell, answers) = mpsc::unbounded_channel();
        Self {
            dispatcher,
            crew: Crew::new(parts.homes.into_iter().map(member).collect(), &parts.observe, &tell_ended),
            held_since: parts.store.held_since(),
            damage: parts.store.damage(),
            store: parts.store,
            clock: parts.clock,
            observe: parts.observe,
            hints,
            ended,
            answers,
            tell,
            tidy_asked,
            pulse,
        }
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let (mut endings, mut answers) = (Vec::with_capacity(INPUTS_AT_ONCE), Vec::new());
        loop {
            let now = self.look_at_clock();
            let is_held = self.held_since.borrow().is_some() || self.store.room_for_results().is_err();
            self.dispatcher.set_held(is_held);
            let step = self.dispatcher.step(now);
            if !step.effects.is_empty() {
                posthaste_faults::point("engine.before-effects");
            }
            self.carry_out(step.effects);
            let (in_flight, waiting) = self.dispatcher.load();
            self.observe.load(in_flight, waiting);
            self.observe.damaged(self.damage.count());
            self.pulse.stepped(self.dispatcher.is_owing(now), self.dispatcher.oldest_under_way());
            if posthaste_faults::bug("dispatcher-stalls") && self.pulse.beat().attempts >= STALLS_AFTER {
                std::future::pending::<()>().await;
            }
            if self.dispatcher.is_draining() && self.dispatcher.is_drained() {
                posthaste_faults::point("engine.drained");
                return;
            }
            tokio::select! {
                biased;
                _ = stopping.changed(), if !self.dispatcher.is_draining() => {
                    self.dispatcher.drain();
                    posthaste_faults::point("engine.draining");
                }
                _ = self.answers.recv_many(&mut answers, INPUTS_AT_ONCE) => {}
                _ = self.ended.recv_many(&mut endings, INPUTS_AT_ONCE) => {}
                Some(hint) = self.hints.recv() => self.hear(hint),
                _ = self.held_since.changed(), if self.held_since.borrow().is_some() => {}
                () = tokio::task::yield_now(), if step.has_more => {}
                () = tokio::time::sleep(until(step.next_due, now)), if !step.has_more => {}
            }
            if !self.take_in(&mut answers) {
                return;
            }
            self.take_in_endings(&mut endings);
            while let Ok(hint) = self.hints.try_recv() {
                self.hear(hint);
            }
        }
    }

    /// The steady time, by which the dispatcher goes. It may take for granted that this never goes back within its life,
    /// and never leaps: a wall clock that is set, by however much, changes only what [`Dispatcher::set_time`] says of it.
    /// The next life begins where this one ended or later, by what has passed in between; where nobody can tell what has
    /// passed (the machine was started anew and its clock shows nonsense) it may begin too late or too early by that.
    fn look_at_clock(&mut self) -> UnixMs {
        let now = self.clock.steady();
        self.dispatcher.set_time(now, self.clock.now().0.saturating_sub(now.0));
        now
    }

    fn hear(&mut self, hint: Hint) {
        if matches!(hint, Hint::Webhook(_)) {
            self.tidy_asked.notify_one();
        }
        self.dispatcher.handle(Input::Hint(hint));
    }

    /// Hands answers to the dispatcher. The store stops for good when it fails, and so do deliveries.
    fn take_in(&mut self, batch: &mut Vec<Result<Input, StoreError>>) -> bool {
        gather(&mut self.answers, batch);
        for input in batch.drain(..) {
            match input {
                Ok(input) => self.dispatcher.handle(input),
                Err(error) => {
                    self.observe.store_failed(&error);
                    return false;
                }
            }
        }
        true
    }

    fn take_in_endings(&mut self, batch: &mut Vec<Ended>) {
        gather(&mut self.ended, batch);
        if !batch.is_empty() {
            self.look_at_clock();
        }
        self.pulse.moved(batch.len());
        for Ended { member, claim, attempt } in batch.drain(..) {
            self.crew.ended(member);
            self.dispatcher.handle(Input::Ended(claim, attempt));
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Attempt(claim) => {
                    self.pulse.moved(1);
                    self.crew.assign(claim);
                }
                Effect::Record(batch) => {
                    self.observe.recording(&batch);
                    posthaste_faults::point("engine.before-record");
                    self.ask(|store| async move {
                        store.record(batch).await?;
                        posthaste_faults::point("engine.recorded");
                        Ok(Input::Recorded)
                    });
                }
                Effect::LoadEvents { after, room, with_written } => {
                    self.ask(move |store| load_events(store, after, room, with_written));
                }
                Effect::LoadPending(query) => self.ask(move |store| async move {
                    let webhook = query.webhook;
                    let read = store.pending(query).await?;
                    posthaste_faults::point("engine.rows-loaded");
                    Ok(Input::PendingLoaded { webhook, read })
                }),
                Effect::LoadHeads => {
                    self.ask(|store| async move { store.pending_heads().await.map(Input::HeadsLoaded) });
                }
            }
        }
        self.crew.start();
    }

    /// Asks the store for what becomes an input.
    fn ask<Answer>(&self, question: impl FnOnce(Arc<dyn Store>) -> Answer)
    where
        Answer: Future<Output = Result<Input, StoreError>> + Send + 'static,
    {
        let (answer, tell) = (question(self.store.clone()), self.tell.clone());
        // Nobody listens only when deliveries have stopped.
        tokio::spawn(async move { _ = tell.send(answer.await) });
    }
}

async fn load_events(
    store: Arc<dyn Store>,
    after: Seq,
    room: ReadRoom,
    with_written: bool,
) -> Result<Input, StoreError> {
    let EventsRead { events, is_end } = store.next_events(after, room).await?;
    let mut loaded = Vec::with_capacity(events.len());
    for event in events {
        let written = if with_written && !posthaste_faults::bug("recovery-ignores-rows") {
            store.written(event.seq).await?
        } else {
            Vec::new()
        };
        loaded.push((event, written));
    }
    posthaste_faults::point("engine.events-loaded");
    Ok(Input::EventsLoaded { events: loaded, is_end })
}

/// Adds what else has come to a batch, as far as that has room. What has none stays where it is.
fn gather<T>(from: &mut mpsc::UnboundedReceiver<T>, batch: &mut Vec<T>) {
    while batch.len() < INPUTS_AT_ONCE
        && let Ok(one) = from.try_recv()
    {
        batch.push(one);
    }
}

/// How long to rest from `now` until `due`.
fn until(due: Option<UnixMs>, now: UnixMs) -> Duration {
    due.map_or(REST_MAX, |due| due.since(now).clamp(Duration::from_millis(1), REST_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_a_batch_comes_with_the_next() {
        let (tell, mut told) = mpsc::unbounded_channel();
        (0..2 * INPUTS_AT_ONCE + 1).for_each(|number| tell.send(number).unwrap());
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut batch = vec![told.try_recv().unwrap()];
            gather(&mut told, &mut batch);
            assert!(batch.len() <= INPUTS_AT_ONCE);
            seen.extend(batch);
        }
        assert!(seen.into_iter().eq(0..2 * INPUTS_AT_ONCE + 1));
    }
}
