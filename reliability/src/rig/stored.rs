//! What stands in a store's files, read from a copy of them as a crash left them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::listener::number_of;

/// The database's file.
const FILE: &str = "posthaste.db";
/// The state of a delivery that was made, as the table has it.
const DELIVERED: i64 = 1;

/// Reads one store again and again, as the files are after each crash. What is known of events is kept.
#[derive(Default)]
pub struct Stored {
    numbers: BTreeMap<i64, u64>,
    last: i64,
}

impl Stored {
    /// Which deliveries are recorded as made: the webhook's path and the event's number. The files are copied first, so
    /// that the next start finds them as the crash left them.
    ///
    /// # Errors
    /// If the copy is no store; one without tables is, as long as no event was read.
    pub fn delivered(&mut self, data: &Path) -> anyhow::Result<BTreeSet<(String, u64)>> {
        let folder = tempfile::tempdir()?;
        let database = copy(data, folder.path())?;
        let connection = Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if self.last == 0 && !has_tables(&connection)? {
            return Ok(BTreeSet::new());
        }
        self.learn(&connection)?;
        let mut statement = connection.prepare(
            "SELECT w.url, d.event FROM deliveries d JOIN webhooks w ON w.no = d.webhook WHERE d.state = ?1",
        )?;
        let rows =
            statement.query_map([DELIVERED], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let mut delivered = BTreeSet::new();
        for row in rows {
            let (url, event) = row?;
            if let (Some(path), Some(number)) = (path_of(&url), self.numbers.get(&event)) {
                delivered.insert((path, *number));
            }
        }
        Ok(delivered)
    }

    /// How many events there are of each number: more than one is an event that was stored twice.
    ///
    /// # Errors
    /// If the copy is no store.
    pub fn events_by_number(&mut self, data: &Path) -> anyhow::Result<BTreeMap<u64, u64>> {
        let folder = tempfile::tempdir()?;
        let database = copy(data, folder.path())?;
        self.learn(&Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_WRITE)?)?;
        let mut counts = BTreeMap::new();
        self.numbers.values().for_each(|number| *counts.entry(*number).or_default() += 1);
        Ok(counts)
    }

    fn learn(&mut self, connection: &Connection) -> anyhow::Result<()> {
        let mut statement = connection.prepare("SELECT seq, body FROM events WHERE seq > ?1 ORDER BY seq")?;
        let rows =
            statement.query_map([self.last], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        for row in rows {
            let (event, body) = row?;
            self.last = event;
            if let Some(number) = number_of(&body) {
                self.numbers.insert(event, number);
            }
        }
        Ok(())
    }
}

/// How many events were fanned out and have no delivery to a webhook that wants all of them, and was there before them. The
/// files are those of a process that has ended.
///
/// # Errors
/// If they are no store, or there is no such webhook.
pub fn without_delivery(data: &Path, url: &str) -> anyhow::Result<u64> {
    let connection = Connection::open_with_flags(data.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    const IS_THERE: &str = "SELECT EXISTS (SELECT 1 FROM webhooks WHERE url = ?1)";
    let is_there: bool = connection.query_row(IS_THERE, [url], |row| row.get(0))?;
    ensure!(is_there, "there is no webhook for {url}");
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM events e
         JOIN webhooks w ON e.audience = 1 OR (e.audience = 0 AND e.audience_no = w.account)
         WHERE w.url = ?1 AND e.seq > w.created_after AND e.seq <= ?2
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.seq AND d.webhook = w.no)",
        params![url, checkpoint(&connection)?],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
}

/// The latest event that was fanned out. From layout 6 on it is eight bytes, the lowest first, in front of a checksum.
///
/// # Errors
/// If it cannot be read.
pub fn checkpoint(connection: &Connection) -> anyhow::Result<i64> {
    const SQL: &str = "SELECT value FROM meta WHERE key = 'checkpoint'";
    let kept: Option<Value> = connection.query_row(SQL, [], |row| row.get(0)).optional()?;
    match kept {
        None => Ok(0),
        Some(Value::Integer(seq)) => Ok(seq),
        Some(Value::Blob(bytes)) => {
            let seq = bytes.first_chunk().context("the checkpoint is too short")?;
            Ok(i64::from_le_bytes(*seq))
        }
        Some(other) => bail!("the checkpoint is {other:?}"),
    }
}

/// A store whose first start was killed may have none yet.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'deliveries'", [], |row| {
        Ok(row.get::<_, i64>(0)? > 0)
    })
}

/// The path of a URL without its leading slash: the name of a receiver, and for those of customers what follows.
fn path_of(url: &str) -> Option<String> {
    Some(url.parse::<http::Uri>().ok()?.path().trim_start_matches('/').to_owned())
}

/// Copies the database and its log, but not the index that the next start makes anew.
fn copy(data: &Path, to: &Path) -> anyhow::Result<std::path::PathBuf> {
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        let from = data.join(&name);
        if from.exists() {
            std::fs::copy(&from, to.join(&name)).with_context(|| from.display().to_string())?;
        }
    }
    Ok(to.join(FILE))
}
