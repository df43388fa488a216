use std::fs::File;

use rusqlite::ffi;

use super::*;
use crate::embedded::opening;
use crate::folder::Folder;
use crate::log_file;
use crate::log_note::Claim;
use crate::sealing::MasterKey;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> posthaste_core::UnixMs {
        posthaste_core::UnixMs(0)
    }
}

fn writer(folder: &Folder) -> Writer {
    let keys = MasterKey::from_bytes([1; 32]).into();
    let opening::Opened { ledger, owed, .. } = opening::open(folder, &keys, Fixed.now()).unwrap();
    let status = Arc::<Status>::default();
    let own_files = OwnFiles::of(folder, ledger.conn()).unwrap();
    let note = LogNote::of(folder, ledger.conn()).unwrap();
    Writer {
        ledger,
        note,
        write_back: WriteBack::start(&folder.database(), status.clone()).unwrap(),
        queue: mpsc::channel(1).1,
        memory: Arc::new(Memory::new(owed.webhooks)),
        status,
        listener: Arc::default(),
        clock: Arc::new(Fixed),
        room: Arc::new(Room::of(folder.path().to_owned()).unwrap()),
        key_file: None,
        own_files,
        tries: 0,
        gone_on_at: None,
        room_seen_to: None,
    }
}

/// Writes more than the connection keeps in memory, and finds no room for the rest.
fn without_room(ledger: &mut Ledger) -> (Reply, Outcome<()>) {
    let sql = "PRAGMA cache_size = 1; CREATE TABLE filling (bytes BLOB);
               INSERT INTO filling VALUES (randomblob(400000))";
    ledger.conn().execute_batch(sql).unwrap();
    let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
    (Reply::new(None, || ()), Err(full.into()))
}

#[test]
fn what_was_written_of_a_transaction_without_room_does_not_stay_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let log = log_file::log_of(&folder.database());
    let mut writer = writer(&folder);
    let whole = std::fs::read(&log).unwrap();
    for _ in 0..2 {
        writer.commit(vec![Box::new(without_room)]).unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), whole);
    }
    // A log that was begun anew by nothing but that transaction has no frame.
    assert!(write_back::empty(writer.ledger.conn()).unwrap());
    writer.commit(vec![Box::new(without_room)]).unwrap();
    assert_eq!(log.metadata().unwrap().len(), 32);
    writer.commit(vec![Box::new(|_| (Reply::new(None, || ()), Ok(())))]).unwrap();
    assert_eq!(log_file::refuse_damaged(&log).unwrap(), Some(log.metadata().unwrap().len()));
}

/// Of a log that is cut nothing may be claimed, whatever stood in it.
#[test]
fn a_log_that_a_transaction_without_room_began_anew_and_that_is_cut_is_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let mut writer = writer(&folder);
    folder.remember_store().unwrap();
    let mut made = 0;
    let mut fill = |writer: &mut Writer| {
        made += 1;
        let sql = format!("CREATE TABLE made_{made} (x)");
        writer.commit(vec![Box::new(move |ledger| {
            (Reply::new(None, || ()), ledger.conn().execute_batch(&sql).map_err(Trouble::from))
        })])
    };
    let missing = || Claim::of(&folder.database()).unwrap().missing(&folder.database(), log_end(&folder));
    fill(&mut writer).unwrap();
    assert_eq!(missing(), None);
    // All of it is in the file: the next transaction begins the log anew.
    writer.ledger.conn().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    writer.commit(vec![Box::new(without_room)]).unwrap();
    assert_eq!(log_end(&folder), Some(32));
    assert_eq!(missing(), None);
    fill(&mut writer).unwrap();
    assert_eq!(missing(), None);
    File::options().write(true).open(log_file::log_of(&folder.database())).unwrap().set_len(32).unwrap();
    assert!(missing().is_some());
}

fn log_end(folder: &Folder) -> Option<u64> {
    log_file::refuse_damaged(&log_file::log_of(&folder.database())).unwrap()
}
