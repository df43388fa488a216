//! A request that passed the gate.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use posthaste_contract::model::{Auth, Condition, Index, Owner, Route, Target};
use posthaste_contract::{BodyFault, Contract, PageFacts, Scope, Subject, TestFacts, Values};
use posthaste_core::{Actor, ApiKey, By, Dice, KeyNo, UnixMs, Webhook};
use posthaste_net::Dialler;
use posthaste_store::Store;

use super::PublicApi;
use super::answer::Answer;
use super::auth::{self, Once};
use super::refusal::Refused;
use crate::client_address::ClientAddress;

/// A request that passed the gate: its caller may do this, now.
pub(super) struct Call<'r> {
    pub api: &'r PublicApi,
    pub route: &'r Route,
    pub head: &'r Parts,
    /// How the caller said who they are.
    pub auth: &'r Auth,
    pub key: Arc<ApiKey>,
    /// The webhook's id in the path.
    pub webhook_id: Option<&'r str>,
    /// The delivery's id in the path.
    pub delivery_id: Option<&'r str>,
    pub query: &'r str,
    /// The body; empty where the route reads none.
    pub body: Bytes,
    pub request_id: String,
    pub client: ClientAddress,
    pub now: UnixMs,
    /// What makes a signed write a single one.
    pub once: Option<Once>,
}

/// What a view shows beside its subject.
#[derive(Clone, Copy, Default)]
pub(super) struct Shown<'a> {
    pub page: Option<&'a PageFacts<'a>>,
    pub test: Option<&'a TestFacts<'a>>,
}

impl<'r> Call<'r> {
    pub fn contract(&self) -> &'r Contract {
        &self.api.contract
    }

    pub fn store(&self) -> &'r dyn Store {
        &*self.api.parts.store
    }

    pub fn dialler(&self) -> &'r Dialler {
        &self.api.parts.dialler
    }

    pub fn dice(&self) -> &'r dyn Dice {
        &*self.api.parts.dice
    }

    /// Who asks, as the audit log tells of it.
    pub fn by(&self) -> By {
        By {
            // Later than the request began, so that no row stands behind a later one.
            at: self.api.parts.clock.now(),
            actor: Actor::ApiKey { id: self.key.id.as_str().into() },
            request_id: Some(self.request_id.as_str().into()),
            address: self.client.known(),
            object: None,
        }
    }

    /// The key that webhooks must belong to, where they belong to keys.
    pub fn owner_key(&self) -> Option<KeyNo> {
        (self.contract().access.owner == Owner::Key).then_some(self.key.no)
    }

    /// What the body asks for; nothing where the route reads none.
    pub fn read(&self, current: Option<&Webhook>) -> Result<Values, Refused> {
        let Some(input) = self.route.input else { return Ok(Values::default()) };
        self.contract().read_input(input, &self.body, current).map_err(|fault| match fault {
            BodyFault::Malformed(why) => Refused::bad_body(why),
            BodyFault::Fields(fields) => Refused::fields(fields),
        })
    }

    /// The caller's webhook that the path names.
    pub async fn webhook(&self) -> Result<Webhook, Refused> {
        self.webhook_named(self.webhook_id).await
    }

    /// The caller's webhook that the path names, or else the body.
    pub async fn webhook_of(&self, values: &Values) -> Result<Webhook, Refused> {
        self.webhook_named(self.webhook_id.or(values.webhook_id.as_deref())).await
    }

    /// Malformed, unknown, deleted and foreign ids are all the same to a caller.
    async fn webhook_named(&self, id: Option<&str>) -> Result<Webhook, Refused> {
        let id = id.filter(|id| self.contract().ids.webhook.accepts(id)).ok_or(Condition::NotFound)?;
        let found = self.store().webhook(self.key.account, self.owner_key(), id).await?;
        found.ok_or_else(|| Condition::NotFound.into())
    }

    /// May what was asked for be done now? The key may have been revoked while the body was on its way or the URL was
    /// probed, and a signed write counts once. To be asked last.
    pub async fn may_write(&self) -> Result<(), Refused> {
        let now = self.api.parts.clock.now();
        auth::identify(self.store(), self.auth, &self.head.headers, now).await?;
        self.is_first().await
    }

    /// Refuses a signed write that was obeyed before. Asked last, when nothing but the store can refuse it any
    /// more: a request that was refused for another reason may be sent again.
    async fn is_first(&self) -> Result<(), Refused> {
        let Some(once) = self.once else { return Ok(()) };
        // For as long as it would be accepted, whatever becomes of the wall clock by which it is judged.
        let now = self.api.parts.clock.steady();
        let until = now.plus(once.until.since(self.now));
        match self.store().remember_once(once.token, until, now).await? {
            true => Ok(()),
            false => Err(Condition::AuthReplay.into()),
        }
    }

    /// The route's answer about a subject.
    pub fn answer(&self, subject: Subject<'_>, shown: Shown<'_>) -> Answer {
        let scope = Scope {
            op: self.route.op,
            request_id: &self.request_id,
            subject,
            page: shown.page,
            test: shown.test,
        };
        let body = self.route.view.map(|view| self.contract().render(view, &scope));
        Answer { status: self.route.status, body }
    }

    /// The route's answer about a webhook.
    pub fn answer_webhook(&self, webhook: &Webhook) -> Answer {
        self.answer(Subject { webhook: Some(webhook), ..Subject::default() }, Shown::default())
    }

    /// The name under which callers know the URL.
    pub fn url_field(&self) -> String {
        let field = |input: Index| {
            let fields = &self.contract().inputs.get(input)?.fields;
            Some(fields.iter().find(|field| field.to == Target::Url)?.at.join("."))
        };
        self.route.input.and_then(field).unwrap_or_else(|| "url".to_owned())
    }
}
