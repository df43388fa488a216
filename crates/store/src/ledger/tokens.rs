//! Named tokens of the admin API.

use std::collections::BTreeMap;

use posthaste_core::{Action, By, Details, Scope, Token, UnixMs};
use rusqlite::{Connection, Row, params};

use super::Ledger;
use super::audit::Noted;
use super::checks::TOKENS;
use super::trouble::{Outcome, Trouble, name_of};
use crate::change::NewToken;
use crate::error::Refusal;
use crate::page::{PageCursor, Slice};

/// The most tokens that may work at one time. More than this is a mistake of a script, not of people.
const ACTIVE_MAX: i64 = 1_000;

fn select() -> String {
    format!(
        "SELECT t.no, t.id, t.name, t.scope, t.created_ms, t.expires_ms, t.revoked_ms, t.used_ms, {}
         FROM tokens t",
        TOKENS.is_sound()
    )
}

/// A token with its internal number.
struct Numbered {
    no: i64,
    token: Token,
}

fn from_row(row: &Row<'_>) -> Outcome<Numbered> {
    read_row(row).map_err(|trouble| trouble.in_row("tokens", name_of(row)))
}

fn read_row(row: &Row<'_>) -> Outcome<Numbered> {
    let no: i64 = row.get(0)?;
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    let scope: String = row.get(3)?;
    let token = Token {
        id: row.get(1)?,
        name: row.get(2)?,
        scope: Scope::from_word(&scope).ok_or_else(|| Trouble::damaged("tokens", no, "its scope is none"))?,
        created_at: UnixMs(row.get(4)?),
        expires_at: time(5)?,
        revoked_at: time(6)?,
        last_used_at: time(7)?,
    };
    TOKENS.refuse_unless(row.get(8)?, no)?;
    Ok(Numbered { no, token })
}

pub(crate) fn list(conn: &Connection, from: Option<PageCursor>, limit: usize) -> Outcome<Slice<Token>> {
    let mut statement =
        conn.prepare_cached(&format!("{} WHERE t.no >= ?1 ORDER BY t.no LIMIT ?2", select()))?;
    let mut rows = statement.query([from.map_or(0, |from| from.0), super::accounts::one_more(limit)])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(from_row(row)?);
    }
    let Slice { items, next } = Slice::cut(tokens, limit, |token| PageCursor(token.no, 0));
    Ok(Slice { items: items.into_iter().map(|numbered| numbered.token).collect(), next })
}

pub(crate) fn by_hash(conn: &Connection, hash: &[u8; 32]) -> Outcome<Option<Token>> {
    let sql = format!("{} WHERE t.token_hash = ?1", select());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([hash])?;
    Ok(rows.next()?.map(from_row).transpose()?.map(|numbered| numbered.token))
}

/// The token with this number.
pub(crate) fn by_no(conn: &Connection, no: i64) -> Outcome<Option<Token>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE t.no = ?1", select()))?;
    let mut rows = statement.query([no])?;
    Ok(rows.next()?.map(from_row).transpose()?.map(|numbered| numbered.token))
}

fn by_id(conn: &Connection, id: &str) -> Outcome<Option<Token>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE t.id = ?1", select()))?;
    let mut rows = statement.query([id])?;
    Ok(rows.next()?.map(from_row).transpose()?.map(|numbered| numbered.token))
}

impl Ledger {
    /// Creates a token; refuses with `Taken` (its id or text), `NameTaken` and `TokenLimit`.
    pub fn create_token(&mut self, new: NewToken, by: &By) -> Outcome<Token> {
        let hash = self.vault.hash(new.token.expose());
        let (is_taken, has_name, active): (bool, bool, i64) = self
            .conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM tokens WHERE id = ?1 OR token_hash = ?2),
                     EXISTS (SELECT 1 FROM tokens WHERE name = ?3 AND revoked_ms IS NULL AND expires_ms IS NULL)
                         OR EXISTS (SELECT 1 FROM tokens WHERE name = ?3 AND revoked_ms IS NULL AND expires_ms > ?4),
                     (SELECT count(*) FROM tokens WHERE revoked_ms IS NULL AND expires_ms IS NULL)
                         + (SELECT count(*) FROM tokens WHERE revoked_ms IS NULL AND expires_ms > ?4)",
            )?
            .query_row(params![new.id, hash, new.name, by.at.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        match (is_taken, has_name) {
            (true, _) => return Err(Refusal::Taken.into()),
            (_, true) => return Err(Refusal::NameTaken.into()),
            _ if active >= ACTIVE_MAX => return Err(Refusal::TokenLimit.into()),
            _ => {}
        }
        self.conn
            .prepare_cached(
                "INSERT INTO tokens (id, name, token_hash, scope, created_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                new.id,
                new.name,
                hash,
                new.scope.word(),
                by.at.0,
                new.expires_at.map(|at| at.0)
            ])?;
        TOKENS.stamp(&self.conn, self.conn.last_insert_rowid())?;
        let token = Token {
            id: new.id,
            name: new.name,
            scope: new.scope,
            created_at: by.at,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        self.note_token(by, Action::TokenCreated, &token)?;
        Ok(token)
    }

    /// Revokes a token; one that is revoked already stays as it is.
    pub fn revoke_token(&mut self, id: &str, by: &By) -> Outcome<()> {
        let token = by_id(&self.conn, id)?.ok_or(Refusal::NotFound)?;
        self.effects.tokens.push(token.id.clone());
        if token.revoked_at.is_some() {
            return Ok(());
        }
        let no = self
            .conn
            .prepare_cached("UPDATE tokens SET revoked_ms = ?2 WHERE id = ?1 RETURNING no")?
            .query_row(params![id, by.at.0], |row| row.get(0))?;
        TOKENS.stamp(&self.conn, no)?;
        self.note_token(by, Action::TokenRevoked, &token)
    }

    fn note_token(&self, by: &By, action: Action, token: &Token) -> Outcome<()> {
        let details =
            Details { name: Some(token.name.clone()), scope: Some(token.scope), ..Details::default() };
        self.note(by, action, Noted { account: None, object: &token.id, details })
    }

    /// Writes down when tokens were last used.
    pub fn note_uses(&mut self, used: &BTreeMap<String, UnixMs>) -> Outcome<()> {
        let mut statement = self
            .conn
            .prepare_cached("UPDATE tokens SET used_ms = max(coalesce(used_ms, ?2), ?2) WHERE id = ?1")?;
        used.iter().try_for_each(|(id, at)| Ok(statement.execute(params![id, at.0]).map(drop)?))
    }

    /// Deletes some of the tokens that ended before this time. Answers whether there may be more.
    pub fn forget_tokens_ended(&mut self, before: UnixMs, limit: usize) -> Outcome<bool> {
        let mut statement = self.conn.prepare_cached(
            "DELETE FROM tokens WHERE no IN (
                 SELECT no FROM (SELECT no FROM tokens WHERE revoked_ms < ?1 LIMIT ?2)
                 UNION SELECT no FROM (SELECT no FROM tokens WHERE expires_ms < ?1 LIMIT ?2)
                 LIMIT ?2) RETURNING id",
        )?;
        let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let gone = statement.query_map(params![before.0, limit_rows], |row| row.get(0))?;
        let gone = gone.collect::<Result<Vec<String>, _>>()?;
        let is_more = gone.len() == limit;
        self.effects.tokens.extend(gone);
        Ok(is_more)
    }
}
