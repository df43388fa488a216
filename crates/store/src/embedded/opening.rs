//! Opening a store in a folder: the key first, then the file's own word, and only then a write.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand;
use posthaste_core::{Clock, UnixMs};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::leftovers;
use crate::folder::{self, Folder, OpenError};
use crate::ledger::horizon::Horizon;
use crate::ledger::id_key::{self, IdKey};
use crate::ledger::master_keys::{self, Fit};
use crate::ledger::schema::{self, Marks};
use crate::ledger::trouble::{Outcome, Trouble};
use crate::ledger::webhooks::Recipients;
use crate::ledger::{Ledger, facts, restored};
use crate::log_file;
use crate::log_note::{self, Claim};
use crate::sealing::{MasterKeys, Vault};

/// A store that passed all checks.
pub(crate) struct Opened {
    pub ledger: Ledger,
    pub owed: Recipients,
    pub id_key: IdKey,
}

/// Opens or makes the store in a folder.
pub(crate) fn open(folder: &Folder, keys: &MasterKeys, now: UnixMs) -> Result<Opened, OpenError> {
    if rusqlite::version_number() < schema::SQLITE_MIN {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    let file = folder.database();
    if folder.has_database() {
        leftovers::take_back_unfinished(&file, || open_writer(&file))?;
        let log_end = check(folder, keys)?;
        leftovers::make_durable(&file, log_end)?;
        log_note::clear(folder.lock());
    } else {
        folder.create_database()?;
        posthaste_faults::point("store.database-created");
    }
    let bad = |error: rusqlite::Error| OpenError::damaged(&file, error);
    let writer = open_writer(&file).map_err(bad)?;
    schema::prepare_writer(&writer).map_err(bad)?;
    let opened = load(writer, keys, now)
        .map_err(|trouble| OpenError::damaged(&file, crate::StoreError::from(trouble)))?;
    // The database may be a copy that was put there a moment ago, the log may be new. SQLite syncs the name of a new log
    // too, but does not tell if that fails.
    folder.sync()?;
    Ok(opened)
}

/// Lets steady time go on where the process before stopped; see [`Ledger::resume_clock`] for `between`.
pub(crate) fn resume_clock(
    folder: &Folder,
    ledger: &mut Ledger,
    clock: &dyn Clock,
    between: impl FnMut(&mut Ledger) -> Outcome<()>,
) -> Result<(), OpenError> {
    let bad = |trouble| OpenError::damaged(&folder.database(), crate::StoreError::from(trouble));
    ledger.resume_clock(clock, between).map_err(bad)
}

/// Brings the tables up to date and reads what is kept in memory. What it writes of the keys it writes at once or not at
/// all: a start that is cut off must find a store that its keys open.
pub(crate) fn load(writer: Connection, keys: &MasterKeys, now: UnixMs) -> Result<Opened, Trouble> {
    posthaste_faults::point("store.before-migrations");
    let is_log_new = frames_in_log(&writer)? == 0;
    schema::migrate(&writer)?;
    posthaste_faults::point("store.after-migrations");
    if posthaste_faults::bug("idempotency-forgotten-on-restart") {
        writer.execute_batch("DELETE FROM idempotency")?;
    }
    writer.execute_batch("BEGIN IMMEDIATE")?;
    let id_key = match id_key::read(&writer)? {
        Some(id_key) => id_key,
        None => make_own_facts(&writer, keys)?,
    };
    let hash_key = keep_own_parts(&writer, keys)?;
    let vault = Vault::new(master_keys::seal_keys(&writer, keys)?, &hash_key);
    let (mut ledger, owed) = Ledger::load(writer, Arc::new(vault))?;
    ledger.see_copy(now)?;
    if is_log_new {
        ledger.number_log();
    }
    ledger.resume_rotation(keys, now)?;
    posthaste_faults::point("store.before-own-facts");
    ledger.commit()?;
    posthaste_faults::point("store.opened");
    Ok(Opened { ledger, owed, id_key })
}

/// How many frames the log holds; negative if there is none.
fn frames_in_log(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
}

/// What every store has from the first moment: the key of its ids, and a sign of the master key it belongs to.
fn make_own_facts(writer: &Connection, keys: &MasterKeys) -> Result<IdKey, Trouble> {
    let mut id_key = IdKey::default();
    rand::fill(&mut id_key)?;
    master_keys::found(writer, keys)?;
    id_key::found(writer, &id_key)?;
    Ok(id_key)
}

/// The key of the store's hashes. Stores of older versions get what makes them independent of their first master key.
fn keep_own_parts(writer: &Connection, keys: &MasterKeys) -> Result<zeroize::Zeroizing<Vec<u8>>, Trouble> {
    let hash_key = master_keys::hash_key(writer, keys)?;
    master_keys::part_or_new(writer, &keys.current)?;
    master_keys::keep_hash_key(writer, &master_keys::seal_keys(writer, keys)?, &hash_key)?;
    Ok(hash_key)
}

/// Refuses a file that is not ours to change, without changing it. Answers where its log ends.
fn check(folder: &Folder, keys: &MasterKeys) -> Result<Option<u64>, OpenError> {
    let file = &folder.database();
    let (reader, log_end) = open_with_its_log(file)?;
    match schema::marks(&reader).map_err(|error| OpenError::damaged(file, error))? {
        // Until the log of a young store is written back, all of it is in the log.
        Marks::Empty if folder.remembers_store() => return Err(OpenError::Lost(file.to_owned())),
        Marks::Empty => return Ok(log_end),
        Marks::Ours => refuse_changed(&reader, file)?,
        Marks::Foreign => return Err(OpenError::damaged(file, "it is a database of another program")),
        Marks::Newer(found) => {
            return Err(OpenError::Newer { file: file.to_owned(), found, known: schema::VERSION });
        }
    }
    refuse_unfit(&reader, file, keys).map(|()| log_end)
}

/// A connection that only reads, and where the log ends. Refuses a log that is damaged, or that is not this file's.
fn open_with_its_log(file: &Path) -> Result<(Connection, Option<u64>), OpenError> {
    let log = log_file::log_of(file);
    let log_end = log_file::refuse_damaged(&log)?;
    // Before SQLite has the file open: its locks would go with the descriptor that this looks through.
    let missing = Claim::of(file).and_then(|claim| claim.missing(file, log_end));
    // A backup does not, and the first start changes that in the file itself, once what was noted before is taken back.
    let keeps_log = log_file::is_kept_by(file);
    let alone = log_file::is_there(&log).then(|| open_alone(file)).and_then(Result::ok);
    let alone = alone.map(|alone| Horizon::of(&alone));
    let reader = open_reader(file).map_err(|error| OpenError::damaged(file, error))?;
    let missing = missing.filter(|missing| missing.is_own || has_noted_log(&reader, keeps_log));
    let seen = || alone?.contradiction(&Horizon::of(&reader)).map(str::to_owned);
    match missing.map(|missing| missing.why).or_else(seen) {
        Some(why) => Err(OpenError::damaged(&log, why)),
        None => Ok((reader, log_end)),
    }
}

/// Is it a store, and no backup that was put back and never opened? Then the log that was noted last is its own.
fn has_noted_log(reader: &Connection, keeps_log: bool) -> bool {
    let is_copy = || restored::copied_at(reader).is_ok_and(|copied_at| copied_at.is_some());
    matches!(schema::marks(reader), Ok(Marks::Ours)) && (keeps_log || !is_copy())
}

/// A connection for who looks at a store from outside. It refuses what a start would refuse of the log; but while somebody
/// writes the store, what the log looks like is no sign of anything.
pub(crate) fn open_from_outside(file: &Path) -> Result<Connection, OpenError> {
    let is_in_use = || folder::is_in_use(file.parent().unwrap_or(Path::new(".")));
    let open = || open_reader(file).map_err(|error| OpenError::damaged(file, error));
    if is_in_use() {
        return open();
    }
    match open_with_its_log(file) {
        // It was started meanwhile.
        Err(_) if is_in_use() => open(),
        opened => opened.map(|(reader, _)| reader),
    }
}

/// A connection that reads the file as it lies there, without the log beside it.
fn open_alone(file: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI))
}

/// Refuses tables, or facts of the store itself, that are not what this program made.
fn refuse_changed(reader: &Connection, file: &Path) -> Result<(), OpenError> {
    let damaged = facts::damaged_foundations(reader);
    match damaged.map_err(|trouble| OpenError::damaged(file, crate::StoreError::from(trouble)))?.first() {
        Some(what) => Err(OpenError::damaged(file, format!("it is damaged: {what}"))),
        None => Ok(()),
    }
}

/// Refuses keys that do not open everything in the store.
pub(crate) fn refuse_unfit(reader: &Connection, file: &Path, keys: &MasterKeys) -> Result<(), OpenError> {
    let fit = master_keys::fit(reader, keys);
    match fit.map_err(|trouble| OpenError::damaged(file, crate::StoreError::from(trouble)))? {
        Fit::New | Fit::All => Ok(()),
        Fit::Half => Err(OpenError::KeyOfRotationMissing(file.to_owned())),
        Fit::None => Err(OpenError::WrongKey(file.to_owned())),
    }
}

/// A connection that writes. Closing the last one would write the log back, and after a failed write or sync that would
/// sync once more what could not be synced. So none does it; the writer's orderly end sees to the log itself.
fn open_writer(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// A connection that cannot write.
pub(crate) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let reader = Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    schema::prepare_reader(&reader)?;
    Ok(reader)
}

/// The connection that writes the log back.
pub(crate) fn open_write_back(file: &Path) -> rusqlite::Result<Connection> {
    let connection = open_writer(file)?;
    schema::prepare_write_back(&connection)?;
    Ok(connection)
}

/// Each connection is used by one thread at a time, so SQLite's own locks within it are not needed.
fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}
