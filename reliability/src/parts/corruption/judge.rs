//! What a damaged store still holds, and whether anybody notices what it does not.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use posthaste_core::{Clock, Seq, UnixMs};
use posthaste_store::{Embedded, Options, Store, StoreError, verify};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::damage::Done;

/// What decides what is sent, where and when, and who may do what.
const DECISIVE: &[(&str, &str)] = &[
    ("events", "SELECT * FROM events ORDER BY seq"),
    ("webhooks", "SELECT * FROM webhooks ORDER BY no"),
    ("accounts", "SELECT * FROM accounts ORDER BY no"),
    ("keys", "SELECT * FROM keys ORDER BY no"),
    ("tokens", "SELECT no, id, name, token_hash, scope, expires_ms, revoked_ms FROM tokens ORDER BY no"),
    ("deliveries", "SELECT event, webhook, state, attempts, next_ms FROM deliveries ORDER BY event, webhook"),
    ("checkpoint", "SELECT value FROM meta WHERE key = 'checkpoint'"),
];
/// What tells of the past.
const MINOR: &[(&str, &str)] = &[
    ("how deliveries went", "SELECT * FROM deliveries ORDER BY event, webhook"),
    ("attempts", "SELECT * FROM attempts ORDER BY event, webhook, n"),
    ("standings", "SELECT * FROM standings ORDER BY webhook"),
    ("audit", "SELECT * FROM audit ORDER BY no"),
    ("idempotency", "SELECT * FROM idempotency ORDER BY key_hash"),
    ("watched values", "SELECT * FROM watched_values ORDER BY account, type, per"),
    ("when tokens were used", "SELECT no, created_ms, used_ms FROM tokens ORDER BY no"),
    ("meta", "SELECT * FROM meta WHERE key <> 'checkpoint' ORDER BY key"),
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
    LooksCut,
    /// Of a log and a file of different times, which a power failure may leave as well.
    OfTwoTimes,
    Minor,
    /// In these tables.
    Unnoticed(Vec<&'static str>),
}

impl Verdict {
    /// Its place among those that are counted.
    pub fn place(&self) -> usize {
        match self {
            Self::Refused => 0,
            Self::ReadError => 1,
            Self::Found => 2,
            Self::Harmless => 3,
            Self::LooksCut => 4,
            Self::Minor | Self::Unnoticed(_) => 5,
            Self::OfTwoTimes => 6,
        }
    }
}

/// Reads a damaged copy in every way. What it holds (`dump`) may be what any of the sound ones held.
pub fn judge(
    copy: &Path,
    dump: impl FnOnce() -> Option<Dump>,
    sound: &[Dump],
    at: usize,
    done: &Done,
) -> Verdict {
    let verified = verify(copy, None);
    match open_and_read(copy) {
        Err(_) => return Verdict::Refused,
        Ok(Err(_)) => return Verdict::ReadError,
        Ok(Ok(())) => {}
    }
    if verified.is_ok_and(|report| report.problems.is_empty()) {
        let Some(dump) = dump() else { return Verdict::Unnoticed(vec!["all of it"]) };
        if sound.contains(&dump) {
            return Verdict::Harmless;
        }
        let decisive = dump.differs_in(&sound[at], DECISIVE);
        return match decisive.is_empty() {
            _ if done.may_look_cut => Verdict::LooksCut,
            _ if done.is_of_two_times => Verdict::OfTwoTimes,
            true => Verdict::Minor,
            false => Verdict::Unnoticed(decisive),
        };
    }
    Verdict::Found
}

struct Now;
impl Clock for Now {
    fn now(&self) -> UnixMs {
        UnixMs(jiff::Timestamp::now().as_millisecond())
    }
}

/// Opens it and reads everything that the program would read. The outer error is that of opening.
fn open_and_read(copy: &Path) -> anyhow::Result<Result<(), StoreError>> {
    let store = Embedded::open(copy, None, Options { readers: 1 }, Arc::new(Now))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(async {
        let read = read_all(&store).await;
        store.close().await;
        read
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
            store.pending(webhook.no, UnixMs(i64::MAX), 10_000).await?;
            store.unattempted(webhook.no, 1_000).await?;
            store.deliveries(webhook.no, None, 1_000).await?;
            store.attempts(webhook.no, None, 1_000).await?;
        }
    }
    match store.damage().first() {
        Some(what) => Err(StoreError::Damaged(what)),
        None => Ok(()),
    }
}
