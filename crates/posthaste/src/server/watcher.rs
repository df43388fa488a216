//! Watches, from a thread of its own, that everything gets on: threads that live may stand still all the same.
//!
//! It counts its own rounds and reads no clock, so that a process that was stopped for a while does not seem stuck when
//! it goes on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_engine::pulse::{Beat, Pulse};
use posthaste_store::{Progress, Store};

use super::cores::{Alive, Life};
use crate::failure::Failure;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What stands still for so many looks is told: 5 s.
const TOLD_AFTER: u32 = 10;
/// What stands still for so many looks does not mend itself: 30 s.
const GIVEN_UP_AFTER: u32 = 60;
/// The process is ended from here if it does not end itself within so many looks.
const ENDED_AFTER: u32 = 20;
/// Changes that wait to be logged; where the log takes none, further ones are left out of it.
const UNLOGGED_MAX: usize = 16;

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// It gets on.
    Well,
    /// Something stands still; it may go on by itself.
    Stuck(String),
    /// It has to be started again.
    Broken(String),
}

/// What is watched.
pub(super) struct Watched {
    /// The runtimes.
    pub lives: Vec<Life>,
    /// Deliveries.
    pub pulse: Arc<Pulse>,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// The longest an attempt may be under way.
    pub attempt_max: Duration,
}

/// The thread that watches. It ends when this is dropped.
pub(super) struct Watch {
    condition: Arc<Mutex<Condition>>,
    _end: Sender<()>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(watched: Watched) -> Result<Self, Failure> {
        let condition = Arc::new(Mutex::new(Condition::Well));
        let (end, ended) = channel();
        let told = condition.clone();
        let (log, logged) = sync_channel(UNLOGGED_MAX);
        begin("posthaste-watch", move || watch(&watched, &told, &log, &ended))?;
        begin("posthaste-watch-log", move || write_log(&logged))?;
        Ok(Self { condition, _end: end })
    }

    /// How the server was when it was looked at last.
    pub fn condition(&self) -> Arc<Mutex<Condition>> {
        self.condition.clone()
    }
}

/// What was seen last.
pub(super) fn seen(condition: &Mutex<Condition>) -> Condition {
    condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|error| Failure::refused(format!("the watching thread cannot start: {error}")))?;
    Ok(())
}

/// What whoever watches has to say in the log.
#[derive(Debug)]
enum Saying {
    Changed(Condition),
    Ends,
}

/// Writes the log from a thread of its own: standard error may be a pipe that nobody reads, and whoever watches waits
/// for nobody.
fn write_log(sayings: &Receiver<Saying>) {
    for saying in sayings {
        match saying {
            Saying::Changed(condition) => tracing::warn!(?condition, "how the server gets on has changed"),
            Saying::Ends => tracing::error!("the server does not end by itself and is ended"),
        }
    }
}

/// Makes known how the server is, before the log says so.
fn make_known(condition: Condition, told: &Mutex<Condition>, log: &SyncSender<Saying>) {
    let mut known = told.lock().unwrap_or_else(PoisonError::into_inner);
    if *known != condition {
        known.clone_from(&condition);
        drop(known);
        let _ = log.try_send(Saying::Changed(condition));
    }
}

fn watch(watched: &Watched, told: &Mutex<Condition>, log: &SyncSender<Saying>, ended: &Receiver<()>) {
    let mut looks = Looks::new(watched.lives.len(), watched.attempt_max);
    let mut broken_for = 0;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOK_EVERY) {
        let alive: Vec<Alive> = watched.lives.iter().map(Life::look).collect();
        let condition = looks.look(&alive, watched.pulse.beat(), watched.store.progress());
        broken_for = if matches!(condition, Condition::Broken(_)) { broken_for + 1 } else { 0 };
        make_known(condition, told, log);
        if broken_for == ENDED_AFTER {
            let _ = log.try_send(Saying::Ends);
        } else if broken_for > ENDED_AFTER {
            std::process::exit(1);
        }
    }
}

/// One thing that has to move, and for how many looks it did not.
#[derive(Debug, Default)]
struct Still {
    value: u64,
    looks: u32,
}

impl Still {
    /// For how many looks it has not moved although it should have.
    fn look(&mut self, value: u64, has_to_move: bool) -> u32 {
        let has_moved = std::mem::replace(&mut self.value, value) != value;
        self.looks = if has_moved || !has_to_move { 0 } else { self.looks.saturating_add(1) };
        self.looks
    }
}

/// What was seen so far.
struct Looks {
    runtimes: Vec<Still>,
    steps: Still,
    attempts: Still,
    oldest: Still,
    store: Still,
    attempt_looks_max: u32,
}

impl Looks {
    fn new(runtimes: usize, attempt_max: Duration) -> Self {
        let looks = attempt_max.as_millis() / LOOK_EVERY.as_millis();
        Self {
            runtimes: std::iter::repeat_with(Still::default).take(runtimes).collect(),
            steps: Still::default(),
            attempts: Still::default(),
            oldest: Still::default(),
            store: Still::default(),
            attempt_looks_max: u32::try_from(looks).unwrap_or(u32::MAX).saturating_add(TOLD_AFTER),
        }
    }

    fn look(&mut self, runtimes: &[Alive], beat: Beat, store: Progress) -> Condition {
        if runtimes.contains(&Alive::Ended) {
            return Condition::Broken(
                "a thread that serves requests and makes attempts has ended".to_owned(),
            );
        }
        let runtime = self.runtimes.iter_mut().zip(runtimes).map(|(still, alive)| match alive {
            Alive::Beats(beats) => still.look(*beats, true),
            Alive::Ended => 0,
        });
        let runtime = runtime.max().unwrap_or_default();
        let store = self.store.look(store.rounds, store.is_busy);
        let steps = self.steps.look(beat.steps, true);
        let attempts = self.attempts.look(beat.attempts, beat.is_owing);
        let oldest = self.oldest.look(beat.oldest, beat.oldest > 0);
        // While the store holds everything up, nobody else is to blame, and a new start would find it as it is.
        if store >= TOLD_AFTER {
            // Attempts wait for records and reads: they get their time anew when the store gets on.
            self.attempts.looks = 0;
            return Condition::Stuck("the store does not get on with its work".to_owned());
        }
        let still = [
            (runtime, "a thread that serves requests and makes attempts stands still"),
            (steps, "deliveries stand still"),
            (attempts, "deliveries are due and none is attempted"),
            (oldest.saturating_sub(self.attempt_looks_max - TOLD_AFTER), "an attempt does not end"),
        ];
        match still.into_iter().max_by_key(|(looks, _)| *looks) {
            Some((looks, what)) if looks >= GIVEN_UP_AFTER => Condition::Broken(what.to_owned()),
            Some((looks, what)) if looks >= TOLD_AFTER => Condition::Stuck(what.to_owned()),
            _ => Condition::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that gets on: everything that has to move has moved since the look before.
    fn well(look: u64) -> (Vec<Alive>, Beat, Progress) {
        let beat = Beat { steps: look, attempts: look, is_owing: false, oldest: look };
        (vec![Alive::Beats(look), Alive::Beats(look)], beat, Progress { rounds: look, is_busy: true })
    }

    #[test]
    fn what_stands_still_is_told_after_5_seconds_and_given_up_after_30() {
        type Fault = fn(&mut (Vec<Alive>, Beat, Progress));
        // What is wrong, after how many looks it is told, and after how many it is given up; 0 for never.
        let table: [(&str, Fault, u32, u32); 9] = [
            ("nothing", |_| {}, 0, 0),
            ("a runtime stands still", |seen| seen.0[1] = Alive::Beats(7), 11, 61),
            ("a runtime has ended", |seen| seen.0[1] = Alive::Ended, 0, 1),
            ("the driver stalls", |seen| seen.1.steps = 7, 11, 61),
            ("nothing is due, nothing is attempted", |seen| seen.1.attempts = 7, 0, 0),
            ("nothing due is attempted", |seen| (seen.1.attempts, seen.1.is_owing) = (7, true), 11, 61),
            ("an attempt hangs for longer than its 20 s", |seen| seen.1.oldest = 7, 51, 101),
            ("nothing is under way", |seen| seen.1.oldest = 0, 0, 0),
            ("the store hangs", |seen| seen.2.rounds = 7, 11, 0),
        ];
        for (what, fault, told, given_up) in table {
            let mut looks = Looks::new(2, Duration::from_secs(20));
            let (mut first_told, mut first_given_up) = (0, 0);
            for number in 1..=200 {
                let mut seen = well(u64::from(number) + 100);
                fault(&mut seen);
                let first = match looks.look(&seen.0, seen.1, seen.2) {
                    Condition::Well => continue,
                    Condition::Stuck(_) => &mut first_told,
                    Condition::Broken(_) => &mut first_given_up,
                };
                if *first == 0 {
                    *first = number;
                }
            }
            assert_eq!((first_told, first_given_up), (told, given_up), "{what}");
        }
        println!("counted | reliability | ways of standing still that readiness tells | {}", table.len());
    }

    #[test]
    fn commits_that_are_slow_one_after_the_other_break_nothing() {
        // For how many looks each commit takes. Nothing is attempted where one ends and the next begins.
        for commit in [15, 70, 200] {
            let mut looks = Looks::new(2, Duration::from_secs(20));
            let mut told = 0;
            for number in 1..=1_000 {
                let mut seen = well(number);
                (seen.1.attempts, seen.1.is_owing) = (7, true);
                seen.2.rounds = number / commit;
                match looks.look(&seen.0, seen.1, seen.2) {
                    Condition::Well => {}
                    Condition::Stuck(_) => told += 1,
                    Condition::Broken(why) => panic!("commits of {commit} looks: {why} at {number}"),
                }
            }
            assert!(told > 0, "commits of {commit} looks");
        }
    }

    #[test]
    fn nobody_waits_for_the_log() {
        let (log, logged) = sync_channel(1);
        let told = Mutex::new(Condition::Well);
        for number in 0..5 {
            let condition = Condition::Broken(number.to_string());
            make_known(condition.clone(), &told, &log);
            assert_eq!(seen(&told), condition);
        }
        assert_eq!(logged.try_iter().count(), 1);
    }

    #[test]
    fn what_goes_on_again_is_well_again() {
        let mut looks = Looks::new(2, Duration::from_secs(20));
        for number in 1..50 {
            let mut seen = well(number);
            if number < 30 {
                seen.1.steps = 1;
            }
            let condition = looks.look(&seen.0, seen.1, seen.2);
            assert_eq!(condition != Condition::Well, (11..30).contains(&number), "{number}: {condition:?}");
        }
    }
}
