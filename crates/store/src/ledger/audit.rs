//! The audit log: a row for each change, in the transaction of the change.

use std::sync::Arc;

use posthaste_core::{Action, Actor, By, Change, Details, Scope, UnixMs, Webhook};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};

use super::accounts::one_more;
use super::trouble::{Outcome, Trouble};
use super::{Ledger, encoding};
use crate::change::ChangeFilter;
use crate::page::{PageCursor, Slice};

const COLUMNS: &str =
    "no, at_ms, actor, actor_id, actor_name, action, account, object, fields, count, reason, name, scope,
     address, request_id";

/// How many rows one call looks at, so that a search for what is rare does not keep a reader from others.
const LOOKED_AT_MAX: i64 = 50_000;

/// How much earlier a change may say it was than the one before, if it was made at the same time: longer than any
/// request takes.
const CROSSED_MAX_MS: i64 = 60_000;

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
    /// Writes a row. What undoes the change undoes it too, since both are one transaction. Changes at the same time may
    /// come in another order than their times: none is told of as earlier than the one before, or whoever asks for what
    /// happened since that would miss it. Only where the clock was set back are times so.
    pub(super) fn note(&self, by: &By, action: Action, noted: Noted<'_>) -> Outcome<()> {
        let Noted { account, object, details } = noted;
        self.conn
            .prepare_cached(
                "INSERT INTO audit (at_ms, actor, actor_id, actor_name, action, account, object, fields, count,
                     reason, name, scope, address, request_id)
                 VALUES (max(?1, coalesce((SELECT at_ms FROM (SELECT at_ms FROM audit ORDER BY no DESC LIMIT 1)
                                           WHERE at_ms <= ?1 + ?15), ?1)),
                     ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
                CROSSED_MAX_MS,
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
        if !fields.is_empty() {
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

/// The newest rows first, those that the filter lets through, from the cursor on. No call looks at more than
/// [`LOOKED_AT_MAX`] rows: where that ends it, the slice is short, and its cursor says where the next call goes on.
pub(crate) fn list(
    conn: &Connection,
    filter: &ChangeFilter,
    from: Option<PageCursor>,
    limit: usize,
) -> Outcome<Slice<Change>> {
    let from = from.map_or(i64::MAX, |from| from.0);
    let above = look_above(conn, filter, from)?;
    // The unary plus keeps SQLite from going by time and then sorting all that was found: times are not in the order of
    // places where the clock was set back, so places decide the order.
    let conditions: Vec<(&str, Value)> = [
        filter.account.clone().map(|account| ("account = ?", account.into())),
        filter.actor_kind.map(|kind| ("actor = ?", kind.to_owned().into())),
        filter.actor.clone().map(|actor| ("? IN (actor_id, actor_name)", actor.into())),
        filter.action.map(|action| ("action = ?", action.word().to_owned().into())),
        filter.since.map(|since| ("+at_ms >= ?", since.0.into())),
        filter.until.map(|until| ("+at_ms < ?", until.0.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let wanted = conditions.iter().map(|(sql, _)| format!(" AND {sql}")).collect::<String>();
    let sql =
        format!("SELECT {COLUMNS} FROM audit WHERE no <= ? AND no > ?{wanted} ORDER BY no DESC LIMIT ?");
    let values = [from, above.no].into_iter().map(Value::from);
    let values = values.chain(conditions.into_iter().map(|(_, value)| value)).chain([one_more(limit).into()]);
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.push(from_row(row)?);
    }
    let mut slice = Slice::cut(changes, limit, |change| PageCursor(change.no, 0));
    if above.is_more {
        slice.next = slice.next.or(Some(PageCursor(above.no, 0)));
    }
    Ok(slice)
}

/// Where a call ends: above this number.
struct Above {
    no: i64,
    /// May rows from this number down be wanted too?
    is_more: bool,
}

/// Where looking at rows from `from` down must end at the latest.
fn look_above(conn: &Connection, filter: &ChangeFilter, from: i64) -> Outcome<Above> {
    let number = |sql: &str, values: &[&dyn ToSql]| -> Outcome<Option<i64>> {
        Ok(conn.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?.flatten())
    };
    let oldest = number("SELECT min(no) FROM audit", &[])?.unwrap_or(0).max(oldest_since(conn, filter)?);
    let last_looked_at = match &filter.account {
        Some(account) => number(
            "SELECT no FROM audit WHERE account = ?1 AND no <= ?2 ORDER BY no DESC LIMIT 1 OFFSET ?3",
            &[account, &from, &LOOKED_AT_MAX],
        )?,
        None => number("SELECT max(no) FROM audit WHERE no <= ?1", &[&from])?
            .map(|newest| newest.saturating_sub(LOOKED_AT_MAX)),
    };
    let last = last_looked_at.unwrap_or(0);
    Ok(Above { no: last.max(oldest - 1), is_more: last >= oldest })
}

/// The number before which nothing is of the time that is asked for, if that is soon known; otherwise 0.
fn oldest_since(conn: &Connection, filter: &ChangeFilter) -> Outcome<i64> {
    let Some(since) = filter.since else { return Ok(0) };
    let mut statement = conn.prepare_cached(
        "SELECT count(*), min(no) FROM (SELECT no FROM audit WHERE at_ms >= ?1 ORDER BY at_ms DESC LIMIT ?2)",
    )?;
    let (count, oldest): (i64, Option<i64>) =
        statement.query_row([since.0, LOOKED_AT_MAX], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match oldest {
        _ if count == LOOKED_AT_MAX => 0,
        Some(oldest) => oldest,
        None => i64::MAX,
    })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ledger::schema;

    const ROWS: i64 = 120_000;

    /// One row a second. Every hundredth concerns `acme`; the clock was set back once.
    fn full() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        schema::prepare_any(&conn).unwrap();
        schema::migrate(&conn).unwrap();
        conn.execute_batch(&format!(
            "INSERT INTO audit (at_ms, actor, action, account, object)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             SELECT CASE WHEN i BETWEEN 70000 AND 70010 THEN 5000 ELSE i * 1000 END, 'operator',
                 CASE WHEN i % 40000 = 7 THEN 'account.created' ELSE 'webhook.updated' END,
                 CASE WHEN i % 100 = 0 THEN 'acme' ELSE 'other' END, 'wh_' || i FROM n"
        ))
        .unwrap();
        conn
    }

    /// All that is wanted, and how many calls it took.
    fn all(conn: &Connection, filter: &ChangeFilter, limit: usize) -> (Vec<i64>, usize) {
        let (mut found, mut calls, mut from) = (Vec::new(), 0, None);
        loop {
            let slice = list(conn, filter, from, limit).unwrap();
            assert!(slice.items.len() <= limit);
            found.extend(slice.items.iter().map(|change| change.no));
            calls += 1;
            match slice.next {
                Some(next) => from = Some(next),
                None => return (found, calls),
            }
        }
    }

    #[test]
    fn a_call_looks_at_so_many_rows_and_the_cursor_misses_none() {
        let conn = full();
        let made = Some(Action::AccountCreated);
        let at = |second: i64| Some(UnixMs(second * 1000));
        let acme = Some("acme".to_owned());
        let default = ChangeFilter::default;
        let mut calls_total = 0;
        for (filter, count, calls) in [
            (ChangeFilter { action: made, ..default() }, 3, 3),
            (ChangeFilter { actor: Some("nobody".to_owned()), ..default() }, 0, 3),
            (ChangeFilter { account: Some("nobody".to_owned()), ..default() }, 0, 1),
            (ChangeFilter { account: acme.clone(), ..default() }, 1_200, 1),
            (ChangeFilter { account: acme.clone(), action: made, ..default() }, 0, 1),
            (ChangeFilter { account: Some("other".to_owned()), action: made, ..default() }, 3, 3),
            (ChangeFilter { since: at(119_000), action: made, ..default() }, 0, 1),
            (ChangeFilter { since: at(119_000), ..default() }, 1_001, 1),
            (ChangeFilter { since: at(200_000), ..default() }, 0, 1),
            (ChangeFilter { since: at(10_000), action: made, ..default() }, 2, 3),
            (ChangeFilter { until: at(10), ..default() }, 9 + 11, 3),
            (ChangeFilter { since: at(100), until: at(110), ..default() }, 10, 3),
        ] {
            let (found, taken) = all(&conn, &filter, 2_000);
            assert_eq!((found.len(), taken), (count, calls), "{filter:?}");
            assert!(found.is_sorted_by(|one, two| one > two), "{filter:?}");
            // The same in small parts.
            assert_eq!(all(&conn, &filter, 7).0, found, "{filter:?}");
            calls_total += taken;
        }
        println!("counted | admin | searches of the audit log bounded | {calls_total}");
    }

    /// Whatever is asked for, rows come in the order of their numbers, without sorting.
    #[test]
    fn no_search_sorts() {
        let conn = full();
        let mut plans = BTreeMap::new();
        for wanted in ["", " AND account = 'a'", " AND +at_ms >= 1 AND +at_ms < 2", " AND action = 'a'"] {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM audit WHERE no <= 9 AND no > 1{wanted} ORDER BY no DESC LIMIT 9"
            );
            let mut statement = conn.prepare(&sql).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            plans.insert(wanted, steps.map(Result::unwrap).collect::<Vec<_>>().join("; "));
        }
        assert!(plans.values().all(|plan| !plan.contains("TEMP B-TREE")), "{plans:?}");
    }
}
