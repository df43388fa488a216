//! The clocks of a world. What happens happens in true time; people and processes see clocks that may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use posthaste_core::{Clock, SteadyMark, UnixMs};

/// True time, and how far the others are ahead of it.
pub struct Clocks {
    pub true_time: UnixMs,
    wall_ahead_ms: i64,
    steady_ahead_ms: i64,
    /// How far the wall clock was ahead of the steady one when the last process lived.
    left_at_ms: i64,
    shown: Arc<Shown>,
}

/// What a process sees of the clocks.
#[derive(Default)]
pub struct Shown {
    wall_ms: AtomicI64,
    steady_ms: AtomicI64,
}

impl Clock for Shown {
    fn now(&self) -> UnixMs {
        UnixMs(self.wall_ms.load(Ordering::Relaxed))
    }

    fn steady(&self) -> UnixMs {
        UnixMs(self.steady_ms.load(Ordering::Relaxed))
    }

    fn mark(&self) -> Option<SteadyMark> {
        let (at, ahead_ms) = (self.steady(), self.now().0 - self.steady().0);
        Some(SteadyMark { boot: [1; 16], booted_at: UnixMs(0), at, ahead_ms })
    }
}

impl Clocks {
    pub fn new(beginning: UnixMs) -> Self {
        Self {
            true_time: beginning,
            wall_ahead_ms: 0,
            steady_ahead_ms: 0,
            left_at_ms: 0,
            shown: Arc::default(),
        }
    }

    /// It is this late now.
    pub fn go_to(&mut self, true_time: UnixMs) {
        self.true_time = self.true_time.max(true_time);
        self.show();
    }

    fn show(&self) {
        self.shown.wall_ms.store(self.wall().0, Ordering::Relaxed);
        self.shown.steady_ms.store(self.steady().0, Ordering::Relaxed);
    }

    /// The clocks as a process sees them.
    pub fn shown(&self) -> Arc<Shown> {
        self.show();
        self.shown.clone()
    }

    /// How far the wall clock is ahead of the steady one, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.wall_ahead_ms - self.steady_ahead_ms
    }

    /// What the wall clock shows: what people see.
    pub fn wall(&self) -> UnixMs {
        UnixMs(self.true_time.0 + self.wall_ahead_ms)
    }

    /// What everything that waits waits by. It goes on by one second in each second while the machine is up.
    pub fn steady(&self) -> UnixMs {
        UnixMs(self.true_time.0 + self.steady_ahead_ms)
    }

    /// When it is this late by the steady clock; not before now.
    pub fn true_time_of(&self, steady: UnixMs) -> UnixMs {
        UnixMs(steady.0.saturating_sub(self.steady_ahead_ms)).max(self.true_time)
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&mut self, by_ms: i64) {
        self.wall_ahead_ms += by_ms;
        self.show();
    }

    /// Somebody sets the wall clock right.
    pub fn set_right(&mut self) {
        self.wall_ahead_ms = 0;
        self.show();
    }

    /// A process ends; what it knew of both clocks is in the store.
    pub fn end_process(&mut self) {
        self.left_at_ms = self.wall_ahead_ms - self.steady_ahead_ms;
    }

    /// The machine itself is started anew: steady time is told from the wall clock, and never goes back. Answers how far
    /// it went beside true time, in milliseconds.
    pub fn start_machine(&mut self, ended_at: UnixMs) -> i64 {
        let told_ms = self.wall_ahead_ms - self.left_at_ms;
        let least_ms = self.steady_ahead_ms - (self.true_time.0 - ended_at.0);
        let before_ms = self.steady_ahead_ms;
        self.steady_ahead_ms = told_ms.max(least_ms);
        self.show();
        self.steady_ahead_ms - before_ms
    }
}
