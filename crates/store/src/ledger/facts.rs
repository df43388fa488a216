//! Are the store's own facts in `meta` all there, under their names?
//!
//! A fact is looked for by its name, and most may be absent. One whose name is damaged would look as if it had never been
//! written: the checkpoint would begin again at 0, and old events would be sent once more.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::id_key::ID_KEY;
use super::master_keys::{HASH_KEY, KEY_CHECK, KEY_SINCE, NEXT_KEY_CHECK, ROTATION_SINCE, STORE_PART};
use super::schema::CHECKPOINT;
use super::steady::{AHEAD, DATING_ANEW, MARK, MOST_AHEAD};
use super::trouble::{DATABASE_FILE, Outcome, Trouble, told_of};
use super::{horizon, id_key, layout, restored, schema, seq_if_kept};

/// The last event that was ever written, where all events up to it were deleted.
const LAST_SEQ: &str = "last_seq";

/// All names that any version wrote.
const NAMES: [&str; 15] = [
    CHECKPOINT,
    LAST_SEQ,
    ID_KEY,
    KEY_CHECK,
    NEXT_KEY_CHECK,
    KEY_SINCE,
    ROTATION_SINCE,
    HASH_KEY,
    AHEAD,
    MOST_AHEAD,
    MARK,
    DATING_ANEW,
    horizon::LOG_NUMBER,
    horizon::LOG_BASE,
    restored::COPIED_AT,
];
/// Digits of the id of a key, behind [`STORE_PART`].
const KEY_ID_DIGITS: usize = 16;

/// Of this many problems each is told.
const PROBLEMS_MAX: usize = 10;

/// What is to be said of all that everything else is read by: the tables, and where those are sound the facts. It is of
/// one moment, also beside a server that begins.
pub(crate) fn damaged_foundations(conn: &Connection) -> Outcome<Vec<String>> {
    let moment = conn.unchecked_transaction()?;
    let tables = layout::damaged(&moment)?;
    if tables.is_empty() { damaged(&moment) } else { Ok(tables) }
}

/// What is to be said of facts that are missing, or are none.
fn damaged(conn: &Connection) -> Outcome<Vec<String>> {
    let mut damaged = structure(conn)?;
    let names = match names(conn) {
        Ok(names) => names,
        Err(error) => return Ok(vec![told_of(&error)]),
    };
    // A name that is damaged may run on into a value, which may be a key: it is not told.
    let unknown = names.iter().filter(|name| !is_known(name)).count();
    if unknown > 0 {
        damaged.push(format!("meta: names that are unknown: {unknown}"));
    }
    for name in owed(conn, &names)? {
        if !names.iter().any(|found| found == name) {
            damaged.push(format!("meta row {name}: it is missing"));
        }
    }
    let read = [seq_if_kept(conn, CHECKPOINT), seq_if_kept(conn, LAST_SEQ)].map(|kept| kept.map(drop));
    for kept in read.into_iter().chain([id_key::read(conn).map(drop)]) {
        match kept {
            Err(Trouble::Damaged(what)) => damaged.push(what.replace(&format!("{DATABASE_FILE}: "), "")),
            kept => kept?,
        }
    }
    Ok(damaged)
}

/// The page of the facts, by SQLite's own check: a row that is lost leaves a gap.
fn structure(conn: &Connection) -> Outcome<Vec<String>> {
    let mut statement = conn.prepare("PRAGMA integrity_check(meta)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let wrong = lines.filter(|line| !line.as_ref().is_ok_and(|line| line == "ok")).take(PROBLEMS_MAX);
    Ok(wrong.collect::<Result<_, _>>()?)
}

fn names(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT key FROM meta")?;
    let names = statement.query_map([], |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        })
    })?;
    names.collect()
}

fn is_known(name: &str) -> bool {
    let is_key_id = |id: &str| {
        id.len() == KEY_ID_DIGITS && id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    NAMES.contains(&name) || name.strip_prefix(STORE_PART).is_some_and(is_key_id)
}

/// What a store of this version has. Of one whose first start was cut off there is the checkpoint alone.
fn owed(conn: &Connection, names: &[String]) -> Outcome<Vec<&'static str>> {
    let has_more = names.iter().any(|name| name != CHECKPOINT);
    let is_begun = has_more
        || conn.query_row(
            "SELECT EXISTS (SELECT 1 FROM accounts) OR EXISTS (SELECT 1 FROM events)",
            [],
            |row| row.get(0),
        )?;
    let is_checkpoint_owed = schema::version(conn)? >= schema::CHECKPOINT_SINCE;
    let mut owed = if is_begun { vec![ID_KEY, KEY_CHECK] } else { Vec::new() };
    owed.extend(is_checkpoint_owed.then_some(CHECKPOINT));
    Ok(owed)
}
