//! What a power failure leaves of the files, beside what was left there before it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{Audience, Clock, EventBody, Seq, UnixMs};
use posthaste_store::{Embedded, EventDraft, OpenError, Options, Store, snapshot, verify};
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const LOCK: &str = "posthaste.lock";
const LOG: &str = "posthaste.db-wal";
const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + 8192;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed))
}

async fn publish(store: &Embedded) {
    let draft = EventDraft {
        audience: Audience::Broadcast,
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
        ordering_key: None,
        reading: None,
        test_by: None,
    };
    let body = || EventBody { bytes: Bytes::from_static(b"{}"), data: 0..2, account_at: None };
    store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap()[0].unwrap();
}

/// What the disk holds while the process still runs is what a kill leaves.
fn image_of(dir: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
    }
    image
}

fn log_of(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join(LOG)).unwrap()
}

/// What is left of a large transaction that nobody was told of.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// Killed before its last frame was written.
    AllButItsEnd,
    /// The power failed before its first frame was on the disk.
    AllButItsBeginning,
}

/// A store with three events, and behind them in the log what is left of a large transaction.
async fn cut_off_in_a_transaction(left: Left) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for _ in 0..3 {
        publish(&store).await;
    }
    let dir = image_of(dir.path());
    let before = log_of(dir.path()).len();
    let writer = Connection::open(dir.path().join("posthaste.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; CREATE TABLE filling (bytes BLOB)").unwrap();
    writer.execute_batch("INSERT INTO filling VALUES (randomblob(400000)); COMMIT").unwrap();
    let image = image_of(dir.path());
    let mut log = log_of(image.path());
    let (commit, last) = last_commit(&log);
    assert!(commit.start == before && commit.len() > 40 * FRAME_BYTES);
    match left {
        Left::AllButItsEnd => log.truncate(last),
        Left::AllButItsBeginning => take_back(&mut log, &[], before..before + FRAME_BYTES),
    }
    std::fs::write(image.path().join(LOG), &log).unwrap();
    image
}

/// Where the last commit of a log lies, and where its last frame does.
fn last_commit(log: &[u8]) -> (Range<usize>, usize) {
    let salts = &log[16..24];
    let mut ends = vec![LOG_HEADER_BYTES];
    for at in (LOG_HEADER_BYTES..log.len()).step_by(FRAME_BYTES) {
        let frame = &log[at..at + FRAME_BYTES];
        if frame[8..16] == *salts && frame[4..8] != [0; 4] {
            ends.push(at + FRAME_BYTES);
        }
    }
    let end = ends.pop().unwrap();
    (ends.pop().unwrap()..end, end - FRAME_BYTES)
}

/// Puts back what lay there before a part of a file was written, where the disk did not get that part.
fn take_back(log: &mut [u8], before: &[u8], part: Range<usize>) {
    for at in part {
        log[at] = before.get(at).copied().unwrap_or(0);
    }
}

async fn events_in(dir: &Path) -> Result<usize, OpenError> {
    Ok(open(dir)?.events_after(Seq(0), 99).await.unwrap().len())
}

#[tokio::test]
async fn a_commit_torn_in_front_of_what_an_older_one_left_does_not_make_the_log_look_damaged() {
    let mut tried = 0;
    for left in [Left::AllButItsEnd, Left::AllButItsBeginning] {
        let killed = cut_off_in_a_transaction(left).await;
        let before = log_of(killed.path());
        let store = open(killed.path()).unwrap();
        publish(&store).await;
        // How far the log is stands in it once that is synced: not before what the disk did not get.
        let lock = std::fs::read(killed.path().join(LOCK)).unwrap();
        publish(&store).await;
        let after = log_of(killed.path());
        let (commit, last) = last_commit(&after);
        for missing in [
            last + FRAME_HEADER_BYTES..last + FRAME_BYTES,
            last..last + FRAME_BYTES,
            last + 512..last + FRAME_BYTES,
            commit.start + FRAME_HEADER_BYTES..commit.start + FRAME_BYTES,
            commit,
        ] {
            let cut_off = image_of(killed.path());
            let mut log = after.clone();
            take_back(&mut log, &before, missing.clone());
            std::fs::write(cut_off.path().join(LOG), &log).unwrap();
            std::fs::write(cut_off.path().join(LOCK), &lock).unwrap();
            let report = verify(cut_off.path(), None).unwrap();
            assert!(report.problems.is_empty(), "{report:?}");
            snapshot(cut_off.path(), &cut_off.path().join("copy"), NOW).unwrap();
            assert_eq!(events_in(cut_off.path()).await.unwrap(), 4, "{left:?}, then {missing:?}");
            tried += 1;
        }
    }
    println!("counted | power failures | torn commits in front of what an older one left | {tried}");
}

#[tokio::test]
async fn the_first_start_of_a_copy_leaves_no_journal() {
    let (dir, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    publish(&store).await;
    store.backup(&restored.path().join("posthaste.db"), NOW).await.unwrap();
    std::fs::copy(dir.path().join("master.key"), restored.path().join("master.key")).unwrap();
    // No journal is there, and none can be made: a start that needed one would fail.
    std::os::unix::fs::symlink("nowhere/at/all", restored.path().join("posthaste.db-journal")).unwrap();
    for _ in 0..2 {
        assert_eq!(events_in(restored.path()).await.unwrap(), 1);
    }
}

/// The journal of a first start that was killed before it was of use: SQLite leaves it alone, but its name must not outlive
/// the next start, whose store it does not fit.
#[tokio::test]
async fn what_is_left_of_a_first_start_that_was_cut_off_goes_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let first_page = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;
                      PRAGMA user_version = 1; PRAGMA user_version = 0";
    Connection::open(dir.path().join("posthaste.db")).unwrap().execute_batch(first_page).unwrap();
    std::fs::write(dir.path().join("master.key"), "11".repeat(32)).unwrap();
    let mut journal = vec![0; 512];
    journal[19] = 1;
    journal[20..24].copy_from_slice(&512_u32.to_be_bytes());
    journal[24..28].copy_from_slice(&8192_u32.to_be_bytes());
    std::fs::write(dir.path().join("posthaste.db-journal"), journal).unwrap();
    let store = open(dir.path()).unwrap();
    publish(&store).await;
    let image = image_of(dir.path());
    assert!(!image.path().join("posthaste.db-journal").exists());
    assert_eq!(events_in(image.path()).await.unwrap(), 1);
}

/// A copy of what is left when the log ends early would pass for a whole store.
#[tokio::test]
async fn nothing_is_copied_of_a_store_whose_log_is_damaged_or_anothers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for _ in 0..3 {
        publish(&store).await;
    }
    let (damaged, set_back) = (image_of(dir.path()), image_of(dir.path()));
    let mut log = log_of(damaged.path());
    let (commit, _) = last_commit(&log);
    log[commit.start - 1] ^= 1;
    std::fs::write(damaged.path().join(LOG), &log).unwrap();
    store.close().await;
    drop(store);
    drop(open(dir.path()).unwrap());
    std::fs::copy(dir.path().join("posthaste.db"), set_back.path().join("posthaste.db")).unwrap();
    for (image, why) in [(damaged, "is damaged"), (set_back, "is older than the database")] {
        let copy = image.path().join("copy");
        for refused in [
            snapshot(image.path(), &copy, NOW).map(drop),
            verify(image.path(), None).map(drop),
            open(image.path()).map(drop),
        ] {
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("posthaste.db-wal") && said.contains(why), "{said}");
        }
        assert!(!copy.exists());
    }
    let held = tempfile::tempdir().unwrap();
    let store = open(held.path()).unwrap();
    publish(&store).await;
    snapshot(held.path(), &held.path().join("copy"), NOW).unwrap();
    store.close().await;
}
