//! The same store in memory, run by whoever calls: no threads, no waiting, no chance. For simulations and tests.

mod faults;
mod verbs;

pub use faults::CommitFault;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_core::{
    Account, AccountNo, ApiKey, By, Change, Clock, Delivery, DeliveryKey, Event, EventBody, KeyNo, Secret,
    Seq, Token, UnixMs, Webhook, WebhookNo,
};
use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::backup;
use crate::change::{
    AccountPatch, ChangeFilter, EventDraft, NewAccount, NewKey, NewToken, NewWebhook, Published, RecordBatch,
    Recovered, WebhookLimits, WebhookPatch, Window,
};
use crate::error::{Refusal, StoreError};
use crate::ledger::reseal::Left;
use crate::ledger::trouble::Outcome;
use crate::ledger::{
    self, Ledger, accounts, audit, deliveries, delivery_list, events, history, keys, master_keys, restored,
    schema, tokens, webhooks,
};
use crate::memory::Memory;
use crate::page::{DeliveryRow, EventsRead, PageCursor, PendingQuery, PendingRead, ReadRoom, Slice};
use crate::roster::Roster;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::seals::Seals;
use crate::store::{Answer, Hint, Owed};

/// Hints that wait to be taken; further ones are dropped, as they are everywhere.
const HINTS_MAX: usize = 65_536;

/// The store in memory. Each verb is the synchronous twin of the one of that name in [`crate::Store`].
pub struct Inline {
    core: Mutex<Core>,
    memory: Memory,
    vault: Arc<Vault>,
    id_key: [u8; 16],
}

struct Core {
    ledger: Ledger,
    hints: Vec<Hint>,
    listener: Option<mpsc::Sender<Hint>>,
    failure: Option<String>,
    /// How often the master key was rotated.
    rotations: u8,
    next_commit: Option<CommitFault>,
    is_almost_full: bool,
    clock: Option<Arc<dyn Clock>>,
}

impl Inline {
    /// A new, empty store whose public ids are made with `id_key`.
    ///
    /// # Errors
    /// Only if SQLite has no memory.
    pub fn open_in_memory(id_key: [u8; 16]) -> Answer<Self> {
        let open = || -> Outcome<Self> {
            let conn = Connection::open_in_memory()?;
            schema::prepare_any(&conn)?;
            Self::over(conn, id_key)
        };
        Ok(open()?)
    }

    /// The same store after its process died: what memory held is gone, what was committed is read again.
    ///
    /// # Errors
    /// If what was written cannot be read.
    pub fn reopened(self) -> Answer<Self> {
        let core = self.core.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (ledger, owed) = Ledger::load(core.ledger.into_conn(), self.vault.clone())?;
        let core = Core::new(ledger, core.rotations);
        Ok(Self {
            core: Mutex::new(core),
            memory: Memory::new(owed.webhooks),
            vault: self.vault,
            id_key: self.id_key,
        })
    }

    /// What became durable since the last call, in order.
    #[must_use]
    pub fn take_hints(&self) -> Vec<Hint> {
        std::mem::take(&mut self.core().hints)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, verb: impl FnOnce(&mut Ledger) -> Outcome<T>) -> Answer<T> {
        let mut core = self.core();
        if let Some(why) = &core.failure {
            return Err(StoreError::Failed(why.clone()));
        }
        let fault = core.next_commit.take();
        let clock = core.clock.clone();
        let written = write_one(&mut core.ledger, verb, fault, clock.as_deref());
        match written {
            Ok((outcome, effects)) => {
                let hints = self.memory.apply(effects);
                core.send(hints);
                Ok(outcome?)
            }
            Err(trouble) => {
                let error = StoreError::from(trouble);
                core.failure = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn read<T>(&self, verb: impl FnOnce(&Connection) -> Outcome<T>) -> Answer<T> {
        Ok(verb(self.core().ledger.conn())?)
    }
}

/// One verb in a transaction of its own. The outer error is one that ends the store.
fn write_one<T>(
    ledger: &mut Ledger,
    verb: impl FnOnce(&mut Ledger) -> Outcome<T>,
    fault: Option<CommitFault>,
    clock: Option<&dyn Clock>,
) -> Outcome<(Outcome<T>, ledger::Effects)> {
    ledger.begin()?;
    clock.map_or(Ok(()), |clock| ledger.look_at_clock(clock))?;
    let outcome = match ledger.whole(verb) {
        Err(trouble) if trouble.is_fatal() => return Err(trouble),
        outcome => outcome,
    };
    match fault {
        None => Ok((outcome, ledger.commit()?)),
        Some(fault) => Ok((outcome, faults::fail_commit(ledger, fault)?)),
    }
}

impl Core {
    fn send(&mut self, hints: Vec<Hint>) {
        match &self.listener {
            Some(listener) => hints.into_iter().for_each(|hint| _ = listener.try_send(hint)),
            None => {
                self.hints.extend(hints);
                self.hints.truncate(HINTS_MAX);
            }
        }
    }
}

/// The verbs, as [`crate::Store`] describes them.
#[expect(missing_docs, reason = "each says what its namesake in the trait says")]
#[expect(clippy::missing_errors_doc, reason = "each says what its namesake in the trait says")]
impl Inline {
    pub fn create_account(&self, new: NewAccount, by: impl Into<By>) -> Answer<Account> {
        self.write(|ledger| ledger.create_account(new, &by.into()))
    }

    pub fn update_account(&self, id: &str, patch: AccountPatch, by: impl Into<By>) -> Answer<Account> {
        self.write(|ledger| ledger.update_account(id, patch, &by.into()))
    }

    pub fn delete_account(&self, id: &str, by: impl Into<By>) -> Answer<()> {
        self.write(|ledger| ledger.delete_account(id, &by.into()))
    }

    pub fn account(&self, id: &str) -> Answer<Option<Account>> {
        self.read(|conn| accounts::by_id(conn, id))
    }

    pub fn accounts(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Account>> {
        self.read(|conn| accounts::list(conn, from, limit))
    }

    pub fn create_key(&self, new: NewKey, by: impl Into<By>) -> Answer<ApiKey> {
        self.write(|ledger| ledger.create_key(new, &by.into()))
    }

    pub fn keys(&self, account: AccountNo) -> Answer<Vec<ApiKey>> {
        self.read(|conn| keys::of_account(conn, &self.vault, account))
    }

    pub fn revoke_key(&self, account: AccountNo, key_id: &str, by: impl Into<By>) -> Answer<()> {
        self.write(|ledger| ledger.revoke_key(account, key_id, &by.into()))
    }

    pub fn find_key(&self, key: &Secret) -> Answer<Option<Arc<ApiKey>>> {
        let hash = self.vault.hash(key.expose());
        Ok(self.read(|conn| keys::by_hash(conn, &self.vault, &hash))?.map(Arc::new))
    }

    pub fn create_token(&self, new: NewToken, by: impl Into<By>) -> Answer<Token> {
        self.write(|ledger| ledger.create_token(new, &by.into()))
    }

    pub fn revoke_token(&self, id: &str, by: impl Into<By>) -> Answer<()> {
        self.write(|ledger| ledger.revoke_token(id, &by.into()))
    }

    pub fn tokens(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Token>> {
        self.read(|conn| tokens::list(conn, from, limit))
    }

    pub fn find_token(&self, token: &Secret, now: UnixMs) -> Answer<Option<Arc<Token>>> {
        let hash = self.vault.hash(token.expose());
        let generation = match self.memory.tokens.find(&hash) {
            Ok(known) => return Ok(Some(self.memory.use_token(&known, now))),
            Err(generation) => generation,
        };
        let found = self.read(|conn| tokens::by_hash(conn, &hash))?;
        Ok(found.map(|token| self.memory.use_new_token(hash, token, generation, now)))
    }

    pub fn changes(
        &self,
        filter: &ChangeFilter,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Change>> {
        self.read(|conn| audit::list(conn, filter, from, limit))
    }

    pub fn tidy_audit(&self, expired_before: UnixMs) -> Answer<bool> {
        let used = self.memory.take_uses();
        self.write(|ledger| ledger.tidy_audit(&used, expired_before))
    }

    pub fn create_webhook(
        &self,
        new: NewWebhook,
        limits: WebhookLimits,
        by: impl Into<By>,
    ) -> Answer<Webhook> {
        self.write(|ledger| ledger.create_webhook(new, limits, &by.into()))
    }

    pub fn update_webhook(
        &self,
        no: WebhookNo,
        patch: WebhookPatch,
        limits: WebhookLimits,
        by: impl Into<By>,
    ) -> Answer<Webhook> {
        self.write(|ledger| ledger.update_webhook(no, patch, limits, &by.into()))
    }

    pub fn delete_webhook(&self, no: WebhookNo, by: impl Into<By>) -> Answer<()> {
        self.write(|ledger| ledger.delete_webhook(no, &by.into()))
    }

    pub fn webhook(&self, account: AccountNo, key: Option<KeyNo>, id: &str) -> Answer<Option<Webhook>> {
        self.read(|conn| webhooks::of_owner(conn, &self.vault, account, key, id))
    }

    pub fn webhook_by_no(&self, no: WebhookNo) -> Answer<Option<Webhook>> {
        self.read(|conn| webhooks::of_any_state(conn, &self.vault, no))
    }

    pub fn webhooks(
        &self,
        account: AccountNo,
        key: Option<KeyNo>,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Webhook>> {
        self.read(|conn| webhooks::list(conn, &self.vault, account, key, from, limit))
    }

    pub fn publish(
        &self,
        drafts: Vec<EventDraft>,
        build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
        now: UnixMs,
    ) -> Answer<Vec<Result<Published, Refusal>>> {
        self.refuse_if_almost_full()?;
        let steady = self.core().clock.as_ref().map_or(now, |clock| clock.steady());
        self.write(|ledger| {
            let (numbered, _) = events::number(drafts, build, ledger.last_event(), now, steady);
            ledger.publish(numbered)
        })
    }

    pub fn event(&self, seq: Seq) -> Answer<Option<Arc<Event>>> {
        self.read(|conn| events::by_seq(conn, seq))
    }

    pub fn event_by_key(
        &self,
        account: Option<AccountNo>,
        key: &str,
        now: UnixMs,
    ) -> Answer<Option<Arc<Event>>> {
        self.read(|conn| events::by_key(conn, account, key, now))
    }

    pub fn deliveries_of_event(&self, seq: Seq, limit: usize) -> Answer<Vec<Delivery>> {
        self.read(|conn| deliveries::of_event(conn, seq, limit))
    }

    pub fn deliveries(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        self.read(|conn| delivery_list::list(conn, no, from, limit))
    }

    pub fn attempts(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        self.read(|conn| history::attempts(conn, no, from, limit))
    }

    pub fn delivery_count(&self, no: WebhookNo) -> Answer<u64> {
        self.read(|conn| delivery_list::count(conn, no))
    }

    pub fn delivery(&self, key: DeliveryKey) -> Answer<Option<deliveries::Whole>> {
        self.read(|conn| deliveries::whole(conn, key))
    }

    pub fn retry_delivery(&self, key: DeliveryKey, by: impl Into<By>) -> Answer<Delivery> {
        self.write(|ledger| ledger.retry_delivery(key, &by.into()))
    }

    pub fn recover(
        &self,
        no: WebhookNo,
        window: Window,
        dry_run: bool,
        limit: usize,
        by: impl Into<By>,
    ) -> Answer<Recovered> {
        self.write(|ledger| ledger.recover(no, window, limit, (!dry_run).then(|| by.into()).as_ref()))
    }

    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.memory.roster.clone()
    }

    pub fn checkpoint(&self) -> Answer<Seq> {
        self.read(ledger::stored_checkpoint)
    }

    pub fn next_events(&self, after: Seq, room: ReadRoom) -> Answer<EventsRead> {
        // What lies in memory alone is not damaged.
        Ok(self.read(|conn| events::next_after(conn, after, room))?.read)
    }

    pub fn events_after(&self, after: Seq, limit: usize) -> Answer<Vec<Arc<Event>>> {
        Ok(self.next_events(after, ReadRoom::rows(limit))?.events)
    }

    pub fn written(&self, seq: Seq) -> Answer<Vec<WebhookNo>> {
        self.read(|conn| deliveries::written(conn, seq))
    }

    pub fn pending_heads(&self) -> Answer<Vec<(WebhookNo, UnixMs)>> {
        self.read(deliveries::pending_heads)
    }

    pub fn pending(&self, query: &PendingQuery) -> Answer<PendingRead> {
        Ok(self.read(|conn| deliveries::pending(conn, query))?.read)
    }

    pub fn record(&self, batch: RecordBatch) -> Answer<()> {
        self.write(|ledger| ledger.record(&batch))
    }

    pub fn tidy(&self, expired_before: UnixMs, drop_queued_of_deleted: bool, now: UnixMs) -> Answer<bool> {
        self.write(|ledger| ledger.tidy(expired_before, drop_queued_of_deleted, now, false))
    }

    pub fn remember_once(&self, token: [u8; 32], until: UnixMs, now: UnixMs) -> Answer<bool> {
        self.write(|ledger| ledger.remember_once(token, until, now))
    }

    pub fn rotate_master_key(&self, by: impl Into<By>) -> Answer<()> {
        let mut core = self.core();
        let next = core.rotations.wrapping_add(1);
        core.rotations = next;
        drop(core);
        // What lies in memory alone needs no secret key, and a story told twice is the same.
        let new = MasterKey::from_bytes([next; 32]);
        let by = by.into();
        let both = MasterKeys::succeeding(new, MasterKey::from_bytes([next.wrapping_sub(1); 32]));
        self.write(|ledger| ledger.begin_rotation(both, &by))?;
        while self.core().ledger.left_to_reseal() == Left::Rows {
            self.write(Ledger::reseal_step)?;
        }
        self.write(|ledger| ledger.settle(by.at))?;
        self.core().ledger.end_rotation();
        Ok(())
    }

    pub fn seals(&self) -> Answer<Seals> {
        self.read(|conn| master_keys::seals(conn, &self.vault, false))
    }

    #[must_use]
    pub fn id_key(&self) -> [u8; 16] {
        self.id_key
    }

    pub fn backup(&self, file: &Path, now: UnixMs) -> Answer<()> {
        self.read(|conn| backup::write(conn, file, now))
    }

    pub fn begin_sending(&self) -> Answer<()> {
        self.write(|ledger| ledger.begin_sending())
    }

    pub fn release_sending(&self, by: impl Into<By>) -> Answer<bool> {
        self.write(|ledger| ledger.release_sending(&by.into()))
    }

    pub fn owed(&self) -> Answer<Owed> {
        self.read(restored::owed)
    }

    pub fn health(&self) -> Result<(), String> {
        self.core().failure.clone().map_or(Ok(()), Err)
    }

    pub fn close(&self) {
        self.core().failure.get_or_insert_with(|| "the store is closed".to_owned());
    }
}
