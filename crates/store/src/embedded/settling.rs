//! The writer's part in a rotation of the master key: when it goes on, what it waits for, and how it ends.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::room::SEEN_TO_EVERY;
use super::status::Hindrance;
use super::write_back;
use super::writer::{Command, Writer};
use crate::ledger::reseal::Left;
use crate::ledger::trouble::Outcome;

/// The pauses between tries to clear the log, which whoever reads keeps: the first, doubled up to the longest.
const LOG_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// The same between tries of what somebody must see to first.
const HELD_UP_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// If somebody always wants to write, the log is tried after so many commits.
const LOG_TRIED_EVERY: u64 = 64;
/// The same of the rest.
const REST_TRIED_EVERY: u64 = 4_096;

impl Writer {
    /// How long to wait for commands before seeing to what else there is: the files, the room, a rotation.
    pub(super) fn pause(&self) -> Duration {
        self.pause_of_rotation().map_or(SEEN_TO_EVERY, |pause| pause.min(SEEN_TO_EVERY))
    }

    /// Has the rotation waited for as long as it was to?
    fn is_rotation_due(&self) -> bool {
        let passed = self.gone_on_at.map(|at| at.elapsed());
        self.pause_of_rotation().is_some_and(|pause| passed.is_none_or(|passed| passed >= pause))
    }

    fn pause_of_rotation(&self) -> Option<Duration> {
        let [first, longest] = match self.ledger.left_to_reseal() {
            Left::Nothing => return None,
            Left::Rows if self.room.is_there() => return Some(Duration::ZERO),
            Left::Rows => return Some(HELD_UP_PAUSES[0]),
            Left::Unopened => return Some(HELD_UP_PAUSES[1]),
            Left::Log => LOG_PAUSES,
            Left::Settling | Left::KeyFile => HELD_UP_PAUSES,
        };
        let Some(doublings) = self.tries.checked_sub(1) else { return Some(Duration::ZERO) };
        Some(first.saturating_mul(1 << doublings.min(10)).min(longest))
    }

    /// Rows are sealed anew only while there is room: a full disk would end the store.
    pub(super) fn is_resealing(&self) -> bool {
        if self.ledger.left_to_reseal() != Left::Rows {
            return false;
        }
        let is_there = self.room.is_there();
        let what = (!is_there).then(|| "the disk is almost full".to_owned());
        self.status.hinder(Hindrance { what, ..self.status.hindrance() });
        is_there
    }

    /// Does what is left when no rows are.
    pub(super) fn go_on(&mut self, is_idle: bool) -> Outcome<()> {
        let left = self.ledger.left_to_reseal();
        let every = if left == Left::Log { LOG_TRIED_EVERY } else { REST_TRIED_EVERY };
        let is_due = is_idle && self.is_rotation_due();
        if !is_due && self.tries > 0 && !self.status.commits().is_multiple_of(every) {
            return Ok(());
        }
        self.gone_on_at = Some(tokio::time::Instant::now());
        match left {
            Left::Nothing | Left::Rows => {}
            Left::Settling => self.settle()?,
            Left::Unopened => {
                self.ledger.look_again();
                self.tries = 0;
            }
            Left::Log => match self.ledger.clear_log()? {
                true => {
                    posthaste_faults::point("store.log-cleared");
                    self.write_back.was_emptied();
                    self.ledger.number_log();
                    self.tries = 0;
                }
                false => self.tries += 1,
            },
            Left::KeyFile => self.take_former_out(),
        }
        Ok(())
    }

    /// Everything is under the new key: the last moment to see that it is where the next start finds it.
    fn settle(&mut self) -> Outcome<()> {
        if !self.room.is_there() {
            self.hold_up(0, "the disk is almost full".to_owned());
            return Ok(());
        }
        if let (Some(file), Some(keys)) = (&self.key_file, self.ledger.rotation_keys())
            && !file.holds(&keys.current)
        {
            tracing::warn!(file = %file.path().display(), "the new master key was not in its file any more: it is put back");
            if let Err(error) = file.replace(keys) {
                self.hold_up(0, format!("{} cannot be written: {error}", file.path().display()));
                return Ok(());
            }
        }
        self.ledger.begin()?;
        let kept = self.ledger.settle(self.clock.now())?;
        posthaste_faults::point("store.before-settling");
        let effects = self.ledger.commit()?;
        posthaste_faults::point("store.after-settling");
        self.note.write(write_back::pages_of(self.ledger.conn())?);
        self.status.committed();
        self.memory.apply(effects);
        if kept > 0 {
            self.hold_up(
                kept,
                format!(
                    "{kept} secrets open with neither key, as the log told: both keys stay until their owners are \
                     deleted, or a backup is put back"
                ),
            );
        } else {
            self.free();
        }
        Ok(())
    }

    /// The former key goes when nothing in the files is sealed under it any more. What is written is the key that
    /// sealed, whatever lies in the file.
    fn take_former_out(&mut self) {
        if let (Some(file), Some(keys)) = (&self.key_file, self.ledger.rotation_keys())
            && let Err(error) = file.replace(&keys.current.clone().into())
        {
            let file = file.path();
            self.hold_up(0, format!("the former key cannot be taken out of {}: {error}", file.display()));
            return;
        }
        posthaste_faults::point("store.former-key-out");
        self.free();
        self.ledger.end_rotation();
    }

    fn hold_up(&mut self, unopened: u64, what: String) {
        if self.tries == 0 {
            tracing::error!(what, "the rotation of the master key is held up; it is tried again");
        }
        self.tries += 1;
        self.status.hinder(Hindrance { unopened, what: Some(what) });
    }

    fn free(&mut self) {
        self.tries = 0;
        self.status.hinder(Hindrance::default());
    }
}

/// What comes within this time, or else [`Command::Idle`]; `None` if nobody is left who could ask. It may be idle sooner.
pub(super) fn receive_within(queue: &mut mpsc::Receiver<Command>, pause: Duration) -> Option<Command> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    if let Poll::Ready(command) = queue.poll_recv(&mut context) {
        return command;
    }
    if !pause.is_zero() {
        std::thread::park_timeout(pause);
    }
    match queue.poll_recv(&mut context) {
        Poll::Ready(command) => command,
        Poll::Pending => Some(Command::Idle),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
