//! What a store knows of its master keys: check values, its own parts to them, the sealed key of its hashes, and who
//! sealed what.

use std::sync::Arc;

use posthaste_core::UnixMs;
use rusqlite::{Connection, OptionalExtension};
use zeroize::Zeroizing;

use super::trouble::{Outcome, Trouble};
use super::{read_bytes, write_meta};
use crate::sealing::{MARK_BYTES, MasterKey, MasterKeys, Place, SealKey, SealKeys, StorePart, Vault};
use crate::seals::{SealRotation, Seals};

/// The check value of the key that everything is sealed under, or was before the rotation under way.
pub(super) const KEY_CHECK: &str = "key_check";
/// The check value of the key that is rotated to.
pub(super) const NEXT_KEY_CHECK: &str = "next_key_check";
/// When the rotation to the key in use ended.
pub(super) const KEY_SINCE: &str = "key_since_ms";
/// When the rotation under way began.
pub(super) const ROTATION_SINCE: &str = "rotation_since_ms";
/// Followed by a key's id: the store's own part to that key.
pub(super) const STORE_PART: &str = "key_part ";
pub(super) const HASH_KEY: &str = "hash_key";
const HASH_KEY_PLACE: Place<'_> = Place { kind: "hash key", account: 0, id: "" };

/// What each seal in the store begins with.
const ALL_MARKS: &str = "
    SELECT substr(secrets, 1, 9) AS mark FROM webhooks
    UNION ALL SELECT substr(signing_secret, 1, 9) FROM keys WHERE signing_secret IS NOT NULL
    UNION ALL SELECT substr(value, 1, 9) FROM meta WHERE key = 'hash_key'";
const _: () = assert!(MARK_BYTES == 9, "as ALL_MARKS says");

/// How the keys at hand stand to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The store knows no key yet.
    New,
    /// They open everything in it.
    All,
    /// They open what one of the two keys of a rotation sealed.
    Half,
    /// They are another store's.
    None,
}

/// Do the keys at hand open what is in the store?
pub(crate) fn fit(conn: &Connection, keys: &MasterKeys) -> Outcome<Fit> {
    let Some(check) = read_bytes::<32>(conn, KEY_CHECK)? else { return Ok(Fit::New) };
    let next = read_bytes::<32>(conn, NEXT_KEY_CHECK)?;
    Ok(match (keys.hold(&check), next.map(|next| keys.hold(&next))) {
        (true, None | Some(true)) => Fit::All,
        (true, Some(false)) | (false, Some(true)) => Fit::Half,
        (false, None | Some(false)) => Fit::None,
    })
}

/// What the keys at hand seal and open with in this store.
pub(crate) fn seal_keys(conn: &Connection, keys: &MasterKeys) -> Outcome<SealKeys> {
    let seal_key = |key: &MasterKey| {
        let part = read_bytes::<32>(conn, &part_name(key))?;
        Ok::<_, Trouble>(Arc::new(SealKey::new(key, part.as_ref())?))
    };
    Ok(SealKeys {
        current: seal_key(&keys.current)?,
        former: keys.former.as_ref().map(seal_key).transpose()?,
    })
}

/// The store's part to a key; made if there is none.
pub(crate) fn part_or_new(conn: &Connection, key: &MasterKey) -> Outcome<StorePart> {
    let name = part_name(key);
    if let Some(part) = read_bytes(conn, &name)? {
        return Ok(part);
    }
    let part = *Vault::random()?;
    write_meta(conn, &name, &part)?;
    Ok(part)
}

fn part_name(key: &MasterKey) -> String {
    format!("{STORE_PART}{}", key.id())
}

/// Writes the sign of a new store's master key, and a key for its hashes.
pub(crate) fn found(conn: &Connection, keys: &MasterKeys) -> Outcome<()> {
    write_meta(conn, KEY_CHECK, &keys.current.check_value())?;
    part_or_new(conn, &keys.current)?;
    write_hash_key(conn, &seal_keys(conn, keys)?, &*Vault::random()?)
}

/// The key of the store's hashes. Stores that keep none took it from their master key.
pub(crate) fn hash_key(conn: &Connection, master: &MasterKeys) -> Outcome<Zeroizing<Vec<u8>>> {
    let damaged = |what| Trouble::damaged("meta", HASH_KEY, what);
    if let Some(hash_key) = kept_hash_key(conn, &seal_keys(conn, master)?)? {
        return Ok(hash_key);
    }
    let check = read_bytes(conn, KEY_CHECK)?.ok_or_else(|| damaged("nothing tells the master key"))?;
    let key = master.all().find(|key| key.check_value() == check);
    let key = key.ok_or_else(|| damaged("its master key is missing"))?;
    Ok(Zeroizing::new(key.derived_hash_key().to_vec()))
}

fn kept_hash_key(conn: &Connection, keys: &SealKeys) -> Outcome<Option<Zeroizing<Vec<u8>>>> {
    let Some(sealed) = sealed_hash_key(conn)? else { return Ok(None) };
    let opened = keys.open(HASH_KEY_PLACE, &sealed);
    let opened = opened.ok_or_else(|| Trouble::damaged("meta", HASH_KEY, "it does not open"))?;
    Ok(Some(Zeroizing::new(opened.expose().to_vec())))
}

fn sealed_hash_key(conn: &Connection) -> Outcome<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([HASH_KEY], |row| row.get(0)).optional()?)
}

/// Writes the key of the hashes down if it is not there yet.
pub(crate) fn keep_hash_key(conn: &Connection, keys: &SealKeys, hash_key: &[u8]) -> Outcome<()> {
    match sealed_hash_key(conn)? {
        Some(_) => Ok(()),
        None => write_hash_key(conn, keys, hash_key),
    }
}

/// Seals the key of the hashes anew.
fn write_hash_key(conn: &Connection, keys: &SealKeys, hash_key: &[u8]) -> Outcome<()> {
    write_meta(conn, HASH_KEY, &keys.seal(HASH_KEY_PLACE, hash_key)?)
}

/// Notes that a rotation to the current key is under way, and answers whether that was not noted yet. From here on a start
/// needs both keys: whichever way a rotation is turned, the two check values name all keys that rows may be under.
pub(super) fn note_rotation(conn: &Connection, keys: &SealKeys, since: UnixMs) -> Outcome<bool> {
    let Some(former) = &keys.former else { return Ok(false) };
    let noted = (read_bytes(conn, KEY_CHECK)?, read_bytes(conn, NEXT_KEY_CHECK)?);
    let pair = (Some(former.check_value()), Some(keys.current.check_value()));
    let is_settled = noted == (pair.1, None) && under(conn, former)? == 0;
    if is_settled || noted == pair {
        return Ok(false);
    }
    if let Some(hash_key) = kept_hash_key(conn, keys)? {
        write_hash_key(conn, keys, &hash_key)?;
    }
    write_meta(conn, KEY_CHECK, &former.check_value())?;
    write_meta(conn, NEXT_KEY_CHECK, &keys.current.check_value())?;
    write_meta(conn, ROTATION_SINCE, &since.0)?;
    Ok(true)
}

/// Is a rotation noted?
pub(crate) fn is_rotating(conn: &Connection) -> Outcome<bool> {
    Ok(read_bytes::<32>(conn, NEXT_KEY_CHECK)?.is_some())
}

/// How many seals bear the mark of this key.
pub(super) fn under(conn: &Connection, key: &SealKey) -> Outcome<u64> {
    let sql = format!("SELECT count(*) FROM ({ALL_MARKS}) WHERE mark = ?1");
    let count: i64 = conn.prepare_cached(&sql)?.query_row([&key.mark()[..]], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Notes that nothing is left to be opened with the former key.
pub(super) fn note_rotated(conn: &Connection, keys: &SealKeys, now: UnixMs) -> Outcome<()> {
    let is_new = read_bytes(conn, KEY_CHECK)? != Some(keys.current.check_value());
    write_meta(conn, KEY_CHECK, &keys.current.check_value())?;
    if is_new {
        write_meta(conn, KEY_SINCE, &now.0)?;
    }
    let mut delete = conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?;
    delete.execute([NEXT_KEY_CHECK])?;
    delete.execute([ROTATION_SINCE])?;
    // Without its part the former key is worthless here. The part of any other key stays: something may be under it.
    if let Some(former) = &keys.former {
        delete.execute([format!("{STORE_PART}{}", former.id())])?;
    }
    Ok(())
}

fn time(conn: &Connection, key: &str) -> Outcome<Option<UnixMs>> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0).map(UnixMs)).optional()?)
}

/// Who sealed what.
pub(crate) fn seals(conn: &Connection, vault: &Vault, is_key_given: bool) -> Outcome<Seals> {
    let keys = vault.keys();
    // What versions before sealed names no key. It is under the former one, or under the only one.
    let sql = format!(
        "SELECT coalesce(sum(mark = ?1), 0), coalesce(sum(mark = ?2), 0), coalesce(sum(substr(mark, 1, 1) = x'01'), 0),
             count(*) FROM ({ALL_MARKS})"
    );
    let marks = (keys.current.mark(), keys.former.as_ref().map(|former| former.mark()));
    let count = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let counts =
        |row: &rusqlite::Row<'_>| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?, count(row, 3)?));
    let mut statement = conn.prepare_cached(&sql)?;
    let (current, former, unnamed, all) =
        statement.query_row((&marks.0[..], marks.1.as_ref().map(|mark| &mark[..])), counts)?;
    let rotation = keys.former.as_ref().map(|key| {
        Ok::<_, Trouble>(SealRotation {
            former_key_id: key.id(),
            since: time(conn, ROTATION_SINCE)?,
            sealed_under_former: former + unnamed,
        })
    });
    Ok(Seals {
        key_id: keys.current.id(),
        key_since: time(conn, KEY_SINCE)?,
        is_key_given,
        sealed: if rotation.is_some() { current } else { current + unnamed },
        unopened: all.saturating_sub(current + former + unnamed),
        held_up_by: None,
        rotation: rotation.transpose()?,
    })
}
