use std::path::PathBuf;
use std::sync::Arc;

use posthaste_core::{Clock, UnixMs};
use rusqlite::config::DbConfig;

use super::*;
use crate::embedded::Embedded;
use crate::ledger::restored;
use crate::{NewAccount, Options, Store as _};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        UnixMs(1_800_000_000_000)
    }
}

const PAGE_BYTES: usize = 8192;
const FILES: [&str; 4] = ["posthaste.db", "posthaste.db-wal", LOCK_FILE, "master.key"];

fn open_store(data: &Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(data, None, Options::default(), Arc::new(Fixed))
}

async fn create(store: &Embedded, id: &str) {
    let new = NewAccount { id: id.to_owned(), name: None };
    store.create_account(new, Fixed.now().into()).await.unwrap();
}

/// What a kill leaves now.
fn kill(data: &Path, image: &Path) {
    std::fs::create_dir_all(image).unwrap();
    for name in FILES {
        std::fs::copy(data.join(name), image.join(name)).unwrap();
    }
}

fn log(image: &Path) -> PathBuf {
    image.join("posthaste.db-wal")
}

fn cut(image: &Path, bytes: u64) {
    File::options().write(true).open(log(image)).unwrap().set_len(bytes).unwrap();
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// What any program does that opens a database and closes it.
fn write_back(image: &Path) {
    let other = Connection::open(image.join("posthaste.db")).unwrap();
    other.query_row("SELECT count(*) FROM accounts", [], |_| Ok(())).unwrap();
    drop(other);
    assert!(!log(image).exists());
}

fn claim(image: &Path) -> Claim {
    let lock = std::fs::read(image.join(LOCK_FILE)).unwrap();
    Claim::opened(lock[AT as usize..][..NOTE_BYTES].try_into().unwrap(), &boot_id().unwrap()).unwrap()
}

/// Puts a copy, with its mark, in the place of a database, and removes the log.
fn put_copy(image: &Path) {
    let copy = Connection::open(image.join("posthaste.db")).unwrap();
    restored::mark(&copy, Fixed.now()).unwrap();
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    drop(copy);
}

/// What becomes of the files, and whether the store is refused then.
type Way = (&'static str, fn(&Path), bool);

const WAYS: &[Way] = &[
    ("nothing", |_| {}, false),
    ("the log is removed", |image| std::fs::remove_file(log(image)).unwrap(), true),
    ("the log is emptied", |image| cut(image, 0), true),
    ("the log is its header", |image| cut(image, 32), true),
    (
        "the log is cut by a page",
        |image| cut(image, log(image).metadata().unwrap().len() - (24 + PAGE_BYTES as u64)),
        true,
    ),
    ("the log is cut in its last page", |image| cut(image, log(image).metadata().unwrap().len() - 1), true),
    (
        "the log is an older one",
        |image| _ = std::fs::copy(log(&image.with_extension("older")), log(image)).unwrap(),
        true,
    ),
    ("the log is written back by another program", write_back, false),
    (
        "the log is written back by another program, and a log of before put there",
        |image| {
            write_back(image);
            std::fs::copy(log(&image.with_extension("older")), log(image)).unwrap();
        },
        true,
    ),
    (
        "the log is removed and the last page is not the one it was",
        |image| {
            write_back(image);
            let page = claim(image).page_number as usize;
            flip(&image.join("posthaste.db"), page * PAGE_BYTES - 1);
        },
        true,
    ),
    ("a backup is put back", put_copy, false),
    (
        "the log and the lock are removed",
        |image| {
            std::fs::remove_file(log(image)).unwrap();
            std::fs::remove_file(image.join(LOCK_FILE)).unwrap();
        },
        false,
    ),
    (
        "the log is removed, and the machine was started again",
        |image| {
            let note = claim(image).sealed(b"another time");
            let lock = File::options().write(true).open(image.join(LOCK_FILE)).unwrap();
            lock.write_all_at(&note, AT).unwrap();
            std::fs::remove_file(log(image)).unwrap();
        },
        false,
    ),
    (
        "another log is begun, and has no commit yet",
        |image| {
            let other = Connection::open(image.join("posthaste.db")).unwrap();
            other.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
            other.execute_batch("PRAGMA wal_checkpoint(PASSIVE); UPDATE meta SET value = value").unwrap();
            drop(other);
            cut(image, 32);
        },
        false,
    ),
    (
        "the log is removed and the note is damaged",
        |image| {
            std::fs::remove_file(log(image)).unwrap();
            flip(&image.join(LOCK_FILE), AT as usize + 3);
        },
        false,
    ),
];

#[tokio::test]
async fn a_log_that_is_not_all_there_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = open_store(&data).unwrap();
    create(&store, "first").await;
    kill(&data, &dir.path().join("older"));
    store.close().await;
    drop(store);
    // As an earlier version made it.
    File::options().write(true).open(data.join(LOCK_FILE)).unwrap().set_len(23).unwrap();
    let store = open_store(&data).unwrap();
    for id in ["a", "b", "c"] {
        create(&store, id).await;
    }
    for (what, change, is_refused) in WAYS {
        let image = dir.path().join("image");
        for name in ["image", "image.older"] {
            let _ = std::fs::remove_dir_all(dir.path().join(name));
        }
        kill(&data, &image);
        kill(&dir.path().join("older"), &dir.path().join("image.older"));
        change(&image);
        for _ in 0..2 {
            let opened = open_store(&image);
            assert_eq!(opened.as_ref().err().is_some(), *is_refused, "{what}: {:?}", opened.err());
        }
    }
    println!("counted | store | states of a log that a note is compared with | {}", WAYS.len());
}

/// After each answer of lives that empty the log at their end, a kill leaves what opens.
#[tokio::test]
async fn no_kill_leaves_a_claim_without_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut taken = 0;
    for round in 0..3 {
        let store = open_store(&data).unwrap();
        for no in 0..4 {
            create(&store, &format!("a{round}-{no}")).await;
            let image = dir.path().join(format!("image-{taken}"));
            kill(&data, &image);
            drop(open_store(&image).unwrap());
            drop(open_store(&image).unwrap());
            taken += 1;
        }
        store.close().await;
        drop(store);
    }
    assert_eq!(taken, 12);
}

/// The mark of a copy excuses the log of a store before that is not there, but not its own.
#[tokio::test]
async fn a_copys_own_log_that_was_cut_or_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let store = open_store(&data).unwrap();
    create(&store, "before").await;
    store.close().await;
    drop(store);
    put_copy(&data);
    let store = open_store(&data).unwrap();
    for id in ["a", "b", "c"] {
        create(&store, id).await;
    }
    let image = dir.path().join("image");
    kill(&data, &image);
    let reader = Connection::open(image.join("posthaste.db")).unwrap();
    reader.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    assert!(restored::copied_at(&reader).unwrap().is_some(), "it is no copy any more");
    drop(reader);
    for (cut_bytes, why) in [(1, "at its end are missing"), (u64::MAX, "it is gone or empty")] {
        let killed = image.clone();
        let image = dir.path().join(why);
        kill(&killed, &image);
        cut(&image, log(&image).metadata().unwrap().len().saturating_sub(cut_bytes));
        let refused = open_store(&image).err().map(|why| why.to_string()).unwrap_or_default();
        assert!(refused.contains(why), "{refused}");
        std::fs::remove_file(log(&image)).unwrap();
        assert!(open_store(&image).is_err(), "its log is gone");
    }
}
