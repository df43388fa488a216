//! Webhooks.

use posthaste_core::{
    AccountNo, Action, By, Details, Health, KeyNo, Seq, SigningSecrets, UnixMs, Webhook, WebhookNo,
    WebhookState,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accounts::one_more;
use super::audit::Noted;
use super::checks::{ACCOUNTS, WEBHOOKS};
use super::trouble::{Outcome, Trouble, name_of};
use super::{Ledger, encoding};
use crate::change::{NewWebhook, Rotation, WebhookLimits, WebhookPatch};
use crate::error::Refusal;
use crate::page::{PageCursor, Slice};
use crate::sealing::{Place, Vault};

/// How many overdue retries are put in order of age when a webhook is resumed; later ones follow by due time.
const REORDERED_MAX: i64 = 10_000;

/// At the start what so many damaged rows stand for is left out; where there are more, the store is not opened.
const DAMAGED_MAX: usize = 100;

/// As SQL: may deliveries be owed to a webhook, if all events up to `?1` have theirs?
pub(super) const OWED: &str = "(w.deleted_ms IS NULL OR w.deleted_seq > ?1 OR EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook = w.no AND d.next_ms IS NOT NULL))";

fn select() -> String {
    format!(
        "SELECT w.no, w.id, w.account, a.id, w.key, w.url, w.canonical_url, w.subscription, w.state,
             w.description, w.extension, w.secrets, w.created_after, w.created_ms, w.updated_ms, w.deleted_ms,
             w.deleted_seq, s.fails, s.last_attempt_ms, s.last_success_ms, {}, {}, a.deleted_ms IS NOT NULL,
             s.off_seq
         FROM webhooks w JOIN accounts a ON a.no = w.account JOIN standings s ON s.webhook = w.no",
        WEBHOOKS.is_sound(),
        ACCOUNTS.is_sound()
    )
}

/// What webhooks' secrets are sealed as.
pub(super) const PLACE_KIND: &str = "webhook";

fn place(account: AccountNo, id: &str) -> Place<'_> {
    Place { kind: PLACE_KIND, account: account.0, id }
}

fn from_row(row: &Row<'_>, vault: &Vault) -> Outcome<Webhook> {
    read_row(row, vault).map_err(|trouble| trouble.in_row("webhooks", name_of(row)))
}

fn read_row(row: &Row<'_>, vault: &Vault) -> Outcome<Webhook> {
    let (no, id, account): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let account = AccountNo(account);
    let damaged = |what| Trouble::damaged("webhooks", no, what);
    let text = |column| row.get::<_, String>(column);
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    let secrets = vault
        .open(place(account, &id), &row.get::<_, Vec<u8>>(11)?)
        .and_then(|packed| encoding::read_secrets(&packed))
        .ok_or_else(|| damaged("its secrets do not open"))?;
    let webhook = Webhook {
        no: WebhookNo(no),
        account,
        account_id: text(3)?,
        key: row.get::<_, Option<i64>>(4)?.map(KeyNo),
        url: text(5)?,
        canonical_url: text(6)?,
        subscription: encoding::read_subscription(&text(7)?)
            .ok_or_else(|| damaged("its subscription is none"))?,
        state: WebhookState::from_word(&text(8)?).ok_or_else(|| damaged("its state is none"))?,
        description: row.get(9)?,
        extension: encoding::read_map(&text(10)?).ok_or_else(|| damaged("its extension is no map"))?,
        secrets,
        created_after: Seq(row.get(12)?),
        health: Health {
            consecutive_failures: row.get(17)?,
            last_attempt_at: time(18)?,
            last_success_at: time(19)?,
        },
        created_at: UnixMs(row.get(13)?),
        updated_at: UnixMs(row.get(14)?),
        deleted: time(15)?.zip(row.get::<_, Option<i64>>(16)?.map(Seq)),
        is_account_deleted: row.get(22)?,
        off_after: row.get::<_, Option<i64>>(23)?.map(Seq),
        id,
    };
    WEBHOOKS.refuse_unless(row.get(20)?, no)?;
    ACCOUNTS.refuse_unless(row.get(21)?, account.0)?;
    Ok(webhook)
}

fn collect(rows: &mut rusqlite::Rows<'_>, vault: &Vault) -> Outcome<Vec<Webhook>> {
    let mut webhooks = Vec::new();
    while let Some(row) = rows.next()? {
        webhooks.push(from_row(row, vault)?);
    }
    Ok(webhooks)
}

/// Every webhook that deliveries may be owed to.
pub(super) fn all_owed(conn: &Connection, vault: &Vault, checkpoint: Seq) -> Outcome<Recipients> {
    let mut statement = conn.prepare(&format!("{} WHERE {OWED}", select()))?;
    let mut rows = statement.query([checkpoint.0])?;
    let mut owed = Recipients::default();
    while let Some(row) = rows.next()? {
        match from_row(row, vault) {
            Ok(webhook) => owed.webhooks.push(webhook),
            // One account row may be the damage of many webhooks.
            Err(Trouble::Damaged(what)) if owed.damaged.contains(&what) => {}
            Err(Trouble::Damaged(what)) if owed.damaged.len() < DAMAGED_MAX => owed.damaged.push(what),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(owed)
}

/// The webhooks that something may be owed to, and what is to be said of those whose rows are damaged: nobody knows what
/// they say, so nothing is sent for them.
#[derive(Default)]
pub(crate) struct Recipients {
    pub webhooks: Vec<Webhook>,
    pub damaged: Vec<String>,
}

/// A webhook whether deleted or not.
pub(crate) fn by_no(conn: &Connection, vault: &Vault, no: WebhookNo) -> Outcome<Option<Webhook>> {
    let mut statement = conn.prepare_cached(&format!("{} WHERE w.no = ?1", select()))?;
    let mut rows = statement.query([no.0])?;
    rows.next()?.map(|row| from_row(row, vault)).transpose()
}

/// A webhook whether deleted or not, unless its account is.
pub(crate) fn of_any_state(conn: &Connection, vault: &Vault, no: WebhookNo) -> Outcome<Option<Webhook>> {
    let mut statement =
        conn.prepare_cached(&format!("{} WHERE w.no = ?1 AND a.deleted_ms IS NULL", select()))?;
    let mut rows = statement.query([no.0])?;
    rows.next()?.map(|row| from_row(row, vault)).transpose()
}

pub(crate) fn of_owner(
    conn: &Connection,
    vault: &Vault,
    account: AccountNo,
    key: Option<KeyNo>,
    id: &str,
) -> Outcome<Option<Webhook>> {
    let mut statement = conn.prepare_cached(&format!(
        "{} WHERE w.id = ?1 AND w.account = ?2 AND (?3 IS NULL OR w.key = ?3) AND w.deleted_ms IS NULL",
        select()
    ))?;
    let mut rows = statement.query(params![id, account.0, key.map(|key| key.0)])?;
    rows.next()?.map(|row| from_row(row, vault)).transpose()
}

pub(crate) fn list(
    conn: &Connection,
    vault: &Vault,
    account: AccountNo,
    key: Option<KeyNo>,
    from: Option<PageCursor>,
    limit: usize,
) -> Outcome<Slice<Webhook>> {
    let mut statement = conn.prepare_cached(&format!(
        "{} WHERE w.account = ?1 AND w.no >= ?2 AND (?3 IS NULL OR w.key = ?3) AND w.deleted_ms IS NULL
         ORDER BY w.no LIMIT ?4",
        select()
    ))?;
    let from = from.map_or(0, |cursor| cursor.0);
    let mut rows = statement.query(params![account.0, from, key.map(|key| key.0), one_more(limit)])?;
    Ok(Slice::cut(collect(&mut rows, vault)?, limit, |webhook| PageCursor(webhook.no.0, 0)))
}

impl Ledger {
    pub fn create_webhook(&mut self, new: NewWebhook, limits: WebhookLimits, by: &By) -> Outcome<Webhook> {
        let account_id = self.live_account_id(new.account)?.ok_or(Refusal::NotFound)?;
        let is_taken: bool = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM webhooks WHERE id = ?1)")?
            .query_row([&new.id], |row| row.get(0))?;
        if is_taken {
            return Err(Refusal::Taken.into());
        }
        self.check_limit(&new, limits)?;
        if limits.unique_url {
            self.check_url(new.account, &new.canonical_url, WebhookNo(0))?;
        }
        let mut webhook = Webhook {
            no: WebhookNo(0),
            id: new.id,
            account: new.account,
            account_id,
            key: new.key,
            url: new.url,
            canonical_url: new.canonical_url,
            subscription: new.subscription,
            state: WebhookState::Active,
            description: new.description,
            extension: new.extension,
            secrets: SigningSecrets { current: new.secret, previous: vec![] },
            created_after: self.last_event,
            health: Health::default(),
            created_at: by.at,
            updated_at: by.at,
            off_after: None,
            deleted: None,
            is_account_deleted: false,
        };
        webhook.no = self.insert_webhook(&webhook)?;
        self.note(by, Action::WebhookCreated, Noted::webhook(&webhook))?;
        self.note_changed(webhook.clone());
        Ok(webhook)
    }

    pub fn update_webhook(
        &mut self,
        no: WebhookNo,
        patch: WebhookPatch,
        limits: WebhookLimits,
        by: &By,
    ) -> Outcome<Webhook> {
        let mut webhook = self.live_webhook(no)?;
        if let (Some((_, canonical)), true) = (&patch.url, limits.unique_url) {
            self.check_url(webhook.account, canonical, no)?;
        }
        if patch.state == Some(WebhookState::Active) {
            self.resume(&mut webhook, by.at)?;
        }
        let before = webhook.clone();
        apply(&mut webhook, patch, by.at);
        webhook.off_after = match (before.state, webhook.state) {
            (WebhookState::Disabled, WebhookState::Disabled) => before.off_after,
            (_, WebhookState::Disabled) => Some(self.last_event),
            _ => None,
        };
        self.write_webhook(&webhook)?;
        self.note_update(by, &before, &webhook)?;
        self.note_changed(webhook.clone());
        Ok(webhook)
    }

    pub fn delete_webhook(&mut self, no: WebhookNo, by: &By) -> Outcome<()> {
        let (account_id, id) = self.end_webhook(no, by.at)?;
        self.note(by, Action::WebhookDeleted, Noted::of(&account_id, &id))
    }

    /// Answers the ids of its account and of itself.
    pub(super) fn end_webhook(&mut self, no: WebhookNo, now: UnixMs) -> Outcome<(String, String)> {
        let mut webhook = match self.live_webhook(no) {
            Err(Trouble::Damaged(what)) => {
                tracing::warn!(what, "a webhook is deleted whose row is damaged");
                return self.end_damaged_webhook(no, now);
            }
            found => found?,
        };
        webhook.deleted = Some((now, self.last_event));
        self.write_webhook(&webhook)?;
        self.note_changed(webhook.clone());
        Ok((webhook.account_id, webhook.id))
    }

    /// Switches a webhook off if it is active, and says so.
    pub(super) fn disable_webhook(&mut self, no: WebhookNo, reason: &str) -> Outcome<()> {
        self.write_standings()?;
        let found = match by_no(&self.conn, &self.vault, no) {
            // The next start leaves it out. Until then it is tried as it was read.
            Err(Trouble::Damaged(what)) => {
                tracing::error!(what, "a webhook that should be switched off is damaged");
                None
            }
            found => found?,
        };
        let Some(mut webhook) = found else { return Ok(()) };
        if webhook.deleted.is_some() || webhook.state != WebhookState::Active {
            return Ok(());
        }
        webhook.state = WebhookState::Disabled;
        webhook.off_after = Some(self.last_event);
        webhook.updated_at = webhook.updated_at.max(webhook.health.last_attempt_at.unwrap_or_default());
        self.write_webhook(&webhook)?;
        let details = Details { reason: Some(reason.to_owned()), ..Details::default() };
        let noted = Noted { details, ..Noted::webhook(&webhook) };
        self.note(&By::from(webhook.updated_at), Action::WebhookDisabled, noted)?;
        self.note_changed(webhook);
        Ok(())
    }

    fn live_webhook(&mut self, no: WebhookNo) -> Outcome<Webhook> {
        self.write_standings()?;
        let webhook = by_no(&self.conn, &self.vault, no)?.filter(|webhook| webhook.deleted.is_none());
        webhook.ok_or_else(|| Refusal::NotFound.into())
    }

    fn check_limit(&self, new: &NewWebhook, limits: WebhookLimits) -> Outcome<()> {
        let is_checked = !posthaste_faults::bug("webhook-limit-unchecked");
        let Some(max) = limits.max.filter(|_| is_checked) else { return Ok(()) };
        let count: i64 = self
            .conn
            .prepare_cached(
                "SELECT count(*) FROM webhooks
                 WHERE account = ?1 AND deleted_ms IS NULL AND (NOT ?2 OR key IS ?3)",
            )?
            .query_row(params![new.account.0, limits.per_key, new.key.map(|key| key.0)], |row| row.get(0))?;
        if count >= i64::from(max) { Err(Refusal::WebhookLimit.into()) } else { Ok(()) }
    }

    /// Refuses a URL that another webhook of the account has.
    fn check_url(&self, account: AccountNo, canonical: &str, own: WebhookNo) -> Outcome<()> {
        let other: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT no FROM webhooks
                 WHERE account = ?1 AND canonical_url = ?2 AND no <> ?3 AND deleted_ms IS NULL LIMIT 1",
            )?
            .query_row(params![account.0, canonical, own.0], |row| row.get(0))
            .optional()?;
        let is_checked = !posthaste_faults::bug("webhook-url-unchecked");
        if other.is_some() && is_checked { Err(Refusal::DuplicateUrl.into()) } else { Ok(()) }
    }

    /// A fresh start: no failures counted, and what is overdue goes out in order of age.
    fn resume(&mut self, webhook: &mut Webhook, now: UnixMs) -> Outcome<()> {
        if posthaste_faults::bug("held-lost-at-resume") {
            let sql = "DELETE FROM deliveries WHERE webhook = ?1 AND next_ms IS NOT NULL";
            self.conn.prepare_cached(sql)?.execute([webhook.no.0])?;
        }
        webhook.health.consecutive_failures = 0;
        self.change_standing(webhook.no, |standing| standing.health.consecutive_failures = 0)?;
        self.conn
            .prepare_cached(
                "UPDATE deliveries
                 SET next_ms = coalesce(
                     min((SELECT created_ms FROM events WHERE seq = deliveries.event) - ?4, next_ms), next_ms)
                 WHERE webhook = ?1 AND event IN (
                     SELECT event FROM deliveries
                     WHERE webhook = ?1 AND next_ms IS NOT NULL AND next_ms <= ?2 AND attempts > 0
                     ORDER BY next_ms LIMIT ?3)",
            )?
            .execute(params![webhook.no.0, self.time.steady(now).0, REORDERED_MAX, self.time.ahead_ms()])?;
        Ok(())
    }

    fn insert_webhook(&self, webhook: &Webhook) -> Outcome<WebhookNo> {
        self.conn
            .prepare_cached(
                "INSERT INTO webhooks (id, account, key, url, canonical_url, subscription, state, description,
                     extension, secrets, created_after, created_ms, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                webhook.id,
                webhook.account.0,
                webhook.key.map(|key| key.0),
                webhook.url,
                webhook.canonical_url,
                encoding::pack_subscription(&webhook.subscription),
                webhook.state.word(),
                webhook.description,
                encoding::pack_map(&webhook.extension),
                self.seal_secrets(webhook)?,
                webhook.created_after.0,
                webhook.created_at.0,
                webhook.updated_at.0,
            ])?;
        let no = self.conn.last_insert_rowid();
        WEBHOOKS.stamp(&self.conn, no)?;
        self.conn.prepare_cached("INSERT INTO standings (webhook) VALUES (?1)")?.execute([no])?;
        Ok(WebhookNo(no))
    }

    fn write_webhook(&self, webhook: &Webhook) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "UPDATE webhooks SET url = ?2, canonical_url = ?3, subscription = ?4, state = ?5,
                     description = ?6, extension = ?7, secrets = ?8, updated_ms = ?9, deleted_ms = ?10,
                     deleted_seq = ?11
                 WHERE no = ?1",
            )?
            .execute(params![
                webhook.no.0,
                webhook.url,
                webhook.canonical_url,
                encoding::pack_subscription(&webhook.subscription),
                webhook.state.word(),
                webhook.description,
                encoding::pack_map(&webhook.extension),
                self.seal_secrets(webhook)?,
                webhook.updated_at.0,
                webhook.deleted.map(|(at, _)| at.0),
                webhook.deleted.map(|(_, seq)| seq.0),
            ])?;
        self.conn
            .prepare_cached("UPDATE standings SET off_seq = ?2 WHERE webhook = ?1")?
            .execute(params![webhook.no.0, webhook.off_after.map(|seq| seq.0)])?;
        WEBHOOKS.stamp(&self.conn, webhook.no.0)
    }

    fn seal_secrets(&self, webhook: &Webhook) -> Outcome<Vec<u8>> {
        let packed = encoding::pack_secrets(&webhook.secrets);
        Ok(self.vault.seal(place(webhook.account, &webhook.id), &packed)?)
    }
}

fn apply(webhook: &mut Webhook, patch: WebhookPatch, now: UnixMs) {
    if let Some((url, canonical_url)) = patch.url {
        (webhook.url, webhook.canonical_url) = (url, canonical_url);
    }
    if let Some(subscription) = patch.subscription {
        webhook.subscription = subscription;
    }
    if let Some(description) = patch.description {
        webhook.description = description;
    }
    for (name, value) in patch.extension {
        match value {
            Some(value) => webhook.extension.insert(name, value),
            None => webhook.extension.remove(&name),
        };
    }
    if let Some(state) = patch.state {
        webhook.state = state;
    }
    if let Some(rotation) = patch.rotate {
        rotate(&mut webhook.secrets, rotation, now);
    }
    webhook.updated_at = now;
}

/// The new secret first; the one it replaces signs on for the overlap, older ones as long as they had left.
fn rotate(secrets: &mut SigningSecrets, rotation: Rotation, now: UnixMs) {
    let replaced = std::mem::replace(&mut secrets.current, rotation.secret);
    secrets.previous.insert(0, (replaced, now.plus(rotation.overlap)));
    secrets.previous.retain(|(_, until)| now < *until);
    secrets.previous.truncate(rotation.keep.saturating_sub(1));
}
