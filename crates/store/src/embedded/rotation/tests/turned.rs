//! What becomes of rows under a key that nobody expects any more.

use std::time::Duration;

use super::*;
use crate::{ChangeFilter, Seals};
use posthaste_core::Action;

/// The longest wait for a rotation.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

fn both(current: u8, former: u8) -> MasterKeys {
    MasterKeys::succeeding(key(current), key(former))
}

/// A full store under key 1, a rotation to key 2 cut off after some steps.
fn half_way() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let mut ledger = opening::open(&folder, &key(1).into(), NOW).unwrap().ledger;
    committed(&mut ledger, populate);
    committed(&mut ledger, |ledger| ledger.begin_rotation(both(2, 1), &By::from(NOW))).unwrap();
    steps(&mut ledger, 2);
    dir
}

fn steps(ledger: &mut Ledger, count: usize) {
    (0..count).for_each(|_| committed(ledger, Ledger::reseal_step).unwrap());
}

fn open_with(dir: &Path, keys: MasterKeys) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, Some(keys), Options::default(), Arc::new(Fixed))
}

/// Asks until the seals are as expected; the count and what holds a rotation up are not told at the same moment.
async fn seals_once(store: &Embedded, is_it: impl Fn(&Seals) -> bool) -> Seals {
    let asking = async {
        loop {
            let seals = store.seals().await.unwrap();
            assert_eq!(store.health(), Ok(()));
            if is_it(&seals) {
                return seals;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

async fn settled(store: &Embedded) -> Seals {
    seals_once(store, |seals| seals.rotation.is_none()).await
}

/// To 2, cut off; back to 1, cut off; and so on: there are always rows under both.
#[tokio::test]
async fn turned_back_and_cut_off_it_still_needs_both_keys() {
    let dir = half_way();
    let mut refused = 0;
    for turn in 0_u8..6 {
        let (current, former) = if turn % 2 == 0 { (1, 2) } else { (2, 1) };
        let folder = Folder::open(dir.path()).unwrap();
        let mut ledger = opening::open(&folder, &both(current, former), NOW).unwrap().ledger;
        steps(&mut ledger, usize::from(turn % 3));
        drop((ledger, folder));
        for alone in [1, 2] {
            let opened = open_with(dir.path(), key(alone).into());
            assert!(matches!(opened, Err(OpenError::KeyOfRotationMissing(_))), "turn {turn}, key {alone}");
            refused += 1;
        }
    }
    let store = open_with(dir.path(), both(1, 2)).unwrap();
    let seals = settled(&store).await;
    assert_eq!((seals.key_id, seals.unopened), (key(1).id(), 0));
    store.close().await;
    drop(store);
    KeyFile::of(dir.path()).replace(&key(1).into()).unwrap();
    assert_whole(dir.path(), "turned back again and again").await;
    println!("counted | secrets | openings with one key of a turned rotation refused | {refused}");
}

/// Each turn is told once, by the system if nobody asked for it, and going on is none.
#[tokio::test]
async fn each_turn_is_told_once() {
    let dir = half_way();
    for (current, former, turns) in [(2, 1, 1), (1, 2, 2), (1, 2, 2), (2, 1, 3)] {
        let folder = Folder::open(dir.path()).unwrap();
        drop(opening::open(&folder, &both(current, former), NOW).unwrap());
        drop(folder);
        let conn = opening::open_reader(&dir.path().join("posthaste.db")).unwrap();
        let filter = ChangeFilter { action: Some(Action::SecretsRotated), ..ChangeFilter::default() };
        let told = crate::ledger::audit::list(&conn, &filter, None, 9).unwrap().items;
        assert_eq!(told.len(), turns);
        let id = key(current).id();
        assert_eq!((told[0].by.actor.kind(), told[0].by.object.as_deref()), ("system", Some(id.as_str())));
    }
}

/// Marks that name one key, though rows are under another: what a version before left, or somebody made by hand.
fn settle_by_hand(dir: &Path) {
    let conn = rusqlite::Connection::open(dir.join("posthaste.db")).unwrap();
    conn.execute_batch("DELETE FROM meta WHERE key IN ('next_key_check', 'rotation_since_ms')").unwrap();
    // The roster is opened at the start, so rows of webhooks would be seen there.
    conn.execute_batch("UPDATE webhooks SET deleted_ms = 1, deleted_seq = 0; DELETE FROM standings").unwrap();
    let own = key(2).check_value();
    conn.execute("UPDATE meta SET value = ?1 WHERE key = 'key_check'", [&own[..]]).unwrap();
}

fn parts(dir: &Path) -> Vec<String> {
    let conn = opening::open_reader(&dir.join("posthaste.db")).unwrap();
    let mut statement =
        conn.prepare("SELECT key FROM meta WHERE key LIKE 'key_part %' ORDER BY key").unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.map(|name| name.unwrap().trim_start_matches("key_part ").to_owned()).collect()
}

#[tokio::test]
async fn rows_under_a_third_key_keep_its_part_and_are_shown() {
    let dir = half_way();
    settle_by_hand(dir.path());
    let store = open_with(dir.path(), key(2).into()).unwrap();
    let before = store.seals().await.unwrap();
    assert!(before.unopened > 100 && before.rotation.is_none(), "{before:?}");
    store.close().await;
    drop(store);
    let store = open_with(dir.path(), both(3, 2)).unwrap();
    let seals = settled(&store).await;
    assert_eq!((seals.unopened, &seals.key_id), (before.unopened, &key(3).id()));
    store.close().await;
    drop(store);
    let mut kept = vec![key(1).id(), key(3).id()];
    kept.sort();
    assert_eq!(parts(dir.path()), kept, "the part of the key that rows are under stays");
    // With that key beside the own one they open again.
    let store = open_with(dir.path(), both(3, 1)).unwrap();
    let seals = settled(&store).await;
    assert_eq!(seals.unopened, 0);
    for at in (0..KEYS).filter(|at| at % 3 > 0) {
        let key = store.find_key(&key_text(at)).await.unwrap().unwrap();
        assert!(key.signing_secret == Some(webhook_secret(at)), "key {at}");
    }
    store.close().await;
    drop(store);
    assert_eq!(parts(dir.path()), [key(3).id()]);
}

#[tokio::test]
async fn a_damaged_row_under_the_former_key_keeps_both_keys() {
    let dir = half_way();
    let conn = rusqlite::Connection::open(dir.path().join("posthaste.db")).unwrap();
    let damage = "UPDATE keys SET signing_secret = CAST(substr(signing_secret, 1, 30) || x'00' AS BLOB) WHERE id = 'key_1'";
    assert_eq!(conn.execute(damage, []).unwrap(), 1);
    drop(conn);
    let store = open_with(dir.path(), both(2, 1)).unwrap();
    let left = |seals: &Seals| seals.rotation.as_ref().expect("it does not end").sealed_under_former;
    let held_up = seals_once(&store, |seals| left(seals) == 1 && seals.held_up_by.is_some()).await;
    assert_eq!(held_up.unopened, 1);
    let again = store.rotate_master_key(NOW.into()).await;
    assert!(again.is_err());
    store.close().await;
    drop(store);
    assert_eq!(parts(dir.path()).len(), 2);
    assert!(matches!(open_with(dir.path(), key(2).into()), Err(OpenError::KeyOfRotationMissing(_))));
    // What was damaged is gone, and so is what held it up.
    let conn = rusqlite::Connection::open(dir.path().join("posthaste.db")).unwrap();
    conn.execute("DELETE FROM keys WHERE id = 'key_1'", []).unwrap();
    drop(conn);
    let store = open_with(dir.path(), both(2, 1)).unwrap();
    assert_eq!(settled(&store).await.unopened, 0);
    store.close().await;
}

/// Somebody puts a file back while a rotation goes on, before its end and while a reader keeps the log.
#[tokio::test]
async fn whatever_lies_in_the_key_file_the_key_that_sealed_is_in_it_at_the_end() {
    let mut endings = 0;
    for put in ["the former", "nothing", "junk", "another"] {
        for is_late in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::open(dir.path()).unwrap();
            let own = folder.master_keys(None).unwrap();
            let mut ledger = opening::open(&folder, &own, NOW).unwrap().ledger;
            committed(&mut ledger, populate);
            drop((ledger, folder));
            let file = dir.path().join("master.key");
            let former = std::fs::read_to_string(&file).unwrap();
            let meddle = move || match put {
                "the former" => std::fs::write(&file, &former),
                "nothing" => std::fs::remove_file(&file),
                "junk" => std::fs::write(&file, "junk"),
                _ => std::fs::write(&file, "ee".repeat(32)),
            };
            let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
            let reader = is_late.then(|| {
                let reader = opening::open_reader(&dir.path().join("posthaste.db")).unwrap();
                reader.execute_batch("BEGIN; SELECT count(*) FROM webhooks").unwrap();
                reader
            });
            if is_late {
                store.rotate_master_key(NOW.into()).await.unwrap();
                while store.seals().await.unwrap().rotation.unwrap().sealed_under_former > 0 {}
                meddle().unwrap();
            } else {
                // In the transaction that begins it, so that no step comes before.
                rotate_and(&store, meddle).await;
            }
            drop(reader);
            settled(&store).await;
            store.close().await;
            drop(store);
            assert_whole(dir.path(), &format!("{put}, late: {is_late}")).await;
            endings += 1;
        }
    }
    println!("counted | secrets | key files changed under a rotation | {endings}");
}

async fn rotate_and(store: &Embedded, then: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
    let file = store.key_file.clone().unwrap();
    let begun = store.write_rows(1, move |ledger| {
        let both = MasterKeys::succeeding(MasterKey::random()?, file.read().unwrap().current);
        file.replace(&both).unwrap();
        ledger.begin_rotation(both, &By::from(NOW))?;
        then().unwrap();
        Ok(())
    });
    begun.await.unwrap();
}

/// The former key stays where it is until it can be taken out, and that is told.
#[tokio::test]
async fn a_key_file_that_cannot_be_written_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
    let beside = dir.path().join("master.key.new");
    let blocking = beside.clone();
    // A folder in the place of the file that is written first.
    rotate_and(&store, move || std::fs::create_dir_all(blocking.join("full"))).await;
    let held_up = seals_once(&store, |seals| seals.held_up_by.is_some()).await;
    assert!(held_up.rotation.is_some());
    let why = held_up.held_up_by.unwrap();
    assert!(why.contains("master.key"), "{why}");
    assert_eq!(KeyFile::of(dir.path()).read().unwrap().all().count(), 2);
    std::fs::remove_dir_all(beside).unwrap();
    let seals = settled(&store).await;
    assert_eq!(seals.held_up_by, None);
    assert_eq!(KeyFile::of(dir.path()).read().unwrap().all().count(), 1);
    store.close().await;
}

/// While somebody reads, the writer waits for commands, not for the reader.
#[tokio::test]
async fn a_reader_that_keeps_the_log_holds_up_no_write() {
    const WRITES: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
    let reader = opening::open_reader(&dir.path().join("posthaste.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM webhooks").unwrap();
    store.rotate_master_key(NOW.into()).await.unwrap();
    for at in 0..WRITES {
        let new = NewAccount { id: format!("a{at}"), name: None };
        store.create_account(new, NOW.into()).await.unwrap();
    }
    assert!(store.seals().await.unwrap().rotation.is_some());
    drop(reader);
    settled(&store).await;
    store.close().await;
}
