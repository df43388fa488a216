//! One runtime for each processor, so that neither requests nor attempts move between threads.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::failure::Failure;

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
        let thread = thread.spawn(move || _ = runtime.block_on(stopping))?;
        Ok((home, Self { stop, thread }))
    }
}
