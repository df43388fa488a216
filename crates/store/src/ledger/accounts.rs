//! Accounts.

use std::sync::LazyLock;

use posthaste_core::{Account, AccountNo, Action, By, Details, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::audit::Noted;
use super::checks::ACCOUNTS;
use super::trouble::{Outcome, Trouble, name_of};
use crate::change::{AccountPatch, NewAccount};
use crate::error::Refusal;
use crate::page::{PageCursor, Slice};

/// Put together once: every event that is accepted asks for its account.
static BY_ID: LazyLock<String> =
    LazyLock::new(|| format!("{} WHERE a.id = ?1 AND a.deleted_ms IS NULL", select()));

fn select() -> String {
    format!("SELECT a.no, a.id, a.name, a.created_ms, a.updated_ms, {} FROM accounts a", ACCOUNTS.is_sound())
}

fn from_row(row: &Row<'_>) -> Outcome<Account> {
    read_row(row).map_err(|trouble| trouble.in_row("accounts", name_of(row)))
}

fn read_row(row: &Row<'_>) -> Outcome<Account> {
    let account = Account {
        no: AccountNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        created_at: UnixMs(row.get(3)?),
        updated_at: UnixMs(row.get(4)?),
    };
    ACCOUNTS.refuse_unless(row.get(5)?, account.no.0)?;
    Ok(account)
}

pub(crate) fn by_id(conn: &Connection, id: &str) -> Outcome<Option<Account>> {
    let mut statement = conn.prepare_cached(&BY_ID)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(from_row).transpose()
}

pub(crate) fn list(conn: &Connection, from: Option<PageCursor>, limit: usize) -> Outcome<Slice<Account>> {
    let sql = format!("{} WHERE a.no >= ?1 AND a.deleted_ms IS NULL ORDER BY a.no LIMIT ?2", select());
    let mut statement = conn.prepare_cached(&sql)?;
    let from = from.map_or(0, |cursor| cursor.0);
    let mut rows = statement.query(params![from, one_more(limit)])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(from_row(row)?);
    }
    Ok(Slice::cut(accounts, limit, |account| PageCursor(account.no.0, 0)))
}

/// A limit for SQL that shows whether anything is left.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
}

impl Ledger {
    pub fn create_account(&mut self, new: NewAccount, by: &By) -> Outcome<Account> {
        if by_id(&self.conn, &new.id)?.is_some() {
            return Err(Refusal::Taken.into());
        }
        self.conn
            .prepare_cached(
                "INSERT INTO accounts (id, name, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?3)",
            )?
            .execute(params![new.id, new.name, by.at.0])?;
        let no = AccountNo(self.conn.last_insert_rowid());
        ACCOUNTS.stamp(&self.conn, no.0)?;
        self.note(by, Action::AccountCreated, Noted::account(&new.id))?;
        Ok(Account { no, id: new.id, name: new.name, created_at: by.at, updated_at: by.at })
    }

    pub fn update_account(&mut self, id: &str, patch: AccountPatch, by: &By) -> Outcome<Account> {
        let mut account = by_id(&self.conn, id)?.ok_or(Refusal::NotFound)?;
        let mut details = Details::default();
        if let Some(name) = patch.name.filter(|name| *name != account.name) {
            account.name = name;
            details.fields.push("name".to_owned());
        }
        account.updated_at = by.at;
        self.effects.accounts.push(account.no);
        self.conn
            .prepare_cached("UPDATE accounts SET name = ?2, updated_ms = ?3 WHERE no = ?1")?
            .execute(params![account.no.0, account.name, by.at.0])?;
        ACCOUNTS.stamp(&self.conn, account.no.0)?;
        if !details.fields.is_empty() {
            self.note(by, Action::AccountUpdated, Noted { details, ..Noted::account(id) })?;
        }
        Ok(account)
    }

    /// Ends an account. What else there is of it goes in later steps of `tidy`.
    pub fn delete_account(&mut self, id: &str, by: &By) -> Outcome<()> {
        let no = match by_id(&self.conn, id) {
            // What else its row says does not matter any more.
            Err(Trouble::Damaged(what)) => {
                tracing::warn!(what, "an account is deleted whose row is damaged");
                self.no_of(id)?
            }
            found => found?.map(|account| account.no),
        };
        let no = no.ok_or(Refusal::NotFound)?;
        self.effects.accounts.push(no);
        self.forget_keys_of(no)?;
        self.conn
            .prepare_cached("UPDATE accounts SET name = NULL, deleted_ms = ?2 WHERE no = ?1")?
            .execute(params![no.0, by.at.0])?;
        ACCOUNTS.stamp(&self.conn, no.0)?;
        // Now that they are read as those of a deleted account.
        self.delete_webhooks_of(no, by.at)?;
        self.note(by, Action::AccountDeleted, Noted::account(id))
    }
    fn no_of(&self, id: &str) -> Outcome<Option<AccountNo>> {
        let mut statement =
            self.conn.prepare_cached("SELECT no FROM accounts WHERE id = ?1 AND deleted_ms IS NULL")?;
        Ok(statement.query_row([id], |row| row.get(0).map(AccountNo)).optional()?)
    }
}
