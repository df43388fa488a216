//! What a damaged store still holds, and whether anybody notices what it does not.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use posthaste_core::{Clock, Seq, UnixMs};
use posthaste_store::{Embedded, OpenError, PendingQuery, Store, StoreError, verify};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::damage::{Done, Excuse};
use crate::rig::opening::open;

/// What decides what is sent, where and when, and who may do what.
const DECISIVE: &[(&str, &str)] = &[
    ("events", "SELECT * FROM events ORDER BY seq"),
    ("webhooks", "SELECT * FROM webhooks ORDER BY no"),
    ("accounts", "SELECT * FROM accounts ORDER BY no"),
    ("keys", "SELECT * FROM keys ORDER BY no"),
    ("tokens", "SELECT no, id, name, token_hash, scope, expires_ms, revoked_ms FROM tokens ORDER BY no"),
    ("once_tokens", "SELECT * FROM once_tokens ORDER BY 1"),
    ("deliveries", "SELECT event, webhook, state, attempts, next_ms FROM deliveries ORDER BY event, webhook"),
    ("checkpoint", "SELECT value FROM meta WHERE key = 'checkpoint'"),
    ("key of ids", "SELECT value FROM meta WHERE key = 'id_key'"),
];
/// What tells of the past, and what has no checksum: how webhooks do, and the keys that publishers named events by.
const MINOR: &[(&str, &str)] = &[
    ("how deliveries went", "SELECT * FROM deliveries ORDER BY event, webhook"),
    ("attempts", "SELECT * FROM attempts ORDER BY event, webhook, n"),
    ("standings", "SELECT * FROM standings ORDER BY webhook"),
    ("audit", "SELECT * FROM audit ORDER BY no"),
    ("idempotency", "SELECT * FROM idempotency ORDER BY key_hash"),
    ("watched values", "SELECT * FROM watched_values ORDER BY account, type, per"),
    ("when tokens were used", "SELECT no, created_ms, used_ms FROM tokens ORDER BY no"),
    ("meta", "SELECT * FROM meta WHERE key NOT IN ('checkpoint', 'id_key') ORDER BY key"),
];

/// All rows of a store, as a number for each table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump(BTreeMap<&'static str, Option<u64>>);

impl Dump {
    /// Reads all of a database with the log beside it. What cannot be read is no table.
    ///
    /// # Errors
    /// If the file cannot be opened at all.
    pub fn of(database: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let tables = DECISIVE.iter().chain(MINOR);
        Ok(Self(tables.map(|(name, sql)| (*name, read(&connection, sql).ok())).collect()))
    }

    /// The tables that could not be read.
    pub fn unread(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, rows)| rows.is_none()).map(|(name, _)| *name).collect()
    }

    fn differs_in(&self, other: &Self, tables: &[(&'static str, &str)]) -> Vec<&'static str> {
        let differs = |name: &&'static str| self.0.get(name) != other.0.get(name);
        tables.iter().map(|(name, _)| *name).filter(|name| differs(name)).collect()
    }
}

fn read(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let (mut rows, mut hasher) = (statement.query([])?, DefaultHasher::new());
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0.hash(&mut hasher),
                ValueRef::Integer(number) => (1, number).hash(&mut hasher),
                ValueRef::Real(number) => (2, number.to_bits()).hash(&mut hasher),
                ValueRef::Text(bytes) => (3, bytes).hash(&mut hasher),
                ValueRef::Blob(bytes) => (4, bytes).hash(&mut hasher),
            }
        }
    }
    Ok(hasher.finish())
}

/// What became of a damaged copy.
#[derive(Debug)]
pub enum Verdict {
    Refused,
    ReadError,
    Found,
    Harmless,
    /// It holds what it held before the last commit of its log, as a crash leaves it.
    CutOff,
    Minor,
    /// In these tables.
    Unnoticed(Vec<&'static str>),
    /// It is refused with a sentence that does not call it damage, or names no file.
    Misnamed(String),
}

impl Verdict {
    /// The figure that it is counted in.
    pub fn figure(&self) -> &'static str {
        match self {
            Self::Refused => "corruption.refused",
            Self::ReadError => "corruption.read_errors",
            Self::Found => "corruption.found",
            Self::Harmless => "corruption.harmless",
            Self::CutOff => "corruption.cut_logs",
            Self::Minor => "corruption.minor",
            Self::Unnoticed(_) => "corruption.unnoticed",
            Self::Misnamed(_) => "corruption.misnamed",
        }
    }
}

/// The file that every sentence about damage names; the log's name begins with it.
const FILE: &str = "posthaste.db";

/// Reads a copy of the snapshot `at` in every way, damaged or not. What it holds is `dump`, and what the snapshot holds
/// with so many bytes of its log `cut`.
pub fn judge(
    copy: &Path,
    dump: impl FnOnce() -> Option<Dump>,
    cut: impl FnOnce(u64) -> anyhow::Result<Dump>,
    sound: &[Dump],
    at: usize,
    done: &Done,
) -> anyhow::Result<Verdict> {
    let verified = verify(copy, None);
    match open_and_read(copy)? {
        Read::Refused(error) => return Ok(named(Verdict::Refused, is_damage(&error), &error)),
        Read::Failed(error) => {
            return Ok(named(Verdict::ReadError, matches!(error, StoreError::Damaged(_)), &error));
        }
        Read::All => {}
    }
    match verified {
        Err(error) => return Ok(named(Verdict::Found, is_damage(&error), &error)),
        Ok(report) if !report.problems.is_empty() => return Ok(Verdict::Found),
        Ok(_) => {}
    }
    let Some(dump) = dump() else { return Ok(Verdict::Unnoticed(vec!["all of it"])) };
    let is_of_another_time = done.excuse == Some(Excuse::OtherTime) && sound.contains(&dump);
    if dump == sound[at] || is_of_another_time {
        return Ok(Verdict::Harmless);
    }
    if let Some(Excuse::LastCommit { whole_bytes }) = done.excuse
        && dump == cut(whole_bytes)?
    {
        return Ok(Verdict::CutOff);
    }
    let decisive = dump.differs_in(&sound[at], DECISIVE);
    Ok(if decisive.is_empty() { Verdict::Minor } else { Verdict::Unnoticed(decisive) })
}

/// The verdict, if the error tells of damage and names a file.
fn named(verdict: Verdict, is_damage: bool, error: &impl ToString) -> Verdict {
    let told = error.to_string();
    if is_damage && told.contains(FILE) { verdict } else { Verdict::Misnamed(told) }
}

/// Where the number of the layout or what the key is tried on is damaged, nothing tells that from a later layout or
/// another store's key.
fn is_damage(error: &OpenError) -> bool {
    use OpenError::{Damaged, Lost, Newer, WrongKey};
    matches!(error, Damaged { .. } | Lost(_) | Newer { .. } | WrongKey(_))
}

struct Now;
impl Clock for Now {
    fn now(&self) -> UnixMs {
        UnixMs(jiff::Timestamp::now().as_millisecond())
    }
}

/// How far reading came.
enum Read {
    Refused(OpenError),
    Failed(StoreError),
    All,
}

/// Opens it and reads everything that the program would read.
fn open_and_read(copy: &Path) -> anyhow::Result<Read> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    Ok(runtime.block_on(async {
        let store = match open(copy, Arc::new(Now)).await {
            Ok(store) => store,
            Err(error) => return Read::Refused(error),
        };
        let read = read_all(&store).await;
        store.close().await;
        read.map_or_else(Read::Failed, |()| Read::All)
    }))
}

async fn read_all(store: &Embedded) -> Result<(), StoreError> {
    let checkpoint = store.checkpoint().await?;
    store.events_after(checkpoint, 10_000).await?;
    store.events_after(Seq(0), 10_000).await?;
    store.pending_heads().await?;
    store.tokens(None, 100).await?;
    for account in store.accounts(None, 100).await?.items {
        store.keys(account.no).await?;
        for webhook in store.webhooks(account.no, None, None, 100).await?.items {
            store.pending(PendingQuery::first(webhook.no, UnixMs(i64::MAX), 10_000)).await?;
            store.deliveries(webhook.no, None, 1_000).await?;
            store.attempts(webhook.no, None, 1_000).await?;
        }
    }
    match store.damage().first() {
        Some(what) => Err(StoreError::Damaged(what)),
        None => Ok(()),
    }
}
