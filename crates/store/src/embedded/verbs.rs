//! The verbs of [`Store`], each handed to the writer or to a reader.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posthaste_core::{
    Account, AccountNo, ApiKey, Attempt, By, Change, Delivery, DeliveryKey, Event, EventBody, KeyNo, Secret,
    Seq, Token, UnixMs, Webhook, WebhookNo,
};
use tokio::sync::{mpsc, watch};

use super::{Embedded, HINTS_MAX};
use crate::backup;
use crate::change::{
    AccountPatch, ChangeFilter, EventDraft, NewAccount, NewKey, NewToken, NewWebhook, Published, RecordBatch,
    Recovered, WebhookLimits, WebhookPatch, Window,
};
use crate::damage::Damage;
use crate::error::{Refusal, StoreError};
use crate::ledger::{
    Ledger, accounts, audit, deliveries, delivery_list, events, history, keys, master_keys, restored,
    stored_checkpoint, tokens, webhooks,
};
use crate::page::{DeliveryRow, EventsRead, PageCursor, PendingQuery, PendingRead, ReadRoom, Slice};
use crate::roster::Roster;
use crate::seals::Seals;
use crate::store::{Answer, Hint, Owed, Progress, Store};

/// How long what was recorded in vain, for want of room on the disk, waits before it is tried again.
const RECORDED_AGAIN_AFTER: Duration = Duration::from_millis(250);

impl Embedded {
    /// The rows whose events are as they were accepted. The others' deliveries end here.
    async fn sound_rows(&self, pending: deliveries::Pending) -> Answer<PendingRead> {
        if !pending.damaged.is_empty() {
            self.record(pending.calling_off()).await?;
        }
        let damaged = pending.damaged.into_iter().map(|(_, what)| what);
        damaged.chain(pending.contradicted).chain(pending.held).for_each(|what| self.damage.note(what));
        Ok(pending.read)
    }
}

#[async_trait]
impl Store for Embedded {
    async fn create_account(&self, new: NewAccount, by: By) -> Answer<Account> {
        self.room.refuse_without()?;
        self.write(move |ledger| ledger.create_account(new, &by)).await
    }

    async fn update_account(&self, id: &str, patch: AccountPatch, by: By) -> Answer<Account> {
        let id = id.to_owned();
        self.write(move |ledger| ledger.update_account(&id, patch, &by)).await
    }

    async fn delete_account(&self, id: &str, by: By) -> Answer<()> {
        let id = id.to_owned();
        self.write(move |ledger| ledger.delete_account(&id, &by)).await
    }

    async fn account(&self, id: &str) -> Answer<Option<Account>> {
        let generation = match self.memory.accounts.find(id) {
            Ok(account) => return Ok(Some(Account::clone(&account))),
            Err(generation) => generation,
        };
        let read = id.to_owned();
        let Some(account) = self.read(move |conn| accounts::by_id(conn, &read)).await? else {
            return Ok(None);
        };
        self.memory.accounts.keep(id.to_owned(), &Arc::new(account.clone()), generation);
        Ok(Some(account))
    }

    async fn accounts(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Account>> {
        self.read(move |conn| accounts::list(conn, from, limit)).await
    }

    async fn create_key(&self, new: NewKey, by: By) -> Answer<ApiKey> {
        self.room.refuse_without()?;
        self.write(move |ledger| ledger.create_key(new, &by)).await
    }

    async fn keys(&self, account: AccountNo) -> Answer<Vec<ApiKey>> {
        let vault = self.vault.clone();
        self.read(move |conn| keys::of_account(conn, &vault, account)).await
    }

    async fn revoke_key(&self, account: AccountNo, key_id: &str, by: By) -> Answer<()> {
        let id = key_id.to_owned();
        self.write(move |ledger| ledger.revoke_key(account, &id, &by)).await
    }

    async fn find_key(&self, key: &Secret) -> Answer<Option<Arc<ApiKey>>> {
        let hash = self.vault.hash(key.expose());
        let generation = match self.memory.keys.find(&hash) {
            Ok(known) => return Ok(Some(known)),
            Err(generation) => generation,
        };
        let vault = self.vault.clone();
        let found = self.read(move |conn| keys::by_hash(conn, &vault, &hash)).await?.map(Arc::new);
        if let Some(key) = &found {
            self.memory.keys.keep(hash, key, generation);
        }
        Ok(found)
    }

    async fn create_token(&self, new: NewToken, by: By) -> Answer<Token> {
        self.room.refuse_without()?;
        self.write(move |ledger| ledger.create_token(new, &by)).await
    }

    async fn revoke_token(&self, id: &str, by: By) -> Answer<()> {
        let id = id.to_owned();
        self.write(move |ledger| ledger.revoke_token(&id, &by)).await
    }

    async fn tokens(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Token>> {
        self.read(move |conn| tokens::list(conn, from, limit)).await
    }

    async fn find_token(&self, token: &Secret, now: UnixMs) -> Answer<Option<Arc<Token>>> {
        let hash = self.vault.hash(token.expose());
        let generation = match self.memory.tokens.find(&hash) {
            Ok(known) => return Ok(Some(self.memory.use_token(&known, now))),
            Err(generation) => generation,
        };
        let found = self.read(move |conn| tokens::by_hash(conn, &hash)).await?;
        Ok(found.map(|token| self.memory.use_new_token(hash, token, generation, now)))
    }

    async fn changes(
        &self,
        filter: ChangeFilter,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Change>> {
        let closed = |_| StoreError::Unavailable("the store is closed".to_owned());
        let turn = self.audit_turn.clone().acquire_owned().await.map_err(closed)?;
        self.read(move |conn| {
            // The turn is the reader's, also if whoever asked has gone.
            let _turn = turn;
            audit::list(conn, &filter, from, limit)
        })
        .await
    }

    async fn tidy_audit(&self, expired_before: UnixMs) -> Answer<bool> {
        let used = self.memory.take_uses();
        self.write_rows(1, move |ledger| ledger.tidy_audit(&used, expired_before)).await
    }

    async fn create_webhook(&self, new: NewWebhook, limits: WebhookLimits, by: By) -> Answer<Webhook> {
        self.room.refuse_without()?;
        self.write(move |ledger| ledger.create_webhook(new, limits, &by)).await
    }

    async fn update_webhook(
        &self,
        no: WebhookNo,
        patch: WebhookPatch,
        limits: WebhookLimits,
        by: By,
    ) -> Answer<Webhook> {
        self.write(move |ledger| ledger.update_webhook(no, patch, limits, &by)).await
    }

    async fn delete_webhook(&self, no: WebhookNo, by: By) -> Answer<()> {
        self.write(move |ledger| ledger.delete_webhook(no, &by)).await
    }

    async fn webhook(&self, account: AccountNo, key: Option<KeyNo>, id: &str) -> Answer<Option<Webhook>> {
        let (vault, id) = (self.vault.clone(), id.to_owned());
        self.read(move |conn| webhooks::of_owner(conn, &vault, account, key, &id)).await
    }

    async fn webhook_by_no(&self, no: WebhookNo) -> Answer<Option<Webhook>> {
        let vault = self.vault.clone();
        self.read(move |conn| webhooks::of_any_state(conn, &vault, no)).await
    }

    async fn webhooks(
        &self,
        account: AccountNo,
        key: Option<KeyNo>,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Webhook>> {
        let vault = self.vault.clone();
        self.read(move |conn| webhooks::list(conn, &vault, account, key, from, limit)).await
    }

    async fn publish(
        &self,
        drafts: Vec<EventDraft>,
        build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
        now: UnixMs,
    ) -> Answer<Vec<Result<Published, Refusal>>> {
        self.publish_drafts(drafts, build, now).await
    }

    async fn event(&self, seq: Seq) -> Answer<Option<Arc<Event>>> {
        self.read(move |conn| events::by_seq(conn, seq)).await
    }

    async fn event_by_key(
        &self,
        account: Option<AccountNo>,
        key: &str,
        now: UnixMs,
    ) -> Answer<Option<Arc<Event>>> {
        let key = key.to_owned();
        self.read(move |conn| events::by_key(conn, account, &key, now)).await
    }

    async fn deliveries_of_event(&self, seq: Seq, limit: usize) -> Answer<Vec<Delivery>> {
        self.read(move |conn| deliveries::of_event(conn, seq, limit)).await
    }

    async fn deliveries(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        self.read(move |conn| delivery_list::list(conn, no, from, limit)).await
    }

    async fn attempts(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        self.read(move |conn| history::attempts(conn, no, from, limit)).await
    }

    async fn delivery_count(&self, no: WebhookNo) -> Answer<u64> {
        self.read(move |conn| delivery_list::count(conn, no)).await
    }

    async fn delivery(&self, key: DeliveryKey) -> Answer<Option<(Delivery, Arc<Event>, Vec<Attempt>)>> {
        self.read(move |conn| deliveries::whole(conn, key)).await
    }

    async fn retry_delivery(&self, key: DeliveryKey, by: By) -> Answer<Delivery> {
        self.write(move |ledger| ledger.retry_delivery(key, &by)).await
    }

    async fn recover(
        &self,
        no: WebhookNo,
        window: Window,
        dry_run: bool,
        limit: usize,
        by: By,
    ) -> Answer<Recovered> {
        if !dry_run {
            self.room.refuse_without()?;
        }
        let by = (!dry_run).then_some(by);
        self.write(move |ledger| ledger.recover(no, window, limit, by.as_ref())).await
    }

    fn roster(&self) -> Arc<Roster> {
        self.memory.roster.clone()
    }

    fn hints(&self) -> mpsc::Receiver<Hint> {
        let (sender, receiver) = mpsc::channel(HINTS_MAX);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    async fn checkpoint(&self) -> Answer<Seq> {
        self.read(stored_checkpoint).await
    }

    async fn next_events(&self, after: Seq, room: ReadRoom) -> Answer<EventsRead> {
        let events::Sound { read, damaged } =
            self.read(move |conn| events::next_after(conn, after, room)).await?;
        damaged.into_iter().for_each(|what| self.damage.note(what));
        Ok(read)
    }

    async fn written(&self, seq: Seq) -> Answer<Vec<WebhookNo>> {
        self.read(move |conn| deliveries::written(conn, seq)).await
    }

    async fn pending_heads(&self) -> Answer<Vec<(WebhookNo, UnixMs)>> {
        self.read(deliveries::pending_heads).await
    }

    async fn pending(&self, query: PendingQuery) -> Answer<PendingRead> {
        let pending = self.read(move |conn| deliveries::pending(conn, &query)).await?;
        self.sound_rows(pending).await
    }

    async fn record(&self, batch: RecordBatch) -> Answer<()> {
        let rows = batch.attempts.len() + batch.spills.len() + batch.cancels.len() + batch.health.len();
        let batch = Arc::new(batch);
        loop {
            let recorded = batch.clone();
            match self.write_rows(rows, move |ledger| ledger.record(&recorded)).await {
                Err(StoreError::StorageFull) if posthaste_faults::bug("record-dropped-when-full") => {
                    return Ok(());
                }
                // What happened has happened: it is kept until there is room for it.
                Err(StoreError::StorageFull) => tokio::time::sleep(RECORDED_AGAIN_AFTER).await,
                ended => return ended,
            }
        }
    }

    async fn tidy(&self, expired_before: UnixMs, drop_queued_of_deleted: bool, now: UnixMs) -> Answer<bool> {
        let is_short = !self.room.is_there();
        let tidy =
            move |ledger: &mut Ledger| ledger.tidy(expired_before, drop_queued_of_deleted, now, is_short);
        self.write_rows(1, tidy).await
    }

    async fn remember_once(&self, token: [u8; 32], until: UnixMs, now: UnixMs) -> Answer<bool> {
        self.write_rows(1, move |ledger| ledger.remember_once(token, until, now)).await
    }

    fn id_key(&self) -> [u8; 16] {
        self.id_key
    }

    async fn rotate_master_key(&self, by: By) -> Answer<()> {
        self.rotate(by).await
    }

    async fn seals(&self) -> Answer<Seals> {
        let (vault, is_key_given) = (self.vault.clone(), self.key_file.is_none());
        let mut seals = self.read(move |conn| master_keys::seals(conn, &vault, is_key_given)).await?;
        let hindrance = self.status.hindrance();
        seals.unopened += hindrance.unopened;
        seals.held_up_by = hindrance.what;
        Ok(seals)
    }

    async fn backup(&self, file: &Path, now: UnixMs) -> Answer<()> {
        let file = file.to_owned();
        self.read(move |conn| backup::write(conn, &file, now)).await
    }

    fn held_since(&self) -> watch::Receiver<Option<UnixMs>> {
        self.held_since.subscribe()
    }

    async fn begin_sending(&self) -> Answer<()> {
        match self.read(restored::copied_at).await? {
            Some(_) => self.write(|ledger| ledger.begin_sending()).await,
            None => Ok(()),
        }
    }

    async fn release_sending(&self, by: By) -> Answer<bool> {
        let was_held = self.write(move |ledger| ledger.release_sending(&by)).await?;
        self.held_since.send_replace(None);
        Ok(was_held)
    }

    async fn owed(&self) -> Answer<Owed> {
        self.read(restored::owed).await
    }

    fn damage(&self) -> Arc<Damage> {
        self.damage.clone()
    }

    fn health(&self) -> Result<(), String> {
        self.status.health()
    }

    fn failure(&self) -> Option<String> {
        self.status.failure()
    }

    fn room_for_results(&self) -> Result<(), String> {
        self.room.for_results()
    }

    fn room_for_events(&self) -> Result<(), String> {
        self.room.for_events()
    }

    fn progress(&self) -> Progress {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        self.status.progress(waiting > 0)
    }

    async fn close(&self) {
        self.shut().await;
    }
}
