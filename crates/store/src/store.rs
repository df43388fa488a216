//! The seam.

use std::sync::Arc;

use async_trait::async_trait;
use posthaste_core::{
    Account, AccountNo, ApiKey, Attempt, By, Change, Delivery, DeliveryKey, Event, EventBody, KeyNo, Secret,
    Seq, Token, UnixMs, Webhook, WebhookNo,
};
use tokio::sync::{mpsc, watch};

use crate::change::{
    AccountPatch, ChangeFilter, EventDraft, NewAccount, NewKey, NewToken, NewWebhook, Published, RecordBatch,
    Recovered, WebhookLimits, WebhookPatch, Window,
};
use crate::damage::Damage;
use crate::error::StoreError;
use crate::page::{DeliveryRow, EventsRead, PageCursor, PendingQuery, PendingRead, ReadRoom, Slice};
use crate::roster::Roster;
use crate::seals::Seals;

/// What every verb answers.
pub type Answer<T> = Result<T, StoreError>;

/// What just became durable. Hints carry no truth of their own: losing one delays work and loses none.
#[derive(Debug, Clone)]
pub enum Hint {
    /// Events were accepted, in order, directly after the event `after`.
    Events {
        /// The event accepted before the first of these.
        after: Seq,
        /// The events.
        events: Vec<Arc<Event>>,
    },
    /// A webhook was created, changed, deleted, or has deliveries due that the engine did not plan.
    Webhook(WebhookNo),
}

/// How the writer gets on, for whoever watches it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// How often it went to work and was done with it.
    pub rounds: u64,
    /// Is it at work, or is there work for it?
    pub is_busy: bool,
}

/// How much is owed to webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Deliveries that wait for an attempt and have a row.
    pub deliveries: u64,
    /// Events that are not handed out to webhooks yet.
    pub events: u64,
}

/// The memory of Posthaste.
///
/// A verb that changes something returns when the change is durable, and by then [`Store::roster`] shows it. Ids from
/// callers are looked up together with their owner, so that what is foreign, deleted or unknown is equally not found.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // ------------------------------------------------------------------ accounts and keys

    /// Creates an account; refuses with `Taken`.
    async fn create_account(&self, new: NewAccount, by: By) -> Answer<Account>;
    /// Changes an account; refuses with `NotFound`.
    async fn update_account(&self, id: &str, patch: AccountPatch, by: By) -> Answer<Account>;
    /// Deletes an account with its keys and webhooks at once, and all other data of it in later `tidy` steps.
    async fn delete_account(&self, id: &str, by: By) -> Answer<()>;
    /// The account, or `None`.
    async fn account(&self, id: &str) -> Answer<Option<Account>>;
    /// The account with this number, or `None`.
    async fn account_by_no(&self, no: AccountNo) -> Answer<Option<Account>> {
        let first = self.accounts(Some(PageCursor(no.0, 0)), 1).await?.items.pop();
        Ok(first.filter(|account| account.no == no))
    }
    /// Accounts in order of creation; a cursor is the number of the first account wanted.
    async fn accounts(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Account>>;
    /// Creates a key.
    async fn create_key(&self, new: NewKey, by: By) -> Answer<ApiKey>;
    /// An account's keys, revoked ones too, in order of creation.
    async fn keys(&self, account: AccountNo) -> Answer<Vec<ApiKey>>;
    /// Revokes a key; from the return on it is refused everywhere.
    async fn revoke_key(&self, account: AccountNo, key_id: &str, by: By) -> Answer<()>;
    /// The key with this text, active or not; `None` if there is none. Fast enough for every request.
    async fn find_key(&self, key: &Secret) -> Answer<Option<Arc<ApiKey>>>;

    // ------------------------------------------------------------------ named tokens and the audit log

    /// Creates a named token; refuses with `NameTaken`, `TokenLimit`, and with `Taken` if the id or the text is.
    async fn create_token(&self, new: NewToken, by: By) -> Answer<Token>;
    /// Revokes a named token; from the return on it is refused everywhere. Refuses with `NotFound`.
    async fn revoke_token(&self, id: &str, by: By) -> Answer<()>;
    /// Named tokens in order of creation, those that ended too.
    async fn tokens(&self, from: Option<PageCursor>, limit: usize) -> Answer<Slice<Token>>;
    /// The named token with this text, active or not; `None` if there is none. Fast enough for every request.
    async fn find_token(&self, token: &Secret, now: UnixMs) -> Answer<Option<Arc<Token>>>;
    /// The audit log, newest first. Each verb that takes a [`By`] writes its rows in the same transaction as its change;
    /// deleting an account writes one for all that goes with it.
    async fn changes(
        &self,
        filter: ChangeFilter,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Change>>;
    /// One small step: writes down when tokens were used, and deletes rows of the audit log, and tokens that ended,
    /// from before this time. Answers whether more is left.
    async fn tidy_audit(&self, expired_before: UnixMs) -> Answer<bool>;

    // ------------------------------------------------------------------ webhooks

    /// Creates a webhook; refuses with `Taken`, `WebhookLimit`, `DuplicateUrl`, `NotFound` (the account is gone).
    async fn create_webhook(&self, new: NewWebhook, limits: WebhookLimits, by: By) -> Answer<Webhook>;
    /// Changes a webhook that is not deleted; refuses with `NotFound`, `DuplicateUrl`.
    async fn update_webhook(
        &self,
        no: WebhookNo,
        patch: WebhookPatch,
        limits: WebhookLimits,
        by: By,
    ) -> Answer<Webhook>;
    /// Deletes a webhook; refuses with `NotFound` if it is deleted already. Its pending deliveries are the engine's to end.
    async fn delete_webhook(&self, no: WebhookNo, by: By) -> Answer<()>;
    /// The webhook with its health as stored, if it exists, belongs to the account and, where `key` is given, to that key.
    async fn webhook(&self, account: AccountNo, key: Option<KeyNo>, id: &str) -> Answer<Option<Webhook>>;
    /// The webhook with this number, also a deleted one, for telling what became of its deliveries; `None` if it is
    /// unknown or its account is deleted.
    async fn webhook_by_no(&self, no: WebhookNo) -> Answer<Option<Webhook>>;
    /// The owner's webhooks in order of creation, deleted ones left out.
    async fn webhooks(
        &self,
        account: AccountNo,
        key: Option<KeyNo>,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<Webhook>>;

    // ------------------------------------------------------------------ events

    /// Accepts events, all or none, in order; `build` makes the body of the draft with that index once its place and
    /// time are known, and must be pure. A draft whose idempotency key is known answers the first event, or
    /// `IdempotencyConflict` for that draft alone.
    async fn publish(
        &self,
        drafts: Vec<EventDraft>,
        build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
        now: UnixMs,
    ) -> Answer<Vec<Result<Published, crate::Refusal>>>;
    /// The event, or `None`.
    async fn event(&self, seq: Seq) -> Answer<Option<Arc<Event>>>;
    /// The event that a publisher named so, while the key is remembered. `account` is `None` for broadcasts.
    async fn event_by_key(
        &self,
        account: Option<AccountNo>,
        key: &str,
        now: UnixMs,
    ) -> Answer<Option<Arc<Event>>>;
    /// Every delivery of an event that has a row, by webhook number; at most `limit`.
    async fn deliveries_of_event(&self, seq: Seq, limit: usize) -> Answer<Vec<Delivery>>;

    // ------------------------------------------------------------------ deliveries

    /// A webhook's deliveries that have a row: those that wait for their first attempt, due last first; then those attempted,
    /// newest first by first attempt, each with its latest attempt; then those canceled without an attempt, by the latest
    /// event. What changes its kind while somebody goes from part to part may come twice, or, if a canceled one is attempted or
    /// resent, not at all. A part may come back short with a place to go on from.
    async fn deliveries(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>>;
    /// A webhook's attempts, newest first; each with its delivery.
    async fn attempts(
        &self,
        no: WebhookNo,
        from: Option<PageCursor>,
        limit: usize,
    ) -> Answer<Slice<DeliveryRow>>;
    /// How many deliveries that list has; of those that wait for their first attempt, and of those canceled without one, at
    /// most 10,000 each are counted.
    async fn delivery_count(&self, no: WebhookNo) -> Answer<u64>;
    /// One delivery with all its attempts in order; `None` if it has no row.
    async fn delivery(&self, key: DeliveryKey) -> Answer<Option<(Delivery, Arc<Event>, Vec<Attempt>)>>;
    /// Makes an ended delivery pending again, due at once; refuses with `NotFound` or `WrongState`.
    async fn retry_delivery(&self, key: DeliveryKey, by: By) -> Answer<Delivery>;
    /// Makes a webhook's failed deliveries pending again whose events were accepted in the window, and those canceled
    /// because it was disabled; at most `limit` in one call, oldest first. With `dry_run` only counts.
    async fn recover(
        &self,
        no: WebhookNo,
        window: Window,
        dry_run: bool,
        limit: usize,
        by: By,
    ) -> Answer<Recovered>;

    // ------------------------------------------------------------------ the engine's side

    /// Every webhook that deliveries may be owed to, as last made durable. Shared and always current.
    fn roster(&self) -> Arc<Roster>;
    /// What becomes durable from now on. One listener; when it is too slow, hints are dropped.
    fn hints(&self) -> mpsc::Receiver<Hint>;
    /// The last event for which, and for all before it, every owed delivery has a row.
    async fn checkpoint(&self) -> Answer<Seq>;
    /// The next events after `after`, in order.
    async fn next_events(&self, after: Seq, room: ReadRoom) -> Answer<EventsRead>;
    /// The same for who knows how large they are: at most `limit`.
    async fn events_after(&self, after: Seq, limit: usize) -> Answer<Vec<Arc<Event>>> {
        Ok(self.next_events(after, ReadRoom::rows(limit)).await?.events)
    }
    /// Of these webhooks' deliveries of one event, those that have a row. What a restart must not send again.
    async fn written(&self, seq: Seq) -> Answer<Vec<WebhookNo>>;
    /// For each webhook with pending rows, when the earliest is due.
    async fn pending_heads(&self) -> Answer<Vec<(WebhookNo, UnixMs)>>;
    /// A webhook's pending rows in order of due time then age, from either end.
    async fn pending(&self, query: PendingQuery) -> Answer<PendingRead>;
    /// Remembers what the engine did.
    async fn record(&self, batch: RecordBatch) -> Answer<()>;
    /// One small step of housekeeping: ends pending deliveries of deleted webhooks where `drop_queued_of_deleted`,
    /// and of disabled ones; deletes what ended before `expired_before` and forgotten idempotency keys, gives space
    /// back. If the clock was set back, makes due again what would wait for the time it once was. Answers whether more
    /// is left.
    async fn tidy(&self, expired_before: UnixMs, drop_queued_of_deleted: bool, now: UnixMs) -> Answer<bool>;

    // ------------------------------------------------------------------ the whole

    /// Remembers a token until `until` and answers whether it was new: refuses replayed requests.
    async fn remember_once(&self, token: [u8; 32], until: UnixMs, now: UnixMs) -> Answer<bool>;
    /// The key of the permutation that makes public ids; made once with the store.
    fn id_key(&self) -> [u8; 16];
    /// Begins to seal everything under a new master key, and returns when both keys are where the next start finds them.
    /// The rest is done in small steps beside other work, also after a restart. Refuses with `RotationUnderWay`, and
    /// with `KeyGiven` if the key came from outside.
    async fn rotate_master_key(&self, by: By) -> Answer<()>;
    /// Which master key seals what.
    async fn seals(&self) -> Answer<Seals>;
    /// Writes a consistent copy to a new file, marked with the time `now`.
    async fn backup(&self, file: &std::path::Path, now: UnixMs) -> Answer<()>;
    /// While it holds a time, that of the copy this store was put back from, nothing may be sent: what was due then
    /// would go out at once and unasked.
    fn held_since(&self) -> watch::Receiver<Option<UnixMs>>;
    /// Said before anything is sent: unless sending is held, the copy that this store may have been put back from is as
    /// good as the store from now on, and does not hold it when it is older. Opening alone does not do that.
    async fn begin_sending(&self) -> Answer<()>;
    /// Lets sending begin that is held. Answers whether it was.
    async fn release_sending(&self, by: By) -> Answer<bool>;
    /// What is owed to webhooks now.
    async fn owed(&self) -> Answer<Owed>;
    /// What was found damaged since the store was opened. Rows of webhooks, and of events to send, that are damaged are
    /// left out where they are met.
    fn damage(&self) -> Arc<Damage>;
    /// Is the store open and taking writes? The reason if not.
    fn health(&self) -> Result<(), String>;
    /// Why the store stopped, if it failed; also after it was closed.
    fn failure(&self) -> Option<String> {
        None
    }
    /// Is there room to take events in, as of a second ago? The reason if not; then publishing is refused.
    fn room_for_events(&self) -> Result<(), String> {
        Ok(())
    }
    /// Is there room for the results of attempts that are not yet under way? The reason if not; then none may start.
    fn room_for_results(&self) -> Result<(), String> {
        Ok(())
    }
    /// How the writer gets on.
    fn progress(&self) -> Progress {
        Progress::default()
    }
    /// Finishes what is queued and closes.
    async fn close(&self);
}
