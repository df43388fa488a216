//! Filled stores as programs of earlier versions left them, killed in the middle of their work.
//!
//! `reliability/upgrade` holds what programs of the versions 1, 3, 4 and 6 wrote, as SQL, with their master keys. The others are
//! made of these: a store of version 2 is one of version 3 without the tables that came with that step, and the steps to
//! 5 and 7 to 11 are taken from them: they add columns, make indexes anew, and give the key of ids its checksum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags, params};

use crate::rig::stored::checkpoint;

/// The earlier versions.
pub const VERSIONS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// The version that the program brings stores to.
pub const NEWEST: usize = 12;

/// What `meta` says of the log is of each log anew, and the key of ids gets a checksum behind it.
const KEPT_META: &str =
    "SELECT key, CASE key WHEN 'id_key' THEN substr(value, 1, 16) ELSE value END AS value FROM meta
    WHERE key NOT IN ('log_base', 'log_number')";
/// Of the rows of these columns a step makes new values.
const REMADE: [(&str, &str); 1] = [("events", "checksum")];

/// A row: what its columns hold, by their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(BTreeMap<String, String>);

impl Row {
    /// Does another row hold all that this one does?
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.iter().all(|(column, value)| other.0.get(column) == Some(value))
    }
}

/// A store in a data folder.
pub struct Filled {
    /// The data folder.
    pub folder: PathBuf,
}

impl Filled {
    /// Makes a store as of this version.
    ///
    /// # Errors
    /// If there is none of that version.
    pub fn make(version: usize, folder: &Path) -> anyhow::Result<Self> {
        let (tables, key, further) = match version {
            1 => (
                include_str!("../../../upgrade/schema_1.sql"),
                include_str!("../../../upgrade/schema_1.key"),
                "",
            ),
            2 => (
                include_str!("../../../upgrade/schema_3.sql"),
                include_str!("../../../upgrade/schema_3.key"),
                "DROP TABLE tokens; DROP TABLE audit;",
            ),
            3 => (
                include_str!("../../../upgrade/schema_3.sql"),
                include_str!("../../../upgrade/schema_3.key"),
                "",
            ),
            4 => (
                include_str!("../../../upgrade/schema_4.sql"),
                include_str!("../../../upgrade/schema_4.key"),
                "",
            ),
            5 => (
                include_str!("../../../upgrade/schema_4.sql"),
                include_str!("../../../upgrade/schema_4.key"),
                include_str!("../../../../crates/store/src/ledger/migrations/0005.sql"),
            ),
            6 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                "",
            ),
            7 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                include_str!("../../../../crates/store/src/ledger/migrations/0007.sql"),
            ),
            8 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                concat!(
                    include_str!("../../../../crates/store/src/ledger/migrations/0007.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0008.sql")
                ),
            ),
            9 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                concat!(
                    include_str!("../../../../crates/store/src/ledger/migrations/0007.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0008.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0009.sql")
                ),
            ),
            10 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                concat!(
                    include_str!("../../../../crates/store/src/ledger/migrations/0007.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0008.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0009.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0010.sql")
                ),
            ),
            11 => (
                include_str!("../../../upgrade/schema_6.sql"),
                include_str!("../../../upgrade/schema_6.key"),
                concat!(
                    include_str!("../../../../crates/store/src/ledger/migrations/0007.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0008.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0009.sql"),
                    include_str!("../../../../crates/store/src/ledger/migrations/0010.sql"),
                    // What the program wrote with the step to 11.
                    "UPDATE meta SET value = x'11D7DC2E902F18E6EDCB0F3388D8F03F858529F0334E1ED0' WHERE key = 'id_key';"
                ),
            ),
            _ => bail!("no store of version {version} was kept"),
        };
        std::fs::create_dir_all(folder)?;
        let filled = Self { folder: folder.to_owned() };
        let conn = Connection::open(filled.file())?;
        conn.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;",
        )?;
        conn.execute_batch(tables)?;
        conn.execute_batch(further)?;
        conn.execute_batch(&format!("PRAGMA user_version = {version}"))?;
        std::fs::write(folder.join("master.key"), key)?;
        Ok(filled)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("posthaste.db")
    }

    fn reader(&self) -> anyhow::Result<Connection> {
        Ok(Connection::open_with_flags(self.file(), OpenFlags::SQLITE_OPEN_READ_ONLY)?)
    }

    /// Which version it says it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn version(&self) -> anyhow::Result<usize> {
        let version: i64 = self.reader()?.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok(usize::try_from(version)?)
    }

    /// Makes it say that it is of another version.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn mark_as_of(&self, version: usize) -> anyhow::Result<()> {
        let conn = Connection::open(self.file())?;
        conn.execute_batch(&format!("PRAGMA user_version = {version}"))?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// The bytes of the store's file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn files(&self) -> anyhow::Result<Vec<u8>> {
        Ok(std::fs::read(self.file())?)
    }

    /// Every row of every table, by its name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn rows(&self) -> anyhow::Result<BTreeMap<String, Vec<Row>>> {
        let conn = self.reader()?;
        let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
        let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let read = |name: String| Ok((name.clone(), rows_of(&conn, &name)?));
        names.into_iter().map(read).collect()
    }

    /// Deliveries that are pending and due, at webhooks that take them: with a row, or of an event that was not fanned out.
    /// What is owed to one that is switched off is left out: versions before 10 did not note it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn owed(&self) -> anyhow::Result<Vec<(i64, i64)>> {
        let conn = self.reader()?;
        let checkpoint = checkpoint(&conn)?;
        let mut statement = conn.prepare(
            "SELECT e.seq, w.no FROM events e
             JOIN webhooks w ON e.audience = 1 OR (e.audience = 0 AND e.audience_no = w.account)
             LEFT JOIN deliveries d ON d.event = e.seq AND d.webhook = w.no
             WHERE w.state = 'active' AND w.deleted_ms IS NULL AND e.seq > w.created_after AND e.type = 'load.numbered'
               AND (e.send_ms IS NULL OR e.send_ms < unixepoch() * 1000)
               AND (d.state = 0 OR (d.state IS NULL AND e.seq > ?1))",
        )?;
        let rows = statement.query_map([checkpoint], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many of these are not delivered.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn not_delivered(&self, owed: &[(i64, i64)]) -> anyhow::Result<usize> {
        let conn = self.reader()?;
        let mut statement = conn.prepare(
            "SELECT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1 AND webhook = ?2 AND state = 1)",
        )?;
        let mut left = 0;
        for (event, webhook) in owed {
            let is_delivered: bool = statement.query_row(params![event, webhook], |row| row.get(0))?;
            left += usize::from(!is_delivered);
        }
        Ok(left)
    }
}

fn rows_of(conn: &Connection, table: &str) -> anyhow::Result<Vec<Row>> {
    let all = format!("SELECT * FROM \"{table}\"");
    let mut statement = conn.prepare(if table == "meta" { KEPT_META } else { &all })?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = BTreeMap::new();
        for (index, column) in columns.iter().enumerate() {
            if !REMADE.contains(&(table, column.as_str())) {
                let value = row.get_ref(index).context("no such column")?;
                values.insert(column.clone(), format!("{value:?}"));
            }
        }
        read.push(Row(values));
    }
    Ok(read)
}
