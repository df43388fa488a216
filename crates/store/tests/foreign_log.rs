//! The log of one time beside the database of another, cut behind each of its commits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{Audience, Clock, EventBody, UnixMs};
use posthaste_store::{Embedded, EventDraft, OpenError, Options, Store, snapshot};

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed))
}

async fn publish(store: &Embedded, count: usize) {
    for _ in 0..count {
        let draft = EventDraft {
            audience: Audience::Broadcast,
            event_type: "a.b".into(),
            send_at: None,
            idempotency: None,
            ordering_key: None,
            reading: None,
            test_by: None,
        };
        let body = || EventBody { bytes: Bytes::from(vec![b'1'; 3_000]), data: 0..3_000, account_at: None };
        store.publish(vec![draft], &|_, _, _| body(), NOW).await.unwrap()[0].as_ref().unwrap();
    }
}

/// Where each commit of a log ends, in bytes.
fn commits(log: &[u8]) -> Vec<usize> {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame_bytes = FRAME_HEADER_BYTES + usize::try_from(number(8)).unwrap();
    let ends = (LOG_HEADER_BYTES..log.len()).step_by(frame_bytes);
    ends.filter(|begin| number(begin + 4) != 0).map(|begin| begin + frame_bytes).collect()
}

/// A log and how the process before it ended.
async fn log_after(data: &Path, is_orderly: bool, published: usize) -> Vec<u8> {
    let before = open(data).unwrap();
    publish(&before, 3).await;
    if is_orderly {
        before.close().await;
    }
    drop(before);
    drop(open(data).unwrap());
    let store = open(data).unwrap();
    publish(&store, published).await;
    let log = std::fs::read(data.join("posthaste.db-wal")).unwrap();
    store.close().await;
    log
}

#[tokio::test]
async fn no_commit_of_a_log_is_taken_into_a_backup_that_was_put_in_the_place_of_its_database() {
    let mut tried = 0;
    for (is_orderly, published) in [(true, 0), (true, 3), (false, 0), (false, 3)] {
        let dir = tempfile::tempdir().unwrap();
        let (data, backup) = (dir.path().join("data"), dir.path().join("backup.db"));
        publish(&open(&data).unwrap(), 20).await;
        snapshot(&data, &backup, NOW).unwrap();
        let log = log_after(&data, is_orderly, published).await;
        for end in commits(&log) {
            let restored = dir.path().join("restored");
            std::fs::create_dir(&restored).unwrap();
            for kept in ["master.key", "posthaste.lock"] {
                std::fs::copy(data.join(kept), restored.join(kept)).unwrap();
            }
            std::fs::copy(&backup, restored.join("posthaste.db")).unwrap();
            std::fs::write(restored.join("posthaste.db-wal"), &log[..end]).unwrap();
            let refused = open(&restored).err();
            let what = format!("{end} of {} bytes, after an orderly end: {is_orderly}", log.len());
            assert!(refused.is_some_and(|why| why.to_string().contains("posthaste.db-wal")), "{what}");
            std::fs::remove_dir_all(&restored).unwrap();
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried}");
    println!("counted | store | logs of another time beside a backup, cut behind each commit | {tried}");
}
