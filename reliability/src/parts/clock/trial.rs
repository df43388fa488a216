//! One server and its clock: deliveries and retries before, during and after what is done to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};

use super::changes::Change;
use super::visits::{Receivers, Visit};
use crate::rig::clock::{Face, Turn};
use crate::rig::contract::{Contract, DELAYS_MS};
use crate::rig::ledger::Ledger;
use crate::rig::server::{Plan, Server};
use crate::rig::wait::becomes;

/// A rate that a test can wait for.
const RATE_TEXTS: [(&str, &str); 2] =
    [("limit   = 600", "limit   = 4"), (r#"window  = "1m""#, r#"window  = "4s""#)];
/// How long until the rate lets one more request through, and how many it lets through at once.
const RATE_GAP: Duration = Duration::from_secs(1);
const RATE: usize = 4;
/// Times are whole milliseconds on the way from the end of an attempt to the next.
const ROUNDED: Duration = Duration::from_millis(2);
/// Within this the server notes that its clock was set.
const NOTED: Duration = Duration::from_millis(1_300);
/// The longest wait for the last retry.
const PATIENCE: Duration = Duration::from_secs(15);
const STARTS: [&str; 2] = ["6f1c1d2e-0000-4000-8000-000000000001", "6f1c1d2e-0000-4000-8000-000000000002"];

/// What a trial saw: values of figures, and what should not have been.
#[derive(Default)]
pub struct Seen {
    pub figures: Vec<(&'static str, f64)>,
    pub objections: Vec<String>,
}

/// A trial to come.
pub struct Trial {
    change: &'static Change,
    program: PathBuf,
    library: Arc<PathBuf>,
    bug: Option<String>,
}

/// A trial under way.
struct Scene {
    change: &'static Change,
    plan: Plan,
    face: Arc<Face>,
    receivers: Receivers,
    ledger: Ledger,
    next: u64,
    seen: Seen,
}

impl Trial {
    pub fn new(change: &'static Change, program: &Path, library: &Arc<PathBuf>, bug: Option<&str>) -> Self {
        let (program, library) = (program.to_owned(), library.clone());
        Self { change, program, library, bug: bug.map(str::to_owned) }
    }

    pub async fn run(self) -> anyhow::Result<Seen> {
        let folder = tempfile::tempdir()?;
        let mut scene = self.scene(folder.path()).await?;
        let mut server = Server::start(&scene.plan).await?;
        let key = server.account("acme").await?;
        for path in ["good", "flaky"] {
            server.webhook(&key, &scene.receivers.url(path)).await?;
        }
        scene.publish(&server, 8).await?;
        scene.turn_under(&server).await?;
        scene.publish(&server, 4).await?;
        let stopped = scene.stop(&mut server).await?;
        let server = Server::start(&scene.plan).await?;
        let ready = Instant::now();
        scene.publish(&server, 4).await?;
        scene.turn(self.change.after)?;
        scene.publish(&server, 4).await?;
        scene.settle(&server).await?;
        scene.judge(stopped, ready);
        Ok(scene.seen)
    }

    async fn scene(&self, folder: &Path) -> anyhow::Result<Scene> {
        let [limit, window] = RATE_TEXTS;
        let contract = Contract::short()?.with(limit.0, limit.1)?.with(window.0, window.1)?;
        let boot = folder.join("boot");
        std::fs::write(&boot, STARTS[0])?;
        let face = Arc::new(Face::new(folder)?);
        face.turn(self.change.before)?;
        let plan = Plan::new(&self.program, folder)
            .contract(&contract)?
            .arguments(&["--retention-days", "1"])
            .with("LD_PRELOAD", self.library.to_string_lossy())
            .with("CLOCK_FILE", face.path().to_string_lossy())
            .with("CLOCK_BOOT", boot.to_string_lossy())
            .with("TZ", self.change.zone)
            .bug(self.bug.as_deref());
        let (receivers, ledger) = (Receivers::start(face.clone()).await?, Ledger::default());
        Ok(Scene { change: self.change, plan, face, receivers, ledger, next: 0, seen: Seen::default() })
    }
}

impl Scene {
    /// Publishes so many events one after the other, and the first of all once more.
    async fn publish(&mut self, server: &Server, count: u64) -> anyhow::Result<()> {
        let product = server.product("acme")?;
        for number in self.next..self.next + count {
            let answer = product.publish(number, &self.ledger).await;
            ensure!(answer.is_accepted(), "{answer:?}");
        }
        self.next += count;
        self.count("clock.events", count as f64);
        let first = self.ledger.acknowledged_ids().remove(&0);
        ensure!(product.publish(0, &self.ledger).await.is_accepted(), "the first event once more");
        let is_twice = self.ledger.acknowledged_ids().remove(&0) != first;
        self.never("clock.twice", is_twice, || "the same key made another event".to_owned());
        Ok(())
    }

    /// Sets the clock of a running server, with deliveries under way, retries waiting and a rate used up.
    async fn turn_under(&mut self, server: &Server) -> anyhow::Result<()> {
        let key = server.account("bounded").await?;
        for _ in 0..RATE {
            ensure!(asked(server, &key).await? == 200, "within the rate");
        }
        let used_up = Instant::now();
        self.turn(self.change.running)?;
        let status = asked(server, &key).await?;
        let is_through = status != 429 && used_up.elapsed() < RATE_GAP;
        self.never("clock.locked_out", is_through, || format!("{status} although the rate is used up"));
        self.publish(server, 8).await?;
        sleep(NOTED).await;
        let status = asked(server, &key).await?;
        self.never("clock.locked_out", status != 200, || format!("{status} although the rate has room"));
        Ok(())
    }

    /// Ends the server while retries wait, and does what is to be done meanwhile.
    async fn stop(&mut self, server: &mut Server) -> anyhow::Result<Instant> {
        if self.change.is_killed {
            self.quiet().await;
            server.kill().await?;
        } else {
            server.end().await?;
        }
        let stopped = Instant::now();
        self.turn(self.change.stopped)?;
        if self.change.boots {
            std::fs::write(self.plan.folder.join("boot"), STARTS[1])?;
        }
        Ok(stopped)
    }

    /// Waits for a moment in which nothing is under way, so that a kill repeats nothing.
    async fn quiet(&self) {
        const QUIET: Duration = Duration::from_millis(150);
        let last = || self.receivers.visits().values().flatten().map(|visit| visit.at).max();
        becomes(PATIENCE, || last().is_none_or(|at| at.elapsed() > QUIET)).await;
    }

    /// Waits until everything has arrived, and looks whether it is still there.
    async fn settle(&mut self, server: &Server) -> anyhow::Result<()> {
        let ids = self.ledger.acknowledged_ids();
        becomes(PATIENCE, || self.missing().is_empty()).await;
        let missing = self.missing();
        self.count("clock.lost", missing.len() as f64);
        if !missing.is_empty() {
            self.object(format!("not delivered: {missing:?}\n{}", server.log()));
        }
        sleep(NOTED).await;
        for (number, id) in ids {
            let is_gone = server.admin.get(&format!("/events/{id}")).await.is_err();
            self.never("clock.expired", is_gone, || format!("event {number} is not there any more"));
        }
        Ok(())
    }

    /// Which events were not taken, and where.
    fn missing(&self) -> Vec<(&'static str, u64)> {
        let visits = self.receivers.visits();
        let is_missing = |(path, number): &(&'static str, u64)| {
            let of_it = visits.get(&((*path).to_owned(), *number));
            !of_it.is_some_and(|visits| visits.iter().any(|visit| visit.is_taken))
        };
        let all = (0..self.next).flat_map(|number| [("good", number), ("flaky", number)]);
        all.filter(is_missing).collect()
    }

    fn judge(&mut self, stopped: Instant, ready: Instant) {
        for ((path, number), visits) in self.receivers.visits() {
            let repeated = visits.iter().filter(|visit| visit.is_taken).count().saturating_sub(1);
            self.never("clock.repeated", repeated > 0, || format!("{path} took number {number} again"));
            for (pair, delay_ms) in visits.windows(2).zip(DELAYS_MS) {
                let delay = Duration::from_millis(delay_ms);
                self.judge_retry((pair[0], pair[1]), delay, (stopped, ready), &format!("{path} {number}"));
            }
        }
        let misdated = self.receivers.misdated();
        self.count("clock.misdated", misdated.len() as f64);
        misdated.into_iter().for_each(|what| self.object(what));
    }

    /// A retry is due after its delay, or when the server is there again. Where nobody can say how long the machine was
    /// off, it may be late by its own delay.
    fn judge_retry(
        &mut self,
        (before, after): (Visit, Visit),
        delay: Duration,
        (stopped, ready): (Instant, Instant),
        which: &str,
    ) {
        self.count("clock.retries", 1.0);
        let due = before.at + delay;
        let is_early = after.at + ROUNDED < due;
        self.never("clock.early", is_early, || {
            format!("{which} was tried {:?} before it was due", due.duration_since(after.at))
        });
        let was_down = before.at < stopped && after.at > stopped;
        let due = if was_down { due.max(ready) } else { due };
        let late_ms = after.at.saturating_duration_since(due + delay / 10).as_secs_f64() * 1_000.0;
        if was_down && self.change.boots && self.change.stopped != Turn::None {
            self.count("clock.late_after_boot", (late_ms - delay.as_secs_f64() * 1_000.0).max(0.0));
        } else {
            self.count("clock.late", late_ms);
        }
    }

    fn turn(&mut self, turn: Turn) -> anyhow::Result<()> {
        self.count("clock.turns", f64::from(u8::from(turn != Turn::None)));
        self.face.turn(turn)
    }

    fn count(&mut self, figure: &'static str, value: f64) {
        self.seen.figures.push((figure, value));
    }

    fn never(&mut self, figure: &'static str, is_so: bool, what: impl FnOnce() -> String) {
        self.count(figure, f64::from(u8::from(is_so)));
        if is_so {
            self.object(what());
        }
    }

    fn object(&mut self, what: String) {
        self.seen.objections.push(format!("{}: {what}", self.change.name));
    }
}

/// The status of a customer's request.
async fn asked(server: &Server, key: &str) -> anyhow::Result<u16> {
    let answer = server.customer(key).call(http::Method::GET, "/v1/webhooks", String::new()).await;
    Ok(answer.context("nobody answers")?.status)
}
