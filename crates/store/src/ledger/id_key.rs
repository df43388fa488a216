//! The key that public ids are made with. With another one every id that was given out would be unknown, and what is sent
//! would carry ids that nobody was told; so it is kept with a checksum.

use rusqlite::{Connection, OptionalExtension};

use super::trouble::{Outcome, Trouble};
use super::{checks, schema, write_meta};

/// Its name in `meta`.
pub(super) const ID_KEY: &str = "id_key";

/// The key.
pub(crate) type IdKey = [u8; 16];

/// Reads it; `None` if none was written yet.
pub(crate) fn read(conn: &Connection) -> Outcome<Option<IdKey>> {
    let kept = kept(conn).map_err(|error| Trouble::from(error).in_row("meta", ID_KEY))?;
    let Some(kept) = kept else { return Ok(None) };
    let key = match schema::version(conn)? < schema::ID_KEY_CHECK_SINCE {
        true => kept.try_into().ok(),
        false => checks::opened(ID_KEY, &kept),
    };
    key.map(Some).ok_or_else(|| Trouble::damaged("meta", ID_KEY, "it does not match its checksum"))
}

/// Writes the first one.
pub(crate) fn found(conn: &Connection, key: &IdKey) -> Outcome<()> {
    write_meta(conn, ID_KEY, &checks::closed(ID_KEY, key))
}

/// Gives that of a store of an older version its checksum. What is no key stays what it is, and is no key afterwards.
pub(super) fn stamp(conn: &Connection) -> rusqlite::Result<()> {
    let key: Option<IdKey> = kept(conn)?.and_then(|kept| kept.try_into().ok());
    if let Some(key) = key {
        let sql = "UPDATE meta SET value = ?2 WHERE key = ?1";
        conn.execute(sql, (ID_KEY, checks::closed(ID_KEY, &key)))?;
    }
    Ok(())
}

fn kept(conn: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [ID_KEY], |row| row.get(0)).optional()
}
