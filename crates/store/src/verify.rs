//! Checks a store or a backup for damage, without changing it.

use std::path::{Path, PathBuf};

use posthaste_core::{Seq, WebhookNo};
use rusqlite::Connection;

use crate::embedded::opening::{open_from_outside, refuse_unfit};
use crate::error::StoreError;
use crate::folder::{OpenError, read_keys};
use crate::ledger::deliveries::NOT_ITS_TURN_MS;
use crate::ledger::schema::{self, Marks};
use crate::ledger::trouble::{DATABASE_FILE, Outcome, Trouble, told_of};
use crate::ledger::{audit, checks, events, facts, history, keys, master_keys, tokens, webhooks};
use crate::page::PageCursor;
use crate::sealing::{MasterKeys, Vault};

/// How many problems are reported before the check ends.
const PROBLEMS_MAX: usize = 100;
/// How many rows are read at one time.
const PAGE_ROWS: usize = 500;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sentences that name the file and the row; empty if all is well.
    pub problems: Vec<String>,
    /// Was it tried whether the secrets open? Not without a master key, nor where damage is in the way of reading them.
    pub has_tried_seals: bool,
}

/// Reads all of a data folder's store, or of a backup, with the master keys given or those beside it.
///
/// # Errors
/// [`OpenError`] if it cannot be read at all.
pub fn verify(place: &Path, given: Option<MasterKeys>) -> Result<Report, OpenError> {
    let file = if place.is_dir() { place.join(DATABASE_FILE) } else { place.to_owned() };
    let bad = |error: rusqlite::Error| OpenError::damaged(&file, told_of(&error));
    file.metadata().map_err(OpenError::io(&file))?;
    let conn = open_from_outside(&file)?;
    match schema::marks(&conn).map_err(bad)? {
        Marks::Ours => {}
        Marks::Newer(found) => return Err(OpenError::Newer { file, found, known: schema::VERSION }),
        Marks::Empty | Marks::Foreign => return Err(OpenError::damaged(&file, "it is not a store")),
    }
    let foundations = facts::damaged_foundations(&conn);
    let foundations = foundations.map_err(|trouble| OpenError::damaged(&file, StoreError::from(trouble)))?;
    if !foundations.is_empty() {
        // Everything else is read by these.
        let problems = foundations.into_iter().map(|what| format!("{DATABASE_FILE}: {what}")).collect();
        return Ok(Report { problems, has_tried_seals: false });
    }
    schema::show_as_of_this_version(&conn).map_err(bad)?;
    let vault = vault_for(&conn, &file, given)?;
    // All that is read is of one moment, also beside a server that writes.
    let moment = conn.unchecked_transaction().map_err(bad)?;
    let mut check = Check { conn: &moment, problems: Vec::new(), has_tried_seals: false };
    let ended = check.run(vault.as_ref());
    let Check { mut problems, has_tried_seals, .. } = check;
    drop(moment);
    problems.extend(ended.err().map(|trouble| StoreError::from(trouble).to_string()));
    Ok(Report { problems, has_tried_seals })
}

/// What opens the store's secrets, if there is a key at hand.
fn vault_for(conn: &Connection, file: &Path, given: Option<MasterKeys>) -> Result<Option<Vault>, OpenError> {
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let keys = match given {
        Some(keys) => Some(keys),
        None => read_keys(&folder)?,
    };
    let Some(keys) = keys else { return Ok(None) };
    refuse_unfit(conn, file, &keys)?;
    let vault = master_keys::hash_key(conn, &keys)
        .and_then(|hash_key| Ok(Vault::new(master_keys::seal_keys(conn, &keys)?, &hash_key)));
    vault.map(Some).map_err(|trouble| OpenError::damaged(file, StoreError::from(trouble)))
}

struct Check<'a> {
    conn: &'a Connection,
    problems: Vec<String>,
    has_tried_seals: bool,
}

impl Check<'_> {
    fn run(&mut self, vault: Option<&Vault>) -> Outcome<()> {
        self.structure()?;
        if !self.problems.is_empty() {
            return Ok(());
        }
        // A row that is damaged itself comes before those that contradict it: they may be too many to tell of all.
        self.checksums()?;
        self.events()?;
        self.relations()?;
        self.audit()?;
        if let Some(vault) = vault {
            self.has_tried_seals = true;
            self.seals(vault)?;
        }
        self.histories()
    }

    fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Keeps damage for the report and lets the check go on; other trouble ends it.
    fn note_damage<T>(&mut self, outcome: Outcome<T>) -> Outcome<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Trouble::Damaged(what)) => {
                self.note(what);
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Pages and indexes, by SQLite's own check.
    fn structure(&mut self) -> Outcome<()> {
        let mut statement = self.conn.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        lines.into_iter().filter(|line| line != "ok").for_each(|line| {
            self.note(format!("{DATABASE_FILE}: {line}"));
        });
        Ok(())
    }

    /// Rows that contradict each other.
    fn relations(&mut self) -> Outcome<()> {
        for (what, sql) in [
            (
                "deliveries row event {1} webhook {2}: its event is missing",
                "SELECT event, webhook FROM deliveries d
                 WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = d.event)",
            ),
            (
                "deliveries row event {1} webhook {2}: its webhook is missing",
                "SELECT event, webhook FROM deliveries d
                 WHERE NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.no = d.webhook)",
            ),
            (
                "deliveries row event {1} webhook {2}: its event is not for its webhook",
                "SELECT event, webhook FROM deliveries d
                 CROSS JOIN events e ON e.seq = d.event CROSS JOIN webhooks w ON w.no = d.webhook
                 WHERE (e.audience = 0 AND e.audience_no IS NOT w.account)
                    OR (e.audience = 2 AND e.audience_no IS NOT d.webhook)",
            ),
            (
                "deliveries row event {1} webhook {2}: its state is none",
                "SELECT event, webhook FROM deliveries WHERE state NOT IN (0, 1, 2, 3)",
            ),
            (
                "deliveries row event {1} webhook {2}: it is pending without a time, or ended with one",
                "SELECT event, webhook FROM deliveries WHERE (state = 0) <> (next_ms IS NOT NULL)",
            ),
            (
                "deliveries row event {1} webhook {2}: its state contradicts its reason or when it was delivered",
                "SELECT event, webhook FROM deliveries
                 WHERE (state = 1) <> (delivered_ms IS NOT NULL)
                    OR (state = 2 AND reason IN ('webhook_disabled', 'webhook_deleted', 'event_damaged'))
                    OR (state = 3 AND (reason IS NULL OR reason IN ('attempts_exhausted', 'gone')))",
            ),
            (
                "deliveries row event {1} webhook {2}: it counts other attempts than there are",
                "SELECT event, webhook FROM deliveries d WHERE attempts <> max(started_ms IS NOT NULL, coalesce(
                     (SELECT max(n) FROM attempts a WHERE a.event = d.event AND a.webhook = d.webhook), 0))",
            ),
            (
                "deliveries row event {1} webhook {2}: its last status is not that of its last attempt",
                "SELECT event, webhook FROM deliveries d WHERE attempts > 0 AND last_status IS NOT CASE attempts
                     WHEN 1 THEN status
                     ELSE (SELECT status FROM attempts a
                           WHERE a.event = d.event AND a.webhook = d.webhook AND a.n = d.attempts) END",
            ),
            (
                "attempts row event {1} webhook {2}: its delivery is missing",
                "SELECT DISTINCT event, webhook FROM attempts a WHERE NOT EXISTS (
                     SELECT 1 FROM deliveries d WHERE d.event = a.event AND d.webhook = a.webhook)",
            ),
            (
                "standings row {1}: its webhook is missing",
                "SELECT webhook, 0 FROM standings s
                 WHERE NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.no = s.webhook)",
            ),
            (
                "standings row {1}: it counts other attempted deliveries than there are",
                "SELECT s.webhook, 0 FROM standings s LEFT JOIN (
                     SELECT webhook, count(*) AS attempted FROM deliveries
                     WHERE started_ms IS NOT NULL GROUP BY webhook) d ON d.webhook = s.webhook
                 WHERE s.attempted <> coalesce(d.attempted, 0)",
            ),
            (
                "webhooks row {1}: its account is missing",
                "SELECT no, 0 FROM webhooks w
                 WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.no = w.account)",
            ),
        ] {
            self.relation(what, sql)?;
        }
        self.chains()
    }

    /// Notes each row that SQL finds; it answers the numbers that stand in the sentence.
    fn relation(&mut self, what: &str, sql: &str) -> Outcome<()> {
        let mut statement = self.conn.prepare(&format!("{sql} LIMIT {PROBLEMS_MAX}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (one, two): (i64, i64) = (row.get(0)?, row.get(1)?);
            let row = what.replace("{1}", &one.to_string()).replace("{2}", &two.to_string());
            self.note(format!("{DATABASE_FILE}: {row}"));
        }
        Ok(())
    }

    /// Of the pending deliveries of one ordering key at a webhook, exactly one has its turn.
    fn chains(&mut self) -> Outcome<()> {
        if !self.conn.column_exists(None, "deliveries", "chain")? {
            return Ok(());
        }
        let grouped = format!(
            "SELECT min(event), webhook FROM deliveries WHERE next_ms IS NOT NULL AND chain IS NOT NULL
             GROUP BY webhook, chain HAVING sum(next_ms < {NOT_ITS_TURN_MS})"
        );
        let row = "deliveries row event {1} webhook {2}";
        self.relation(
            &format!("{row}: it waits for its turn and nothing is before it"),
            &format!("{grouped} = 0"),
        )?;
        self.relation(
            &format!("{row}: it has its turn together with a later one"),
            &format!("{grouped} > 1"),
        )?;
        self.relation(
            &format!("{row}: it waits for its turn in no chain"),
            &format!(
                "SELECT event, webhook FROM deliveries WHERE chain IS NULL AND next_ms >= {NOT_ITS_TURN_MS}"
            ),
        )
    }

    /// Rows that do not match their checksums, also without a key at hand and where their secrets do not open.
    fn checksums(&mut self) -> Outcome<()> {
        for damaged in checks::damaged(self.conn, PROBLEMS_MAX)? {
            self.note(damaged);
        }
        Ok(())
    }

    /// Every event reads and matches its checksum.
    fn events(&mut self) -> Outcome<()> {
        let mut statement =
            self.conn.prepare("SELECT seq FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let mut last = 0;
        loop {
            let page: Vec<i64> =
                statement.query_map((last, PAGE_ROWS as i64), |row| row.get(0))?.collect::<Result<_, _>>()?;
            let Some(end) = page.last() else { return Ok(()) };
            last = *end;
            for seq in page {
                let read = events::by_seq(self.conn, Seq(seq));
                self.note_damage(read)?;
            }
        }
    }

    /// Every token and every row of the audit log reads. A store of an older version has neither.
    fn audit(&mut self) -> Outcome<()> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'audit')";
        if !self.conn.query_row(sql, [], |row| row.get::<_, bool>(0))? {
            return Ok(());
        }
        for no in self.numbers("SELECT no FROM tokens")? {
            let read = tokens::by_no(self.conn, no);
            self.note_damage(read)?;
        }
        for no in self.numbers("SELECT no FROM audit")? {
            let read = audit::by_no(self.conn, no);
            self.note_damage(read)?;
        }
        Ok(())
    }

    /// Every sealed secret opens in its place.
    fn seals(&mut self, vault: &Vault) -> Outcome<()> {
        for no in self.numbers("SELECT no FROM webhooks w JOIN standings s ON s.webhook = w.no")? {
            let read = webhooks::by_no(self.conn, vault, WebhookNo(no));
            self.note_damage(read)?;
        }
        for no in self.numbers("SELECT no FROM keys")? {
            let read = keys::by_no(self.conn, vault, no);
            self.note_damage(read)?;
        }
        Ok(())
    }

    fn numbers(&self, sql: &str) -> Outcome<Vec<i64>> {
        let mut statement = self.conn.prepare(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Every webhook's history reads, and ends.
    fn histories(&mut self) -> Outcome<()> {
        let attempts: i64 = self.conn.query_row(
            "SELECT (SELECT count(*) FROM attempts) + (SELECT count(*) FROM deliveries)",
            [],
            |row| row.get(0),
        )?;
        for no in self.numbers("SELECT webhook FROM standings")? {
            let walked = self.history(WebhookNo(no), attempts);
            self.note_damage(walked)?;
        }
        Ok(())
    }

    fn history(&self, no: WebhookNo, attempts_kept: i64) -> Outcome<()> {
        let mut from: Option<PageCursor> = None;
        let mut walked = 0;
        loop {
            let slice = history::attempts(self.conn, no, from, PAGE_ROWS)?;
            walked += slice.items.len() as i64;
            if walked > attempts_kept {
                return Err(Trouble::damaged("standings", no.0, "its history goes in a circle"));
            }
            from = slice.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
}
