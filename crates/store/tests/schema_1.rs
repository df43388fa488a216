//! A store as the first version wrote it is taken over: what a binary of that version made lies in `schema_1/`, with the
//! keys and secrets that its API showed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::path::Path;
use std::sync::Arc;

use posthaste_core::{Clock, Secret, Seq, UnixMs};
use posthaste_store::{Embedded, MasterKeys, OpenError, Options, Store, verify};
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const TABLES: &str = include_str!("schema_1/store.sql");
const MASTER_KEY: &str = include_str!("schema_1/master.key");
/// A key and what it signs with, or `-`.
const KEYS: &str = include_str!("schema_1/keys.txt");
/// A webhook's id, its secret, and its former one or `-`.
const WEBHOOKS: &str = include_str!("schema_1/webhooks.txt");

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn secret(word: &str) -> Option<Secret> {
    (word != "-").then(|| Secret::from(word.to_owned()))
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// As the first version left its folder.
fn first_version() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("posthaste.db")).unwrap();
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA application_id = 0x506f7374; PRAGMA user_version = 1;",
    )
    .unwrap();
    conn.execute_batch(TABLES).unwrap();
    std::fs::write(dir.path().join("master.key"), MASTER_KEY).unwrap();
    dir
}

fn open(dir: &Path, keys: Option<MasterKeys>) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, keys, Options::default(), Arc::new(Fixed))
}

async fn settled(store: &Embedded) {
    while store.seals().await.unwrap().rotation.is_some() {
        assert_eq!(store.health(), Ok(()));
    }
}

/// Everything that the first version stored is there. Answers how many secrets that were.
async fn assert_whole(store: &Embedded) -> usize {
    let account = store.account("acme").await.unwrap().unwrap().no;
    let mut opened = 0;
    for key in KEYS.lines().map(words) {
        let found = store.find_key(&Secret::from(key[0].to_owned())).await.unwrap().unwrap();
        assert!(found.signing_secret == secret(key[1]), "{}", found.id);
        opened += usize::from(found.signing_secret.is_some());
    }
    for webhook in WEBHOOKS.lines().map(words) {
        let found = store.webhook(account, None, webhook[0]).await.unwrap().unwrap();
        assert!(Some(&found.secrets.current) == secret(webhook[1]).as_ref(), "{}", found.id);
        let former: Vec<_> = found.secrets.previous.iter().map(|(former, _)| former.clone()).collect();
        assert!(former == Vec::from_iter(secret(webhook[2])), "{}", found.id);
        assert!(!store.deliveries(found.no, None, 9).await.unwrap().items.is_empty());
        opened += 1 + former.len();
    }
    assert_eq!(store.events_after(Seq(0), 99).await.unwrap().len(), 5);
    opened
}

#[tokio::test]
async fn a_store_of_the_first_version_is_taken_over_whole() {
    let dir = first_version();
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new(), "as it is");
    let store = open(dir.path(), None).unwrap();
    let opened = assert_whole(&store).await;
    let before = store.seals().await.unwrap();
    assert_eq!((before.unopened, before.rotation), (0, None));
    for _ in 0..2 {
        store.rotate_master_key(NOW.into()).await.unwrap();
        settled(&store).await;
        assert_eq!(assert_whole(&store).await, opened);
    }
    let after = store.seals().await.unwrap();
    assert_eq!((after.sealed, after.unopened), (before.sealed, 0));
    store.close().await;
    drop(store);
    assert_eq!(verify(dir.path(), None).unwrap().problems, Vec::<String>::new());
    println!("counted | secrets | secrets of the first version that open after two rotations | {opened}");
}

/// The first start of this version is one with two keys, and is cut off before it sealed anything anew.
#[tokio::test]
async fn a_rotation_at_the_first_start_may_be_cut_off() {
    let former = || MasterKeys::from_text(MASTER_KEY).unwrap();
    let both = || MasterKeys::from_text(&format!("{},{MASTER_KEY}", "cd".repeat(32))).unwrap();
    let (dir, cut_off) = (first_version(), tempfile::tempdir().unwrap());
    let store = open(dir.path(), Some(both())).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), cut_off.path().join(entry.file_name())).unwrap();
    }
    drop(store);
    match open(cut_off.path(), Some(former())) {
        Err(OpenError::KeyOfRotationMissing(_)) => {}
        // It was over by then.
        Err(OpenError::WrongKey(_)) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the former key alone opens it"),
    }
    let store = open(cut_off.path(), Some(both())).unwrap();
    settled(&store).await;
    assert_whole(&store).await;
    store.close().await;
}
