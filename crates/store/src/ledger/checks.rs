//! Checksums of the rows that say where events go and who may do what.
//!
//! SQLite's pages have none: a bit that flips on the disk goes unnoticed where it leaves the page well-formed. These
//! rows change seldom, so each has a checksum over its columns, written after each change and looked at by each read.
//! Sealed columns are left out: they do not open once they are damaged. So is when a token was last used.

use std::hash::Hasher;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use siphasher::sip::SipHasher13;

use super::trouble::{Outcome, Trouble};
use crate::error::StoreError;

/// A table whose rows have checksums, by a short name, and its checked columns.
pub(crate) struct Checked {
    table: &'static str,
    alias: &'static str,
    columns: &'static str,
}

pub(crate) const ACCOUNTS: Checked = Checked {
    table: "accounts",
    alias: "a",
    columns: "a.no, a.id, a.name, a.created_ms, a.updated_ms, a.deleted_ms",
};

pub(crate) const KEYS: Checked = Checked {
    table: "keys",
    alias: "k",
    columns: "k.no, k.id, k.account, k.key_hash, k.tier, k.roles, k.scopes, k.description, k.created_ms,
        k.expires_ms, k.revoked_ms",
};

pub(crate) const TOKENS: Checked = Checked {
    table: "tokens",
    alias: "t",
    columns: "t.no, t.id, t.name, t.token_hash, t.scope, t.created_ms, t.expires_ms, t.revoked_ms",
};

pub(crate) const WEBHOOKS: Checked = Checked {
    table: "webhooks",
    alias: "w",
    columns: "w.no, w.id, w.account, w.key, w.url, w.canonical_url, w.subscription, w.state, w.description,
        w.extension, w.created_after, w.created_ms, w.updated_ms, w.deleted_ms, w.deleted_seq",
};

const ALL: [&Checked; 4] = [&ACCOUNTS, &KEYS, &TOKENS, &WEBHOOKS];

/// The function that SQL knows the checksum by.
const FUNCTION: &str = "posthaste_check";

impl Checked {
    /// As SQL: does a row that a query names by the alias match its checksum?
    pub fn is_sound(&self) -> String {
        format!("{FUNCTION}({}) IS {}.row_check", self.columns, self.alias)
    }

    /// Writes the checksum of a row that was written. All writers of these rows come by here.
    pub fn stamp(&self, conn: &Connection, no: i64) -> Outcome<()> {
        conn.prepare_cached(&format!("{} WHERE no = ?1", self.stamping()))?.execute(params![no])?;
        Ok(())
    }

    /// Refuses a row that does not match its checksum.
    pub fn refuse_unless(&self, is_sound: bool, no: i64) -> Outcome<()> {
        if is_sound || posthaste_faults::bug("webhook-check-ignored") {
            return Ok(());
        }
        Err(Trouble::damaged(self.table, no, "it does not match its checksum"))
    }

    fn stamping(&self) -> String {
        let Self { table, alias, columns } = self;
        format!("UPDATE {table} AS {alias} SET row_check = {FUNCTION}({columns})")
    }
}

/// Writes the checksums of all rows: a store of a version that had none.
pub(super) fn stamp_all(conn: &Connection) -> rusqlite::Result<()> {
    ALL.iter().try_for_each(|checked| conn.execute(&checked.stamping(), []).map(drop))
}

/// As SQL: shows these tables of a store without checksums as if each row matched its own.
pub(super) fn shown_as_sound(has_tokens: bool) -> String {
    let there = ALL.iter().filter(|checked| has_tokens || checked.table != TOKENS.table);
    let views = there.map(|Checked { table, alias, columns }| {
        format!(
            "CREATE TEMP VIEW IF NOT EXISTS {table} AS
             SELECT {alias}.*, {FUNCTION}({columns}) AS row_check FROM main.{table} {alias};"
        )
    });
    views.collect()
}

/// What is to be said of the rows that do not match their checksums.
pub(crate) fn damaged(conn: &Connection, most: usize) -> Outcome<Vec<String>> {
    let mut damaged = Vec::new();
    for checked in ALL {
        let Checked { table, alias, .. } = checked;
        if !conn.table_exists(None, *table)? {
            continue;
        }
        let sql =
            format!("SELECT {alias}.no FROM {table} {alias} WHERE NOT {} LIMIT {most}", checked.is_sound());
        let mut statement = conn.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let trouble = checked.refuse_unless(false, row.get(0)?);
            damaged.extend(trouble.err().map(|trouble| StoreError::from(trouble).to_string()));
        }
    }
    Ok(damaged)
}

/// Teaches a connection the function.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function(FUNCTION, -1, flags, |columns| Ok(checksum(columns)))
}

/// Bytes with a checksum behind them, as they are kept under a name.
pub(super) fn closed(name: &str, bytes: &[u8]) -> Vec<u8> {
    [bytes, &checksum_of(name, bytes).to_le_bytes()].concat()
}

/// The bytes in it; `None` if they do not match their checksum.
pub(super) fn opened<const N: usize>(name: &str, kept: &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = kept.split_first_chunk()?;
    (rest == checksum_of(name, bytes).to_le_bytes()).then_some(*bytes)
}

fn checksum_of(name: &str, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name.as_bytes());
    hasher.write(bytes);
    hasher.finish()
}

/// Tells flipped bits and swapped rows from what was written. It is not a defence against people.
fn checksum(columns: &Context<'_>) -> i64 {
    let mut hasher = SipHasher13::new();
    for column in 0..columns.len() {
        let (kind, length) = match columns.get_raw(column) {
            ValueRef::Null => (0, 0),
            ValueRef::Integer(number) => {
                hasher.write_i64(number);
                (1, 8)
            }
            ValueRef::Real(number) => {
                hasher.write_u64(number.to_bits());
                (2, 8)
            }
            ValueRef::Text(bytes) => {
                hasher.write(bytes);
                (3, bytes.len())
            }
            ValueRef::Blob(bytes) => {
                hasher.write(bytes);
                (4, bytes.len())
            }
        };
        hasher.write_u8(kind);
        hasher.write_usize(length);
    }
    i64::from_le_bytes(hasher.finish().to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_of_layout_6_wrote_opens() {
        let kept = [0xff, 0xff, 0xd7, 0x59, 0x1a, 7, 0, 0, 0xee, 0x3b, 0x44, 0x39, 0x89, 0xce, 0x6c, 0x59];
        let number = opened("checkpoint", &kept).unwrap();
        assert_eq!(closed("checkpoint", &number), kept);
        assert_eq!(i64::from_le_bytes(number), 0x071a_59d7_ffff);
        assert_eq!(opened::<8>("last_seq", &kept), None);
    }
}
