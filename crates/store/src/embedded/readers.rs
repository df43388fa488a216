//! A few connections that only read, beside the writer, each on a thread of its own.
//!
//! They are few because what a thread allocates stays with it: reads on any thread of a pool would cost memory for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::opening;
use crate::error::StoreError;
use crate::folder::OpenError;
use crate::ledger::trouble::Outcome;
use crate::store::Answer;

/// A read as a thread takes it.
type Job = Box<dyn FnOnce(&Connection) + Send>;

/// As many reads run at one time as there are threads; those beyond wait for their turn.
pub(crate) struct Readers {
    jobs: Mutex<Option<Sender<Job>>>,
    turns: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub fn open(file: &Path, count: usize) -> Result<Self, OpenError> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = opening::open_reader(file).map_err(|error| OpenError::damaged(file, error))?;
            let waiting = waiting.clone();
            let thread = std::thread::Builder::new()
                .name("posthaste-read".to_owned())
                .spawn(move || run(&connection, &waiting))
                .map_err(OpenError::io(file))?;
            threads.push(thread);
        }
        let turns = Arc::new(Semaphore::new(count));
        Ok(Self { jobs: Mutex::new(Some(jobs)), turns, threads: Mutex::new(threads) })
    }

    /// Runs a read on one of the threads. All it reads is of one moment.
    pub async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Answer<T> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| closed())?;
        let (sender, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = catch_unwind(AssertUnwindSafe(|| at_one_moment(connection, verb)));
            drop(turn);
            _ = outcome.map(|outcome| sender.send(outcome));
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        jobs.ok_or_else(closed)?.send(job).map_err(|_| closed())?;
        match answer.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(StoreError::Unavailable("a read was cut off".to_owned())),
        }
    }

    /// Lets no new read begin and waits for those under way, then closes the connections.
    pub async fn close(&self, count: usize) {
        let all = u32::try_from(count).unwrap_or(u32::MAX);
        let turns = self.turns.acquire_many(all).await;
        self.turns.close();
        drop(turns);
        self.end();
    }

    /// Ends the threads after what they are doing.
    fn end(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(connection: &Connection, waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(connection),
            Err(_) => return,
        }
    }
}

fn at_one_moment<T>(connection: &Connection, verb: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    let moment = connection.unchecked_transaction()?;
    let outcome = verb(&moment);
    drop(moment);
    outcome
}
