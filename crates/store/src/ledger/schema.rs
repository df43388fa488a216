//! The tables, and how a store of an older version becomes one of this version.

use rusqlite::Connection;

use super::{checks, id_key};

/// The last event for which, and for all before it, every owed delivery has a row: the name of the fact in `meta`.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// What marks a file as ours: "Post" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x506f_7374;

/// Each step with its number being its place from 1; `PRAGMA user_version` says how many were taken.
const MIGRATIONS: [&str; 12] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
];

/// The step that gave rows their checksums.
const CHECKS_SINCE: usize = 6;
/// The step from which on every store has a checkpoint.
pub(crate) const CHECKPOINT_SINCE: usize = 8;
/// The step that gave the key of public ids a checksum.
pub(super) const ID_KEY_CHECK_SINCE: usize = 11;

/// The version this program writes.
pub(crate) const VERSION: usize = MIGRATIONS.len();

/// The oldest SQLite that is free of the bug that could reset a write-ahead log too early.
pub(crate) const SQLITE_MIN: i32 = 3_051_003;

/// The size of the pages of a new store.
pub(crate) const PAGE_BYTES: u32 = 8192;
/// Pages that a connection keeps; others come from the system's own cache. New rows lie side by side, so the writer comes
/// back to few pages, and a reader reads most pages once.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
const READER_CACHE_KIB: u32 = 4 * 1024;
/// What remains of the write-ahead log's file after it was written back.
pub(crate) const LOG_KEPT_BYTES: u32 = 64 * 1024 * 1024;
const STATEMENTS_CACHED: usize = 128;

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// A new file.
    Empty,
    /// Ours, of this version or an older one.
    Ours,
    /// Ours, but of a later version.
    Newer(usize),
    /// Somebody else's database.
    Foreign,
}

pub(crate) fn marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let version = version(connection)?;
    Ok(match pragma("application_id")? {
        APPLICATION_ID if version > VERSION => Marks::Newer(version),
        APPLICATION_ID => Marks::Ours,
        0 if tables == 0 => Marks::Empty,
        _ => Marks::Foreign,
    })
}

/// How many steps a file says were taken. Any other number is that of a later version.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Makes the tables of a version in an empty database.
pub(super) fn take_steps(empty: &Connection, version: usize) -> rusqlite::Result<()> {
    MIGRATIONS.iter().take(version).try_for_each(|step| empty.execute_batch(step))
}

/// Settings of the one connection that writes.
pub(crate) fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    prepare_file(connection)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = {LOG_KEPT_BYTES};"
    ))?;
    if posthaste_faults::bug("synchronous-normal") {
        connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    }
    keep_pages(connection, WRITER_CACHE_KIB)?;
    prepare_any(connection)
}

/// What has to be said before the first page of a new file is written, or before an older one gets its log.
///
/// A backup has none until its first start. SQLite notes the log in the first bytes of the file, all in one sector, which
/// need no journal: they are there or not. Were there one, a start that is cut off would leave it, and whoever only reads,
/// as every start does first, is refused while there is a journal. A new file has more to write, and needs one; so does
/// one without tables, whose start was cut off: what is left of its journal goes with the next one.
fn prepare_file(connection: &Connection) -> rusqlite::Result<()> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        let new = format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL");
        return connection.execute_batch(&new);
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => connection.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(())),
    }
}

/// Settings of the connection that writes the log back.
pub(crate) fn prepare_write_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    prepare_reader(connection)
}

/// Settings of a connection that only reads.
pub(crate) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    keep_pages(connection, READER_CACHE_KIB)?;
    prepare_any(connection)
}

fn keep_pages(connection: &Connection, kib: u32) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("PRAGMA cache_size = -{kib}"))
}

/// Settings of every connection.
pub(crate) fn prepare_any(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.execute_batch(
        "PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = OFF;
         PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY;",
    )?;
    checks::register(connection)
}

/// Lets a connection that only reads see a store of an older version as one of this version, where columns were added to
/// what that one has. What tables came later it does not have.
pub(crate) fn show_as_of_this_version(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.column_exists(None, "webhooks", "row_check")? {
        let has_tokens = connection.table_exists(None, "tokens")?;
        connection.execute_batch(&checks::shown_as_sound(has_tokens))?;
    }
    show_with_columns(connection, "events", &["watched", "ordering_key"])?;
    show_with_columns(connection, "standings", &["off_seq"])
}

fn show_with_columns(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<()> {
    let mut missing = String::new();
    for column in columns {
        if !connection.column_exists(None, table, column)? {
            missing.push_str(&format!(", NULL AS {column}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    connection.execute_batch(&format!("CREATE TEMP VIEW {table} AS SELECT *{missing} FROM main.{table}"))
}

/// Takes the steps that are missing, all in one transaction.
pub(crate) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let version = version(connection)?;
    let missing = MIGRATIONS.get(version..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for step in missing {
        connection.execute_batch(step)?;
        if posthaste_faults::bug("upgrade-in-pieces") {
            connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
        }
        posthaste_faults::point("store.between-migrations");
    }
    if posthaste_faults::bug("upgrade-drops-rows") {
        connection.execute_batch("DELETE FROM attempts WHERE n > 1")?;
    }
    if version < CHECKS_SINCE {
        checks::stamp_all(connection)?;
    }
    if version < CHECKPOINT_SINCE {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING";
        connection.execute(sql, (CHECKPOINT, checks::closed(CHECKPOINT, &0_i64.to_le_bytes())))?;
    }
    if version < ID_KEY_CHECK_SINCE {
        id_key::stamp(connection)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ))
}
