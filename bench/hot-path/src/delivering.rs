//! The way out: the real dispatcher over the real SQL, signing, and the exchange with a receiver over loopback.
//!
//! The driver's part, to bring effects to workers and answers back, is played by the rounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use posthaste_contract::Contract;
use posthaste_core::Attempt;
use posthaste_engine::bounds::Bounds;
use posthaste_engine::dispatcher::{Claim, Dispatcher, Effect, Input};
use posthaste_engine::sending::Sending;
use posthaste_net::{
    Dialler, Guard, GuardPolicy, HttpTransport, Outgoing, PoolLimits, Resolver, Tls, Transport,
};
use posthaste_store::{EventsRead, Inline, RecordBatch};
use tokio::runtime::Runtime;

use crate::held::Held;
use crate::outside::{NOW, SeededDice};
use crate::receiver;

/// How long every attempt took, as far as is remembered: real times would be written in more or fewer bytes.
const TOOK: Duration = Duration::from_millis(1);
/// Steps without rest that no sound dispatcher makes.
const MOST_STEPS: u32 = 1_000;

/// Everything between an accepted event and its recorded delivery. The rounds of its parts follow each other.
pub struct Delivering {
    runtime: Runtime,
    store: Arc<Inline>,
    dispatcher: Dispatcher,
    sending: Sending,
    held: Arc<Held>,
    transport: HttpTransport,
    claims: Vec<Claim>,
    signed: Vec<(Claim, Attempt, Outgoing)>,
    ended: Vec<(Claim, Attempt)>,
    batch: Option<RecordBatch>,
}

/// The receiver on a runtime that the deliveries will share with it.
pub fn receiver() -> anyhow::Result<(Runtime, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = runtime.block_on(receiver::start())?;
    Ok((runtime, address))
}

impl Delivering {
    /// Delivers what comes into `store`, over connections that live on `runtime`.
    pub fn start(contract: &Arc<Contract>, store: Arc<Inline>, runtime: Runtime) -> anyhow::Result<Self> {
        let policy = GuardPolicy::new(vec!["127.0.0.0/8".parse()?])?.allowing_http(true);
        let guard = Arc::new(Guard::new(policy));
        let resolver = Resolver::with_name_servers(&[([127, 0, 0, 1], 53).into()], Vec::new())?;
        let dialler = Dialler::new(guard.clone(), resolver, Tls::new(None)?);
        let held = Arc::new(Held::default());
        let dispatcher = Dispatcher::new(
            Bounds::default(),
            contract.policy.clone(),
            store.roster(),
            Arc::new(SeededDice::default()),
            store.checkpoint()?,
        );
        Ok(Self {
            sending: Sending::new(contract.clone(), guard, held.clone(), store.id_key()),
            transport: HttpTransport::new(Arc::new(dialler), PoolLimits::default()),
            runtime,
            store,
            dispatcher,
            held,
            claims: Vec::new(),
            signed: Vec::new(),
            ended: Vec::new(),
            batch: None,
        })
    }

    /// From what became durable to claims.
    pub fn fan_out(&mut self) -> anyhow::Result<()> {
        for hint in self.store.take_hints() {
            self.dispatcher.handle(Input::Hint(hint));
        }
        self.step()
    }

    /// How many attempts are to be made.
    pub fn claims(&self) -> usize {
        self.claims.len()
    }

    /// From claims to requests that are ready to be sent.
    pub fn sign(&mut self) -> anyhow::Result<()> {
        let Self { runtime, sending, held, claims, signed, .. } = self;
        runtime.block_on(async {
            for claim in claims.drain(..) {
                let attempt = sending.attempt(&claim).await;
                let request = held.take().context("no request was made")?;
                signed.push((claim, attempt, request));
            }
            Ok(())
        })
    }

    /// From requests to the receiver's answers.
    pub fn exchange(&mut self) -> anyhow::Result<()> {
        let Self { runtime, transport, signed, ended, .. } = self;
        runtime.block_on(async {
            for (claim, attempt, request) in signed.drain(..) {
                let sent = transport.send(request).await;
                ensure!(sent.outcome.status() == Some(200), "not delivered: {:?}", sent.outcome);
                ended.push((claim, Attempt { outcome: sent.outcome, duration: TOOK, ..attempt }));
            }
            Ok(())
        })
    }

    /// From answers to what has to be remembered.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        for (claim, attempt) in self.ended.drain(..) {
            self.dispatcher.handle(Input::Ended(claim, attempt));
        }
        self.step()
    }

    /// Remembers it.
    pub fn record(&mut self) -> anyhow::Result<()> {
        let batch = self.batch.take().context("there is nothing to record")?;
        self.store.record(batch)?;
        self.dispatcher.handle(Input::Recorded);
        Ok(())
    }

    /// Has everything that was accepted been delivered and recorded?
    pub fn is_done(&self) -> bool {
        self.dispatcher.is_idle()
    }

    /// Lets the dispatcher step until it rests.
    fn step(&mut self) -> anyhow::Result<()> {
        for _ in 0..MOST_STEPS {
            let step = self.dispatcher.step(NOW);
            let rests = !step.has_more && step.effects.is_empty();
            for effect in step.effects {
                self.carry_out(effect)?;
            }
            if rests {
                return Ok(());
            }
        }
        bail!("the dispatcher never rests")
    }

    fn carry_out(&mut self, effect: Effect) -> anyhow::Result<()> {
        let answer = match effect {
            Effect::Attempt(claim) => {
                self.claims.push(claim);
                return Ok(());
            }
            Effect::Record(batch) if batch.attempts.is_empty() => {
                // Only how far it has come, in the first round.
                self.store.record(batch)?;
                Input::Recorded
            }
            Effect::Record(batch) => {
                ensure!(self.batch.replace(batch).is_none(), "two batches at one time");
                return Ok(());
            }
            Effect::LoadHeads => Input::HeadsLoaded(self.store.pending_heads()?),
            Effect::LoadEvents { after, room, .. } => {
                let EventsRead { events, is_end } = self.store.next_events(after, room)?;
                Input::EventsLoaded {
                    events: events.into_iter().map(|event| (event, vec![])).collect(),
                    is_end,
                }
            }
            Effect::LoadPending(query) => {
                let read = self.store.pending(&query)?;
                Input::PendingLoaded { webhook: query.webhook, read }
            }
        };
        self.dispatcher.handle(answer);
        Ok(())
    }
}
