//! The verbs of [`Store`] over the synchronous ones: nothing ever waits.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use posthaste_core::{
    Account, AccountNo, ApiKey, Attempt, By, Change, Delivery, DeliveryKey, Event, EventBody, KeyNo, Secret,
    Seq, Token, UnixMs, Webhook, WebhookNo,
};
use tokio::sync::{mpsc, watch};

use super::{HINTS_MAX, Inline};
use crate::change::{
    AccountPatch, ChangeFilter, EventDraft, NewAccount, NewKey, NewToken, NewWebhook, Published, RecordBatch,
    Recovered, WebhookLimits, WebhookPatch, Window,
};
use crate::damage::Damage;
use crate::error::Refusal;
use crate::page::{DeliveryRow, EventsRead, PageCursor, PendingQuery, PendingRead, ReadRoom, Slice};
use crate::roster::Roster;
use crate::seals::Seals;
use crate::store::{Answer, Hint, Owed, Store};

#[async_trait]
impl Store for Inline {
    fn hints(&self) -> mpsc::Receiver<Hint> {
        let (sender, receiver) = mpsc::channel(HINTS_MAX);
        self.core().listener = Some(sender);
        receiver
    }

    async fn create_account(&self, new: NewAccount, by: By) -> Answer<Account> {
        Inline::create_account(self, new, by)
    }

    async fn update_account(&self, id: &str, patch: AccountPatch, by: By) -> Answer<Account> {
        Inline::update_account(self, id, patch, by)
    }

    async fn delete_account(&self, id: &str, by: By) -> Answer<()> {
        Inline::delete_account(self, id, by)
    }

    async fn account(&self, id: &str) -> Answer<Option<Account>> {
        Inline::account(self, id)
    }

    async fn accounts(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Account>> {
        Inline::accounts(self, from, limit)
    }

    async fn create_key(&self, new: NewKey, by: By) -> Answer<ApiKey> {
        Inline::create_key(self, new, by)
    }

    async fn keys(&self, account: AccountNo) -> Answer<Vec<ApiKey>> {
        Inline::keys(self, account)
    }

    async fn revoke_key(&self, account: AccountNo, key_id: &str, by: By) -> Answer<()> {
        Inline::revoke_key(self, account, key_id, by)
    }

    async fn find_key(&self, key: &Secret) -> Answer<Option<Arc<ApiKey>>> {
        Inline::find_key(self, key)
    }

    async fn create_token(&self, new: NewToken, by: By) -> Answer<Token> {
        Inline::create_token(self, new, by)
    }

    async fn revoke_token(&self, id: &str, by: By) -> Answer<()> {
        Inline::revoke_token(self, id, by)
    }

    async fn tokens(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Token>> {
        Inline::tokens(self, from, limit)
    }

    async fn find_token(&self, token: &Secret, now: UnixMs) -> Answer<Option<Arc<Token>>> {
        Inline::find_token(self, token, now)
    }

    async fn changes(
        &self,
        filter: ChangeFilter,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Change>> {
        Inline::changes(self, &filter, from, limit)
    }

    async fn tidy_audit(&self, expired_before: UnixMs) -> Answer<bool> {
        Inline::tidy_audit(self, expired_before)
    }

    async fn create_webhook(&self, new: NewWebhook, limits: WebhookLimits, by: By) -> Answer<Webhook> {
        Inline::create_webhook(self, new, limits, by)
    }

    async fn update_webhook(
        &self,
        no: WebhookNo,
        patch: WebhookPatch,
        limits: WebhookLimits,
        by: By,
    ) -> Answer<Webhook> {
        Inline::update_webhook(self, no, patch, limits, by)
    }

    async fn delete_webhook(&self, no: WebhookNo, by: By) -> Answer<()> {
        Inline::delete_webhook(self, no, by)
    }

    async fn webhook(&self, account: AccountNo, key: Option<KeyNo>, id: &str) -> Answer<Option<Webhook>> {
        Inline::webhook(self, account, key, id)
    }

    async fn webhook_by_no(&self, no: WebhookNo) -> Answer<Option<Webhook>> {
        Inline::webhook_by_no(self, no)
    }

    async fn webhooks(
        &self,
        account: AccountNo,
        key: Option<KeyNo>,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Webhook>> {
        Inline::webhooks(self, account, key, from, limit)
    }

    async fn publish(
        &self,
        drafts: Vec<EventDraft>,
        build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
        now: UnixMs,
    ) -> Answer<Vec<Result<Published, Refusal>>> {
        Inline::publish(self, drafts, build, now)
    }

    async fn event(&self, seq: Seq) -> Answer<Option<Arc<Event>>> {
        Inline::event(self, seq)
    }

    async fn event_by_key(
        &self,
        account: Option<AccountNo>,
        key: &str,
        now: UnixMs,
    ) -> Answer<Option<Arc<Event>>> {
        Inline::event_by_key(self, account, key, now)
    }

    async fn deliveries_of_event(&self, seq: Seq, limit: usize) -> Answer<Vec<Delivery>> {
        Inline::deliveries_of_event(self, seq, limit)
    }

    async fn deliveries(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        Inline::deliveries(self, no, from, limit)
    }

    async fn attempts(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>> {
        Inline::attempts(self, no, from, limit)
    }

    async fn delivery_count(&self, no: WebhookNo) -> Answer<u64> {
        Inline::delivery_count(self, no)
    }

    async fn delivery(&self, key: DeliveryKey) -> Answer<Option<(Delivery, Arc<Event>, Vec<Attempt>)>> {
        Inline::delivery(self, key)
    }

    async fn retry_delivery(&self, key: DeliveryKey, by: By) -> Answer<Delivery> {
        Inline::retry_delivery(self, key, by)
    }

    async fn recover(
        &self,
        no: WebhookNo,
        window: Window,
        dry_run: bool,
        limit: usize,
        by: By,
    ) -> Answer<Recovered> {
        Inline::recover(self, no, window, dry_run, limit, by)
    }

    fn roster(&self) -> Arc<Roster> {
        Inline::roster(self)
    }

    async fn checkpoint(&self) -> Answer<Seq> {
        Inline::checkpoint(self)
    }

    async fn next_events(&self, after: Seq, room: ReadRoom) -> Answer<EventsRead> {
        Inline::next_events(self, after, room)
    }

    async fn written(&self, seq: Seq) -> Answer<Vec<WebhookNo>> {
        Inline::written(self, seq)
    }

    async fn pending_heads(&self) -> Answer<Vec<(WebhookNo, UnixMs)>> {
        Inline::pending_heads(self)
    }

    async fn pending(&self, query: PendingQuery) -> Answer<PendingRead> {
        Inline::pending(self, &query)
    }

    async fn record(&self, batch: RecordBatch) -> Answer<()> {
        Inline::record(self, batch)
    }

    async fn tidy(&self, expired_before: UnixMs, drop_queued_of_deleted: bool, now: UnixMs) -> Answer<bool> {
        Inline::tidy(self, expired_before, drop_queued_of_deleted, now)
    }

    async fn remember_once(&self, token: [u8; 32], until: UnixMs, now: UnixMs) -> Answer<bool> {
        Inline::remember_once(self, token, until, now)
    }

    fn id_key(&self) -> [u8; 16] {
        Inline::id_key(self)
    }

    async fn rotate_master_key(&self, by: By) -> Answer<()> {
        Inline::rotate_master_key(self, by)
    }

    async fn seals(&self) -> Answer<Seals> {
        Inline::seals(self)
    }

    async fn backup(&self, file: &Path, now: UnixMs) -> Answer<()> {
        Inline::backup(self, file, now)
    }

    fn held_since(&self) -> watch::Receiver<Option<UnixMs>> {
        watch::Sender::new(None).subscribe()
    }

    async fn begin_sending(&self) -> Answer<()> {
        Inline::begin_sending(self)
    }

    async fn release_sending(&self, by: By) -> Answer<bool> {
        Inline::release_sending(self, by)
    }

    async fn owed(&self) -> Answer<Owed> {
        Inline::owed(self)
    }

    fn damage(&self) -> Arc<Damage> {
        Arc::default()
    }

    fn health(&self) -> Result<(), String> {
        Inline::health(self)
    }

    async fn close(&self) {
        Inline::close(self);
    }
}
