//! The one way in for events: from a request to its place in the store.

mod ask;
mod fault;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use ask::{Ask, KEY_MAX_BYTES, SEND_AT_MAX, To};
pub use fault::{MemberFault, PublishFault};

use posthaste_contract::{Contract, PayloadFacts};
use posthaste_core::{AccountNo, Audience, By, Clock, EventBody, Seq, UnixMs, Webhook};
use posthaste_store::{EventDraft, IdempotencyKey, Published, Refusal, Store, StoreError};

use posthaste_contract::PublicIds;

/// How long a publisher's own id of an event is remembered.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// Accepts events.
#[derive(Clone)]
pub struct Publisher {
    contract: Arc<Contract>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: PublicIds,
}

/// An accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its public id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// When it, or the first one with the publisher's id, was accepted.
    pub created_at: UnixMs,
    /// Was it there already?
    pub is_duplicate: bool,
}

/// A draft's body, less what only the store knows.
struct BodyParts<'a> {
    event_type: &'a str,
    account_id: Option<&'a str>,
    data: &'a str,
    is_test: bool,
}

impl Publisher {
    /// Accepts events into the store.
    #[must_use]
    pub fn new(contract: Arc<Contract>, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let ids = PublicIds::new(&contract, store.id_key());
        Self { contract, store, clock, ids }
    }

    /// Reads a request body; see [`Ask::read`].
    ///
    /// # Errors
    /// See [`PublishFault`].
    pub fn read<'a>(&self, body: &'a [u8], header_key: Option<&'a str>) -> Result<Ask<'a>, PublishFault> {
        Ask::read(&self.contract, body, header_key, self.clock.now())
    }

    /// Accepts one event.
    ///
    /// # Errors
    /// See [`PublishFault`].
    pub async fn publish(&self, ask: Ask<'_>) -> Result<Accepted, PublishFault> {
        let audience = match &ask.to {
            To::Account(id) => {
                let account = self.store.account(id).await.map_err(PublishFault::Store)?;
                Audience::Account(account.ok_or(PublishFault::UnknownAccount)?.no)
            }
            To::Broadcast => Audience::Broadcast,
        };
        let now = self.clock.now();
        let drafts = vec![draft(&ask, audience, now)];
        let published = self.commit(drafts, &[BodyParts::of(&ask)], now).await;
        self.accepted(ask.event_type, published.map_err(PublishFault::Store)?.pop())
    }

    /// Accepts those of many events that can be, in one commit; answers for each, in order.
    ///
    /// # Errors
    /// If the store takes none.
    pub async fn publish_all(
        &self,
        asks: Vec<Result<Ask<'_>, PublishFault>>,
    ) -> Result<Vec<Result<Accepted, PublishFault>>, StoreError> {
        let asks = self.find_audiences(asks).await?;
        let sound: Vec<&(Ask<'_>, Audience)> = asks.iter().flatten().collect();
        let now = self.clock.now();
        let drafts = sound.iter().map(|(ask, audience)| draft(ask, *audience, now)).collect();
        let parts: Vec<BodyParts<'_>> = sound.iter().map(|(ask, _)| BodyParts::of(ask)).collect();
        let mut published = self.commit(drafts, &parts, now).await?.into_iter();
        let mut outcomes = Vec::with_capacity(asks.len());
        for ask in asks {
            outcomes.push(match ask {
                Ok((ask, _)) => self.accepted(ask.event_type, published.next()),
                Err(fault) => Err(fault),
            });
        }
        Ok(outcomes)
    }

    /// Accepts a test event for one webhook alone, whatever it subscribed to.
    pub(crate) async fn publish_test(
        &self,
        webhook: &Webhook,
        event_type: &str,
        data: &str,
        by: By,
    ) -> Result<Published, StoreError> {
        let now = by.at;
        let draft = EventDraft {
            audience: Audience::Webhook(webhook.no),
            event_type: event_type.into(),
            send_at: None,
            ordering_key: None,
            idempotency: None,
            reading: None,
            test_by: Some(Box::new(by)),
        };
        let account_id = Some(webhook.account_id.as_str());
        let parts = BodyParts { event_type, account_id, data, is_test: true };
        let mut published = self.commit(vec![draft], &[parts], now).await?;
        let lost = || StoreError::Failed("the store answered for no event".to_owned());
        Ok(published.pop().ok_or_else(lost)??)
    }

    async fn commit(
        &self,
        drafts: Vec<EventDraft>,
        parts: &[BodyParts<'_>],
        now: UnixMs,
    ) -> Result<Vec<Result<Published, Refusal>>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let build = |index: usize, seq: Seq, at: UnixMs| self.body(&parts[index], seq, at);
        self.store.publish(drafts, &build, now).await
    }

    fn body(&self, parts: &BodyParts<'_>, seq: Seq, at: UnixMs) -> EventBody {
        self.contract.build_body(&PayloadFacts {
            event_id: &self.ids.accepted(seq, at, parts.is_test),
            event_type: parts.event_type,
            account_id: parts.account_id,
            occurred_at: at,
            data: parts.data,
        })
    }

    fn accepted(
        &self,
        event_type: Cow<'_, str>,
        published: Option<Result<Published, Refusal>>,
    ) -> Result<Accepted, PublishFault> {
        let lost =
            || PublishFault::Store(StoreError::Failed("the store answered for fewer events".to_owned()));
        let published = published.ok_or_else(lost)??;
        Ok(Accepted {
            id: self.ids.accepted(published.seq, published.created_at, false),
            event_type: event_type.into_owned(),
            created_at: published.created_at,
            is_duplicate: published.is_duplicate,
        })
    }

    /// Looks up the accounts that requests name, each once.
    async fn find_audiences<'a>(
        &self,
        asks: Vec<Result<Ask<'a>, PublishFault>>,
    ) -> Result<Vec<Result<(Ask<'a>, Audience), PublishFault>>, StoreError> {
        let mut known: HashMap<String, Option<AccountNo>> = HashMap::new();
        let mut found = Vec::with_capacity(asks.len());
        for ask in asks {
            found.push(match ask {
                Ok(ask) => match self.find_audience(&ask.to, &mut known).await? {
                    Some(audience) => Ok((ask, audience)),
                    None => Err(PublishFault::UnknownAccount),
                },
                Err(fault) => Err(fault),
            });
        }
        Ok(found)
    }

    async fn find_audience(
        &self,
        to: &To<'_>,
        known: &mut HashMap<String, Option<AccountNo>>,
    ) -> Result<Option<Audience>, StoreError> {
        let To::Account(id) = to else { return Ok(Some(Audience::Broadcast)) };
        let no = match known.get(id.as_ref()) {
            Some(no) => *no,
            None => {
                let no = self.store.account(id).await?.map(|account| account.no);
                known.insert(id.to_string(), no);
                no
            }
        };
        Ok(no.map(Audience::Account))
    }
}

impl<'a> BodyParts<'a> {
    fn of(ask: &'a Ask<'_>) -> Self {
        let account_id = match &ask.to {
            To::Account(id) => Some(id.as_ref()),
            To::Broadcast => None,
        };
        Self { event_type: &ask.event_type, account_id, data: ask.data, is_test: false }
    }
}

fn draft(ask: &Ask<'_>, audience: Audience, now: UnixMs) -> EventDraft {
    EventDraft {
        audience,
        event_type: ask.event_type.as_ref().into(),
        send_at: ask.send_at.filter(|at| *at > now),
        ordering_key: ask.ordering_key.clone(),
        idempotency: ask.key.as_ref().map(|key| IdempotencyKey {
            key: key.to_string(),
            fingerprint: ask.fingerprint(),
            remembered_for: REMEMBERED_FOR,
        }),
        reading: ask.reading.clone(),
        test_by: None,
    }
}
