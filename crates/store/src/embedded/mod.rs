//! The store in the data folder: SQLite, one thread that writes, a few connections that read.

mod leftovers;
pub(crate) mod opening;
mod own_files;
mod readers;
mod replies;
mod rest;
mod room;
mod rotation;
mod settling;
mod status;
mod verbs;
mod write_back;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use posthaste_core::{Clock, EventBody, Seq, UnixMs};
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::change::{EventDraft, Published};
use crate::damage::Damage;
use crate::error::{Refusal, StoreError};
use crate::folder::{Folder, KeyFile, OpenError};
use crate::ledger::trouble::{Outcome, Trouble};
use crate::ledger::{Ledger, events};
use crate::log_note::LogNote;
use crate::memory::Memory;
use crate::sealing::{MasterKeys, Vault};
use crate::store::{Answer, Hint};
use own_files::OwnFiles;
use readers::Readers;
use replies::Reply;
use room::Room;
use status::Status;
use write_back::WriteBack;
use writer::{Command, Writer};

/// How many hints wait for a slow listener before further ones are dropped.
const HINTS_MAX: usize = 1_024;

/// Settings of the embedded store.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many reads run at one time.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4 }
    }
}

/// The embedded store. Dropping it stops the writer after what it is doing; [`crate::Store::close`] is the orderly end.
pub struct Embedded {
    queue: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The last place given to an event; locked while events are put into the queue, so that both orders agree.
    last_given: Mutex<Seq>,
    readers: Arc<Readers>,
    reader_count: usize,
    memory: Arc<Memory>,
    status: Arc<Status>,
    listener: Arc<Mutex<Option<mpsc::Sender<Hint>>>>,
    vault: Arc<Vault>,
    id_key: [u8; 16],
    clock: Arc<dyn Clock>,
    room: Arc<Room>,
    damage: Arc<Damage>,
    /// When the copy was made that this store was put back from, while nothing may be sent because of that.
    held_since: watch::Sender<Option<UnixMs>>,
    /// Held by the one read of the audit log that runs: those beyond wait here, not where requests need to read.
    audit_turn: Arc<Semaphore>,
    /// Open as long as the store is: closing it would take SQLite's locks away.
    _log_index: Option<std::fs::File>,
    /// Locked as long as the store is open.
    _folder: Folder,
    /// Where the master key lies, unless it was handed in.
    key_file: Option<KeyFile>,
}

impl Embedded {
    /// Opens the store in `dir`, or makes one. Without `given` the master key is the one in the folder, made with the
    /// store. With two keys everything is sealed under the first of them, beside other work. Blocks; meant for the start
    /// of the process.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way; then nothing was changed.
    pub fn open(
        dir: &Path,
        given: Option<MasterKeys>,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_where_there_is_room(dir, given, options, clock).map_err(|error| error.on_disk_of(dir))
    }

    fn open_where_there_is_room(
        dir: &Path,
        given: Option<MasterKeys>,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let folder = Folder::open(dir)?;
        own_files::refuse_second_name(&folder)?;
        let key_file = given.is_none().then(|| folder.key_file());
        let room = Arc::new(Room::of(folder.path().to_owned()).map_err(OpenError::io(dir))?);
        let keys = folder.master_keys(given)?;
        let opening::Opened { mut ledger, owed, id_key } = opening::open(&folder, &keys, clock.now())?;
        folder.remember_store()?;
        opening::resume_clock(&folder, &mut ledger, &*clock, write_back::begin_log_anew)?;
        let reader_count = options.readers.max(1);
        let readers = Readers::open(&folder.database(), reader_count)?;
        let (queue, waiting) = mpsc::channel(writer::WAITING_MAX);
        let (memory, status) = (Arc::new(Memory::new(owed.webhooks)), Arc::new(Status::default()));
        let listener = Arc::new(Mutex::new(None));
        let damage = Arc::new(Damage::default());
        owed.damaged.into_iter().for_each(|what| damage.note(what));
        let held_since = watch::Sender::new(ledger.held_since());
        let (last_given, vault) = (Mutex::new(ledger.last_event()), ledger.vault());
        let own_files = OwnFiles::of(&folder, ledger.conn())?;
        let mut note = LogNote::of(&folder, ledger.conn())?;
        let pages = write_back::pages_of(ledger.conn());
        note.write(pages.map_err(|error| OpenError::damaged(&folder.database(), error))?);
        let writer = Writer {
            ledger,
            note,
            write_back: WriteBack::start(&folder.database(), status.clone())?,
            queue: waiting,
            memory: memory.clone(),
            status: status.clone(),
            listener: listener.clone(),
            room: room.clone(),
            clock: clock.clone(),
            key_file: key_file.clone(),
            own_files,
            tries: 0,
            gone_on_at: None,
            room_seen_to: None,
        };
        let thread = std::thread::Builder::new()
            .name("posthaste-store".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io(dir))?;
        Ok(Arc::new(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            last_given,
            readers: Arc::new(readers),
            reader_count,
            memory,
            status,
            listener,
            vault,
            id_key,
            clock,
            room,
            damage,
            held_since,
            audit_turn: Arc::new(Semaphore::new(1)),
            _log_index: folder.reserve_log_index(),
            _folder: folder,
            key_file,
        }))
    }

    /// Is there a store in `dir`?
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        crate::folder::has_database(dir)
    }

    /// How many transactions were made durable since the store was opened.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.status.commits()
    }

    /// Hands a verb to the writer and waits until it is durable.
    async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Ledger) -> Outcome<T> + Send + 'static,
    ) -> Answer<T> {
        self.write_rows(1, |ledger| ledger.whole(verb)).await
    }

    /// As `write`, for verbs that never refuse after they have written.
    async fn write_rows<T: Send + 'static>(
        &self,
        rows: usize,
        verb: impl FnOnce(&mut Ledger) -> Outcome<T> + Send + 'static,
    ) -> Answer<T> {
        let (command, answer) = command(rows, verb);
        self.queue.send(command).await.map_err(|_| self.status.error())?;
        self.answer(answer).await
    }

    /// The writer answers everything it made durable; what it drops was not done, or nobody knows.
    async fn answer<T>(&self, answer: oneshot::Receiver<Answer<T>>) -> Answer<T> {
        answer.await.unwrap_or_else(|_| Err(self.status.error()))
    }

    async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Answer<T> {
        self.readers.read(verb).await
    }

    async fn publish_drafts(
        &self,
        drafts: Vec<EventDraft>,
        build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
        now: UnixMs,
    ) -> Answer<Vec<Result<Published, Refusal>>> {
        self.room.refuse_without()?;
        let turn = self.queue.reserve().await.map_err(|_| self.status.error())?;
        let answer = {
            let mut last = self.last_given.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = drafts.len();
            let steady = self.clock.mark().map_or(now, |mark| mark.at);
            let (numbered, new_last) = events::number(drafts, build, *last, now, steady);
            let (command, answer) = command(rows, move |ledger| ledger.publish(numbered));
            turn.send(command);
            *last = new_last;
            answer
        };
        self.answer(answer).await
    }

    /// Lets the writer finish what is queued and end.
    async fn shut(&self) {
        let used = self.memory.take_uses();
        if !used.is_empty() {
            // When a token was used is not worth a failure at the end.
            let _ = self.write_rows(1, move |ledger| ledger.note_uses(&used)).await;
        }
        let _ = self.queue.send(Command::Close).await;
        self.readers.close(self.reader_count).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The writer ends when nobody is left who could ask; the lock on the folder is let go only after that.
        self.queue = mpsc::channel(1).0;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of the store ended in disorder");
        }
    }
}

/// A verb as the writer takes it, and where its answer will come.
fn command<T: Send + 'static>(
    rows: usize,
    verb: impl FnOnce(&mut Ledger) -> Outcome<T> + Send + 'static,
) -> (Command, oneshot::Receiver<Answer<T>>) {
    let (sender, answer) = oneshot::channel();
    let home = Handle::try_current().ok();
    let verb: writer::Verb = Box::new(move |ledger| {
        // Caught here and not by the writer: unwinding through this closure would drop the sender, and the caller would
        // hear of the end before it is known to be a failure.
        let outcome = catch_unwind(AssertUnwindSafe(|| verb(ledger)));
        let outcome = outcome.unwrap_or(Err(Trouble::Broken("the writer met a fault of ours")));
        let (answer, outcome) = match outcome {
            Ok(value) => (Some(Ok(value)), Ok(())),
            Err(trouble) if trouble.is_fatal() => (None, Err(trouble)),
            Err(trouble) => (Some(Err(StoreError::from(trouble))), Ok(())),
        };
        // A caller that went away does not undo what it asked for.
        let reply = Reply::new(home, move || _ = answer.map(|answer| sender.send(answer)));
        (reply, outcome)
    });
    (Command::Write { verb, rows }, answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewAccount, Store};

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> UnixMs {
            UnixMs(1_800_000_000_000)
        }
    }

    fn open(dir: &Path) -> Arc<Embedded> {
        Embedded::open(dir, None, Options::default(), Arc::new(Fixed)).unwrap()
    }

    fn account(id: String) -> NewAccount {
        NewAccount { id, name: None }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_not_stored_and_what_comes_later_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let hold = store.write_rows(0, |ledger| {
            let pages: i64 = ledger.conn().query_row("PRAGMA page_count", [], |row| row.get(0))?;
            Ok(ledger.conn().execute_batch(&format!("PRAGMA max_page_count = {}", pages + 20))?)
        });
        hold.await.unwrap();
        let mut acknowledged = 0;
        let error = loop {
            match store.create_account(account(format!("{acknowledged:0>8000}")), UnixMs(0).into()).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::StorageFull), "{error}");
        assert_eq!(store.health(), Ok(()));
        assert!(store.room_for_results().is_err(), "no attempt may start");
        assert!(store.room_for_events().unwrap_err().starts_with("storage_full: "));
        let free = store
            .write_rows(0, |ledger| Ok(ledger.conn().execute_batch("PRAGMA max_page_count = 1000000")?));
        free.await.unwrap();
        until_there_is_room(&store).await;
        store.create_account(account("small".to_owned()), UnixMs(0).into()).await.unwrap();
        drop(store);
        let store = open(dir.path());
        assert_eq!(store.accounts(None, 99).await.unwrap().items.len(), acknowledged + 1);
    }

    async fn until_there_is_room(store: &Embedded) {
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while store.room_for_results().is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        in_time.await.unwrap();
    }

    #[tokio::test]
    async fn a_batch_too_large_for_the_cache_that_finds_no_room_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let full: Answer<()> = store
            .write_rows(1, |ledger| {
                let fill = "CREATE TABLE filling (bytes BLOB); PRAGMA max_page_count = 6000;
                            INSERT INTO filling VALUES (zeroblob(30000000)), (zeroblob(30000000));";
                Ok(ledger.conn().execute_batch(fill)?)
            })
            .await;
        assert!(matches!(full, Err(StoreError::StorageFull)));
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'filling'";
        let left: i64 = store.read(|conn| Ok(conn.query_row(tables, [], |row| row.get(0))?)).await.unwrap();
        assert_eq!(left, 0);
        store.delete_account("nobody", UnixMs(0).into()).await.unwrap_err();
        assert_eq!(store.health(), Ok(()));
    }

    #[tokio::test]
    async fn the_first_failed_write_is_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let failure = || {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None)
        };
        let failed: Answer<()> = store.write_rows(1, move |_| Err(failure().into())).await;
        assert!(matches!(failed, Err(StoreError::Failed(_))));
        assert!(store.health().is_err());
        let later = store.create_account(account("small".to_owned()), UnixMs(0).into()).await;
        assert!(matches!(later, Err(StoreError::Failed(_))));
        drop(store);
        assert_eq!(open(dir.path()).accounts(None, 9).await.unwrap().items.len(), 0);
    }

    #[tokio::test]
    async fn a_panic_in_the_writer_is_a_failure_that_everybody_sees() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let cut_off: Answer<()> = store.write(|_| panic!("a fault of ours")).await;
        assert!(matches!(cut_off, Err(StoreError::Failed(_))));
        assert!(store.health().is_err());
    }

    #[tokio::test]
    async fn a_verb_that_refuses_after_writing_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let refused: Answer<()> = store
            .write(|ledger| {
                ledger.create_account(account("a".to_owned()), &UnixMs(0).into())?;
                Err(Trouble::Refused(Refusal::WrongState))
            })
            .await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::WrongState))));
        assert_eq!(store.account("a").await.unwrap(), None);
        assert_eq!(store.health(), Ok(()));
    }
}
