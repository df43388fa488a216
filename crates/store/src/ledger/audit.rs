//! The audit log: a row for each change, in the transaction of the change.

use std::sync::Arc;

use posthaste_core::{Action, Actor, By, Change, Details, Scope, UnixMs, Webhook};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::accounts::one_more;
use super::trouble::{Outcome, Trouble};
use super::{Ledger, encoding};
use crate::change::ChangeFilter;
use crate::page::{PageCursor, Slice};

const COLUMNS: &str =
    "no, at_ms, actor, actor_id, actor_name, action, account, object, fields, count, reason, name, scope,
     address, request_id";

/// What a row is about.
#[derive(Default)]
pub(super) struct Noted<'a> {
    pub account: Option<&'a str>,
    pub object: &'a str,
    pub details: Details,
}

impl<'a> Noted<'a> {
    pub fn of(account: &'a str, object: &'a str) -> Self {
        Self { account: Some(account), object, details: Details::default() }
    }

    pub fn account(id: &'a str) -> Self {
        Self::of(id, id)
    }

    pub fn webhook(webhook: &'a Webhook) -> Self {
        Self::of(&webhook.account_id, &webhook.id)
    }
}

impl Ledger {
    /// Writes a row. What undoes the change undoes it too, since both are one transaction.
    pub(super) fn note(&self, by: &By, action: Action, noted: Noted<'_>) -> Outcome<()> {
        let Noted { account, object, details } = noted;
        self.conn
            .prepare_cached(
                "INSERT INTO audit (at_ms, actor, actor_id, actor_name, action, account, object, fields, count,
                     reason, name, scope, address, request_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                by.at.0,
                by.actor.kind(),
                by.actor.id(),
                by.actor.name(),
                action.word(),
                account,
                object,
                (!details.fields.is_empty()).then(|| encoding::pack_list(&details.fields)),
                details.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
                details.reason,
                details.name,
                details.scope.map(Scope::word),
                by.address.map(|address| address.to_string()),
                by.request_id.as_deref(),
            ])?;
        Ok(())
    }

    /// The rows of a changed webhook: one for its secret, one for its state, one for its fields.
    pub(super) fn note_update(&self, by: &By, before: &Webhook, after: &Webhook) -> Outcome<()> {
        let is_rotated = before.secrets != after.secrets;
        let state = (before.state != after.state).then(|| state_action(after));
        let fields = changed_fields(before, after);
        if is_rotated {
            self.note(by, Action::WebhookSecretRotated, Noted::webhook(after))?;
        }
        if let Some(action) = state {
            self.note(by, action, Noted::webhook(after))?;
        }
        // What sets everything to what it was is a change too: of the time of the latest one.
        if !fields.is_empty() || !is_rotated && state.is_none() {
            let details = Details { fields, ..Details::default() };
            self.note(by, Action::WebhookUpdated, Noted { details, ..Noted::webhook(after) })?;
        }
        Ok(())
    }

    /// Deletes some of the rows from before this time. Answers whether there are more.
    pub(super) fn forget_changes(&self, before: UnixMs, limit: usize) -> Outcome<bool> {
        let deleted = self
            .conn
            .prepare_cached(
                "DELETE FROM audit WHERE no IN (SELECT no FROM audit WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
            )?
            .execute(params![before.0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        Ok(deleted == limit)
    }
}

fn state_action(webhook: &Webhook) -> Action {
    use posthaste_core::WebhookState::{Active, Disabled, Paused};
    match webhook.state {
        Active => Action::WebhookResumed,
        Paused => Action::WebhookPaused,
        Disabled => Action::WebhookDisabled,
    }
}

/// The names of what differs, the contract's own fields by their own names.
fn changed_fields(before: &Webhook, after: &Webhook) -> Vec<String> {
    let own = [
        ("url", before.url != after.url),
        ("events", before.subscription != after.subscription),
        ("description", before.description != after.description),
    ];
    let mut fields: Vec<String> =
        own.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect();
    let names = before.extension.keys().chain(after.extension.keys());
    let mut differing: Vec<&String> =
        names.filter(|name| before.extension.get(*name) != after.extension.get(*name)).collect();
    differing.sort();
    differing.dedup();
    fields.extend(differing.into_iter().cloned());
    fields
}

/// The newest rows first, those that the filter lets through, from the cursor on.
pub(crate) fn list(
    conn: &Connection,
    filter: &ChangeFilter,
    from: Option<PageCursor>,
    limit: usize,
) -> Outcome<Slice<Change>> {
    let conditions: Vec<(&str, Value)> = [
        from.map(|from| ("no <= ?", Value::from(from.0))),
        filter.account.clone().map(|account| ("account = ?", account.into())),
        filter.actor_kind.map(|kind| ("actor = ?", kind.to_owned().into())),
        filter.actor.clone().map(|actor| ("? IN (actor_id, actor_name)", actor.into())),
        filter.action.map(|action| ("action = ?", action.word().to_owned().into())),
        filter.since.map(|since| ("at_ms >= ?", since.0.into())),
        filter.until.map(|until| ("at_ms < ?", until.0.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let wanted = conditions.iter().map(|(sql, _)| format!(" AND {sql}")).collect::<String>();
    // Times are not in the order of places where the clock was set back, so places decide the order.
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE 1{wanted} ORDER BY no DESC LIMIT ?");
    let values = conditions.into_iter().map(|(_, value)| value).chain([Value::from(one_more(limit))]);
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(from_row(row)?);
    }
    Ok(Slice::cut(changes, limit, |change| PageCursor(change.no, 0)))
}

/// The row with this number.
pub(crate) fn by_no(conn: &Connection, no: i64) -> Outcome<Option<Change>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM audit WHERE no = ?1"))?;
    let mut rows = statement.query([no])?;
    rows.next()?.map(from_row).transpose()
}

fn from_row(row: &Row<'_>) -> Outcome<Change> {
    let no: i64 = row.get(0)?;
    let damaged = |what| Trouble::damaged("audit", no, what);
    let text = |column| row.get::<_, Option<String>>(column);
    let kind: String = row.get(2)?;
    let actor = Actor::from_parts(&kind, text(3)?, text(4)?).ok_or_else(|| damaged("its actor is none"))?;
    let action = Action::from_word(&row.get::<_, String>(5)?).ok_or_else(|| damaged("its action is none"))?;
    let fields =
        text(8)?.map(|fields| encoding::read_list(&fields).ok_or_else(|| damaged("its fields are none")));
    let scope = text(12)?.map(|word| Scope::from_word(&word).ok_or_else(|| damaged("its scope is none")));
    let address = text(13)?.map(|text| text.parse().map_err(|_| damaged("its address is none")));
    Ok(Change {
        no,
        by: By {
            at: UnixMs(row.get(1)?),
            actor,
            request_id: text(14)?.map(Arc::from),
            address: address.transpose()?,
            object: text(7)?.map(Arc::from),
        },
        action,
        account: text(6)?,
        details: Details {
            fields: fields.transpose()?.unwrap_or_default(),
            count: row.get::<_, Option<i64>>(9)?.map(|count| count.max(0).unsigned_abs()),
            reason: text(10)?,
            name: text(11)?,
            scope: scope.transpose()?,
        },
    })
}
