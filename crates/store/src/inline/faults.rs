//! Faults that simulations ask for, and how one store serves many worlds.

use std::sync::{Arc, Mutex, PoisonError};

use posthaste_core::{Clock, UnixMs};
use rusqlite::Connection;

use super::{Core, Inline};
use crate::embedded::opening;
use crate::error::StoreError;
use crate::ledger::trouble::{Outcome, Trouble};
use crate::ledger::{Effects, Ledger};
use crate::memory::Memory;
use crate::sealing::MasterKey;
use crate::store::Answer;

/// What becomes of a commit that fails. After it the store answers nothing but its failure until it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing of it is stored.
    Lost,
    /// All of it is stored, and nobody hears so: the next who opens the store finds it.
    Kept,
}

impl Inline {
    /// The next commit fails.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.core().next_commit = Some(fault);
    }

    /// From now on the disk is almost full, or not any more: no event is accepted, the rest goes on.
    pub fn set_almost_full(&self, is_almost_full: bool) {
        self.core().is_almost_full = is_almost_full;
    }

    /// From now on, until it is opened again, the store goes by this clock. Without one all times are what it is told.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) -> Answer<()> {
        let mut core = self.core();
        core.ledger.resume_clock(&*clock, |_| Ok(()))?;
        core.clock = Some(clock);
        Ok(())
    }

    /// The same store as if it were new: what SQLite has prepared once serves many worlds.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn emptied(self) -> Answer<Self> {
        let core = self.core.into_inner().unwrap_or_else(PoisonError::into_inner);
        let conn = core.ledger.into_conn();
        empty(&conn).map_err(Trouble::from)?;
        Ok(Self::over(conn, self.id_key)?)
    }

    /// A store over a connection whose tables hold nothing, or are not there yet.
    pub(super) fn over(conn: Connection, id_key: [u8; 16]) -> Outcome<Self> {
        // What lies in memory alone needs no secret key.
        let keys = MasterKey::from_bytes([0; 32]).into();
        let opened = opening::load(conn, &keys, UnixMs(0))?;
        let vault = opened.ledger.vault();
        let core = Core::new(opened.ledger, 0);
        Ok(Self { core: Mutex::new(core), memory: Memory::new(opened.owed.webhooks), vault, id_key })
    }

    pub(super) fn refuse_if_almost_full(&self) -> Answer<()> {
        match self.core().is_almost_full {
            true => Err(StoreError::StorageFull),
            false => Ok(()),
        }
    }
}

impl Core {
    /// A store that nothing goes wrong with yet.
    pub(super) fn new(ledger: Ledger, rotations: u8) -> Self {
        Self {
            ledger,
            hints: vec![],
            listener: None,
            failure: None,
            rotations,
            next_commit: None,
            is_almost_full: false,
            clock: None,
        }
    }
}

/// Ends a transaction as `fault` says, and fails.
pub(super) fn fail_commit(ledger: &mut Ledger, fault: CommitFault) -> Outcome<Effects> {
    match fault {
        CommitFault::Kept => drop(ledger.commit()?),
        CommitFault::Lost => ledger.conn().execute_batch("ROLLBACK")?,
    }
    Err(Trouble::Broken("a commit failed"))
}

fn empty(conn: &Connection) -> rusqlite::Result<()> {
    if !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    let mut statement =
        conn.prepare_cached("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    conn.prepare_cached("BEGIN")?.execute([])?;
    for table in tables {
        conn.prepare_cached(&format!("DELETE FROM {table}"))?.execute([])?;
    }
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
