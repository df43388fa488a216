//! API keys.

use posthaste_core::{AccountNo, Action, ApiKey, By, KeyNo, Secret, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::Noted;
use super::checks::{ACCOUNTS, KEYS};
use super::trouble::{Outcome, Trouble, name_of};
use super::{Ledger, encoding};
use crate::change::NewKey;
use crate::error::Refusal;
use crate::sealing::{Place, Vault};

fn select() -> String {
    format!(
        "SELECT k.no, k.id, k.account, a.id, k.tier, k.roles, k.scopes, k.description, k.signing_secret,
             k.created_ms, k.expires_ms, k.revoked_ms, {}, {}
         FROM keys k JOIN accounts a ON a.no = k.account",
        KEYS.is_sound(),
        ACCOUNTS.is_sound()
    )
}

/// What keys' signing secrets are sealed as.
pub(super) const PLACE_KIND: &str = "api key";

fn place(account: AccountNo, id: &str) -> Place<'_> {
    Place { kind: PLACE_KIND, account: account.0, id }
}

fn from_row(row: &Row<'_>, vault: &Vault) -> Outcome<ApiKey> {
    read_row(row, vault).map_err(|trouble| trouble.in_row("keys", name_of(row)))
}

fn read_row(row: &Row<'_>, vault: &Vault) -> Outcome<ApiKey> {
    let (no, id, account): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let account = AccountNo(account);
    let damaged = |what| Trouble::damaged("keys", no, what);
    let list = |column, what| {
        let json: String = row.get(column)?;
        encoding::read_list(&json).ok_or_else(|| damaged(what))
    };
    let sealed: Option<Vec<u8>> = row.get(8)?;
    let signing_secret = sealed
        .map(|sealed| {
            vault.open(place(account, &id), &sealed).ok_or_else(|| damaged("its secret does not open"))
        })
        .transpose()?;
    let key = ApiKey {
        no: KeyNo(no),
        account,
        account_id: row.get(3)?,
        tier: row.get(4)?,
        roles: list(5, "its roles are no list")?,
        scopes: list(6, "its scopes are no list")?,
        description: row.get(7)?,
        signing_secret,
        created_at: UnixMs(row.get(9)?),
        expires_at: row.get::<_, Option<i64>>(10)?.map(UnixMs),
        revoked_at: row.get::<_, Option<i64>>(11)?.map(UnixMs),
        id,
    };
    KEYS.refuse_unless(row.get(12)?, no)?;
    ACCOUNTS.refuse_unless(row.get(13)?, account.0)?;
    Ok(key)
}

pub(crate) fn of_account(conn: &Connection, vault: &Vault, account: AccountNo) -> Outcome<Vec<ApiKey>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE k.account = ?1 ORDER BY k.no", select()))?;
    let mut rows = statement.query([account.0])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(from_row(row, vault)?);
    }
    Ok(keys)
}

pub(crate) fn by_hash(conn: &Connection, vault: &Vault, hash: &[u8; 32]) -> Outcome<Option<ApiKey>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE k.key_hash = ?1", select()))?;
    let mut rows = statement.query([hash])?;
    rows.next()?.map(|row| from_row(row, vault)).transpose()
}

/// A key by its number, revoked or not.
pub(crate) fn by_no(conn: &Connection, vault: &Vault, no: i64) -> Outcome<Option<ApiKey>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE k.no = ?1", select()))?;
    let mut rows = statement.query([no])?;
    rows.next()?.map(|row| from_row(row, vault)).transpose()
}

impl Ledger {
    pub fn create_key(&mut self, new: NewKey, by: &By) -> Outcome<ApiKey> {
        let hash = self.vault.hash(new.key.expose());
        let account_id = self.live_account_id(new.account)?.ok_or(Refusal::NotFound)?;
        let is_taken: bool = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM keys WHERE id = ?1 OR key_hash = ?2)")?
            .query_row(params![new.id, hash], |row| row.get(0))?;
        if is_taken {
            return Err(Refusal::Taken.into());
        }
        let seal = |secret: &Secret| self.vault.seal(place(new.account, &new.id), secret);
        let sealed = new.signing_secret.as_ref().map(seal).transpose()?;
        self.conn
            .prepare_cached(
                "INSERT INTO keys (id, account, key_hash, signing_secret, tier, roles, scopes, description,
                     created_ms, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                new.id,
                new.account.0,
                hash,
                sealed,
                new.tier,
                encoding::pack_list(&new.roles),
                encoding::pack_list(&new.scopes),
                new.description,
                by.at.0,
                new.expires_at.map(|at| at.0),
            ])?;
        let no = KeyNo(self.conn.last_insert_rowid());
        KEYS.stamp(&self.conn, no.0)?;
        self.note(by, Action::KeyCreated, Noted::of(&account_id, &new.id))?;
        Ok(ApiKey {
            no,
            id: new.id,
            account: new.account,
            account_id,
            tier: new.tier,
            roles: new.roles,
            scopes: new.scopes,
            description: new.description,
            signing_secret: new.signing_secret,
            created_at: by.at,
            expires_at: new.expires_at,
            revoked_at: None,
        })
    }

    /// Revokes a key; one that is revoked already stays as it is.
    pub fn revoke_key(&mut self, account: AccountNo, id: &str, by: &By) -> Outcome<()> {
        let sql = format!("SELECT k.no, {} FROM keys k WHERE k.account = ?1 AND k.id = ?2", KEYS.is_sound());
        let found: Option<(i64, bool)> = self
            .conn
            .prepare_cached(&sql)?
            .query_row(params![account.0, id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (no, is_sound) = found.ok_or(Refusal::NotFound)?;
        let changed = self
            .conn
            .prepare_cached("UPDATE keys SET revoked_ms = ?2 WHERE no = ?1 AND revoked_ms IS NULL")?
            .execute(params![no, by.at.0])?;
        // A damaged row is revoked too, and stays known as damaged.
        if is_sound {
            KEYS.stamp(&self.conn, no)?;
        }
        self.effects.revoked.push(KeyNo(no));
        if changed == 0 {
            return Ok(());
        }
        let account_id = self.live_account_id(account)?;
        self.note(by, Action::KeyRevoked, Noted { account: account_id.as_deref(), ..Noted::of("", id) })
    }

    pub(super) fn forget_keys_of(&mut self, account: AccountNo) -> Outcome<()> {
        let mut statement = self.conn.prepare_cached("DELETE FROM keys WHERE account = ?1 RETURNING no")?;
        let forgotten = statement.query_map([account.0], |row| row.get(0).map(KeyNo))?;
        self.effects.revoked.extend(forgotten.collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    /// The public id of an account that is not deleted.
    pub(super) fn live_account_id(&self, account: AccountNo) -> Outcome<Option<String>> {
        let mut statement =
            self.conn.prepare_cached("SELECT id FROM accounts WHERE no = ?1 AND deleted_ms IS NULL")?;
        Ok(statement.query_row([account.0], |row| row.get(0)).optional()?)
    }
}
