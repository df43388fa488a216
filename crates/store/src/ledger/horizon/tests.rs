use rusqlite::OpenFlags;
use tempfile::TempDir;

use super::*;
use crate::ledger::write_meta;

const SECTOR_BYTES: usize = 512;
const LOGS: usize = 40;
const COMMITS: usize = 8;

/// A cheap row of numbers that looks like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A file of `meta` alone, as each commit leaves it, by log. The first of a log is what the log was begun upon.
fn logs(chance: &mut Chance) -> Vec<Vec<Vec<u8>>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("test.db");
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("PRAGMA page_size = 8192; PRAGMA synchronous = OFF").unwrap();
    conn.execute_batch("CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        .unwrap();
    let mut checkpoint = 0;
    let mut log = || {
        let mut states = vec![std::fs::read(&file).unwrap()];
        let base = checkpoint;
        for commit in 0..COMMITS {
            conn.execute_batch("BEGIN").unwrap();
            checkpoint += 1;
            write_seq(&conn, "checkpoint", Seq(checkpoint)).unwrap();
            if commit == 1 {
                write_next(&conn, 1).unwrap();
                write_seq(&conn, LOG_BASE, Seq(base)).unwrap();
            }
            let key = format!("other {}", chance.below(9));
            match chance.below(3) {
                0 => write_meta(&conn, &key, &vec![7_u8; chance.below(600)]).unwrap(),
                1 => drop(conn.execute("DELETE FROM meta WHERE key = ?1", [key]).unwrap()),
                _ => {}
            }
            conn.execute_batch("COMMIT").unwrap();
            states.push(std::fs::read(&file).unwrap());
        }
        states
    };
    (0..LOGS).map(|_| log()).collect()
}

fn read(dir: &TempDir, bytes: &[u8]) -> Horizon {
    let file = dir.path().join("read.db");
    std::fs::write(&file, bytes).unwrap();
    let uri = format!("file:{}?immutable=1", file.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Horizon::of(&Connection::open_with_flags(uri, flags).unwrap())
}

#[test]
fn no_file_that_a_crash_leaves_contradicts_its_log() {
    let (mut chance, dir) = (Chance(1), tempfile::tempdir().unwrap());
    let mut legible = 0;
    for states in logs(&mut chance) {
        let seen = read(&dir, &states[COMMITS]);
        for _ in 0..50 {
            let mut torn = states[0].clone();
            for (at, sector) in torn.chunks_mut(SECTOR_BYTES).enumerate() {
                let of = &states[chance.below(states.len())];
                sector.copy_from_slice(&of[at * SECTOR_BYTES..][..SECTOR_BYTES]);
            }
            let own = read(&dir, &torn);
            legible += usize::from(own.log_number.is_some());
            assert_eq!(own.contradiction(&seen), None, "{own:?} {seen:?}");
        }
    }
    assert!(legible > LOGS, "{legible}");
}

#[test]
fn files_and_logs_of_other_times_do() {
    let (mut chance, dir) = (Chance(2), tempfile::tempdir().unwrap());
    let logs = logs(&mut chance);
    let ends: Vec<Horizon> = logs.iter().map(|states| read(&dir, &states[COMMITS])).collect();
    for (at, own) in ends.iter().enumerate() {
        for (other, seen) in ends.iter().enumerate() {
            // The log after it was begun upon this very file.
            let fits = other == at || other == at + 1;
            assert_eq!(own.contradiction(seen).is_none(), fits, "file {at}, log {other}");
        }
    }
    // A file out of the middle of the log before has not all that the log was begun upon.
    let middle = read(&dir, &logs[LOGS - 2][COMMITS / 2]);
    assert!(middle.contradiction(&ends[LOGS - 1]).is_some());
}

#[test]
fn a_number_is_changed_where_it_lies() {
    for states in logs(&mut Chance(3)).iter().skip(1) {
        for (bytes, key) in
            states.iter().flat_map(|bytes| [(bytes, LOG_NUMBER), (bytes, LOG_BASE), (bytes, "checkpoint")])
        {
            let times = bytes.windows(key.len()).filter(|part| *part == key.as_bytes()).count();
            assert_eq!(times, 1, "{key}");
        }
    }
}
