//! A few connections that only read, beside the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::ledger::trouble::Outcome;
use crate::store::Answer;

use super::opening;

/// Connections that are not in use. As many reads run at one time as there are connections.
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub fn open(file: &Path, count: usize) -> rusqlite::Result<Self> {
        let idle = (0..count).map(|_| opening::open_reader(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { turns: Arc::new(Semaphore::new(idle.len())), idle: Arc::new(Mutex::new(idle)) })
    }

    /// Runs a read on a thread that may block. All it reads is of one moment.
    pub async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Answer<T> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| closed())?;
        let idle = self.idle.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let outcome = at_one_moment(&connection, verb);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            Some(outcome)
        });
        match reading.await {
            Ok(Some(outcome)) => Ok(outcome?),
            Ok(None) => Err(closed()),
            Err(error) => Err(StoreError::Unavailable(format!("a read was cut off: {error}"))),
        }
    }

    /// Lets no new read begin and waits for those under way, then closes the connections.
    pub async fn close(&self, count: usize) {
        let all = u32::try_from(count).unwrap_or(u32::MAX);
        let turns = self.turns.acquire_many(all).await;
        self.turns.close();
        drop(turns);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn at_one_moment<T>(connection: &Connection, verb: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    let moment = connection.unchecked_transaction()?;
    let outcome = verb(&moment);
    drop(moment);
    outcome
}
