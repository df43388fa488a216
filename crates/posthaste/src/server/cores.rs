//! One runtime for each processor, so that neither requests nor attempts move between threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::failure::Failure;

/// How often a runtime shows that it gets on.
const BEATS_EVERY: Duration = Duration::from_millis(500);
/// With the bugs of a runtime, it lives so long.
const LIVES_FOR: Duration = Duration::from_secs(2);

/// What tells that a runtime gets on.
pub(super) struct Life {
    beats: Arc<AtomicU64>,
    beating: AbortHandle,
}

/// What was seen of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alive {
    /// How often it has shown that it gets on.
    Beats(u64),
    /// It is gone, and everything that ran on it.
    Ended,
}

impl Life {
    fn of(home: &Handle) -> Self {
        let beats = Arc::new(AtomicU64::new(0));
        let counted = beats.clone();
        let beating = home.spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(BEATS_EVERY).await;
            }
        });
        Self { beats, beating: beating.abort_handle() }
    }

    /// Looks at it.
    pub fn look(&self) -> Alive {
        // A task that never ends by itself is over only when its runtime is.
        if self.beating.is_finished() {
            Alive::Ended
        } else {
            Alive::Beats(self.beats.load(Ordering::Relaxed))
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// The runtimes: the one that this was started on, and a thread with one of its own for each further processor.
pub(super) struct Cores {
    homes: Vec<Handle>,
    further: Vec<Further>,
}

struct Further {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Cores {
    /// Starts as many as there are processors.
    pub fn start() -> Result<Self, Failure> {
        let mut cores = Self { homes: vec![Handle::current()], further: Vec::new() };
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 1..count {
            let (home, further) = Further::start(number)
                .map_err(|error| Failure::refused(format!("a runtime cannot start: {error}")))?;
            cores.homes.push(home);
            cores.further.push(further);
        }
        Ok(cores)
    }

    /// All of them; never none.
    pub fn homes(&self) -> Arc<[Handle]> {
        self.homes.as_slice().into()
    }

    /// What tells of each of them that it gets on.
    pub fn lives(&self) -> Vec<Life> {
        self.homes.iter().map(Life::of).collect()
    }

    /// Ends those that were started. What still runs on them is dropped.
    pub async fn stop(self) {
        for Further { stop, thread } in self.further {
            drop(stop);
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Further {
    fn start(number: usize) -> std::io::Result<(Handle, Self)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let home = runtime.handle().clone();
        let (stop, stopping) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("posthaste-{number}"));
        let thread = thread.spawn(move || runtime.block_on(live(stopping)))?;
        Ok((home, Self { stop, thread }))
    }
}

/// Until the end is told.
async fn live(stopping: oneshot::Receiver<()>) {
    if posthaste_faults::bug("runtime-thread-dies") {
        return tokio::time::sleep(LIVES_FOR).await;
    }
    if posthaste_faults::bug("runtime-thread-hangs") {
        tokio::time::sleep(LIVES_FOR).await;
        loop {
            std::thread::park();
        }
    }
    // Nobody being left who could tell means the same.
    let _ = stopping.await;
}
