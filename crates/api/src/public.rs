//! The API that the contract describes.
//!
//! `gate` checks every request in one order; what passes it becomes a `call::Call`, which a handler answers. Handlers
//! stand in files named after what they are about.

mod refusal;

mod auth;
mod awaited;
mod content;
mod rates;

mod anchors;
mod answer;
mod cursor;

mod call;
mod gate;

mod walk;

mod paging;

mod places;

mod admission;
mod deliveries;
mod test_events;
mod webhooks;

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use posthaste_contract::Contract;
use posthaste_contract::model::FieldRule;
use posthaste_core::{Clock, Dice};
use posthaste_net::Dialler;
use posthaste_store::Store;

use crate::body::RequestBody;
use crate::client_address::ClientAddress;
use crate::logins::Logins;
use crate::publishing::Publisher;
use anchors::Anchors;
use answer::{Answer, Trail};
use awaited::AwaitedBodies;
use call::Call;
use cursor::CursorSeal;
use places::Places;
use posthaste_contract::PublicIds;
use rates::RateBook;
use refusal::Refused;

/// Probes of new URLs that may be under way at one time; further ones wait.
const PROBES_AT_ONCE: usize = 64;
/// Those of one account.
const PROBES_OF_ACCOUNT: usize = 4;
/// Test events that may be waited for at one time; further ones are refused.
const TESTS_AT_ONCE: usize = 256;
/// Those of one account.
const TESTS_OF_ACCOUNT: usize = 32;

/// What the public API is made of.
pub struct PublicParts {
    /// What it looks like.
    pub contract: Arc<Contract>,
    /// What it remembers.
    pub store: Arc<dyn Store>,
    /// What judges and probes the URLs of webhooks.
    pub dialler: Arc<Dialler>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub dice: Arc<dyn Dice>,
    /// The longest request body.
    pub body_limit_bytes: usize,
    /// Who guesses credentials; the same for all listeners.
    pub logins: Arc<Logins>,
}

impl PublicParts {
    /// The longest request body, unless the operator says otherwise.
    pub const BODY_LIMIT_BYTES: usize = 256 * 1024;
}

/// The API that the contract describes.
pub struct PublicApi {
    parts: PublicParts,
    contract: Arc<Contract>,
    ids: PublicIds,
    publisher: Publisher,
    cursors: CursorSeal,
    rates: RateBook,
    awaited: AwaitedBodies,
    anchors: Anchors,
    probes: Places,
    tests: Places,
}

impl PublicApi {
    /// The API of a contract over a store.
    #[must_use]
    pub fn new(parts: PublicParts) -> Self {
        let id_key = parts.store.id_key();
        let contract = match parts.dialler.guard().policy().allows_http() {
            true => Arc::new(taking_http(&parts.contract)),
            false => parts.contract.clone(),
        };
        Self {
            ids: PublicIds::new(&contract, id_key),
            publisher: Publisher::new(contract.clone(), parts.store.clone(), parts.clock.clone()),
            cursors: CursorSeal::new(id_key),
            rates: RateBook::default(),
            awaited: AwaitedBodies::default(),
            anchors: Anchors::default(),
            probes: Places::new(PROBES_AT_ONCE, PROBES_OF_ACCOUNT),
            tests: Places::new(TESTS_AT_ONCE, TESTS_OF_ACCOUNT),
            contract,
            parts,
        }
    }

    /// Answers one request of this client.
    pub async fn answer(&self, request: Request<RequestBody>, client: ClientAddress) -> Response<Body> {
        let (head, body) = request.into_parts();
        let now = self.parts.clock.now();
        let mut trail = Trail::new(self.contract.ids.request.random(now, &*self.parts.dice));
        let outcome = match gate::pass(self, &head, body, client, now, &mut trail).await {
            Ok(call) => self.handle(&call).await,
            Err(refused) => Err(refused),
        };
        trail.respond(&self.contract, outcome)
    }

    async fn handle(&self, call: &Call<'_>) -> Result<Answer, Refused> {
        use posthaste_contract::Op;
        match call.route.op {
            Op::WebhookCreate => webhooks::create(call).await,
            Op::WebhookList => webhooks::list(call).await,
            Op::WebhookGet => webhooks::get(call).await,
            Op::WebhookUpdate => webhooks::update(call).await,
            Op::WebhookDelete => webhooks::delete(call).await,
            Op::WebhookRotate => webhooks::rotate(call).await,
            Op::WebhookPause => webhooks::pause(call).await,
            Op::WebhookResume => webhooks::resume(call).await,
            Op::WebhookTest => test_events::send(call).await,
            Op::DeliveryList => deliveries::list(call).await,
            Op::DeliveryGet => deliveries::get(call).await,
            Op::DeliveryResend => deliveries::resend(call).await,
        }
    }
}

/// The contract, but with `http` among the schemes of every URL it reads: the operator allowed it.
fn taking_http(contract: &Contract) -> Contract {
    let mut contract = contract.clone();
    for field in contract.inputs.iter_mut().flat_map(|input| &mut input.fields) {
        if let FieldRule::Url { schemes, .. } = &mut field.rule
            && !schemes.iter().any(|scheme| scheme == "http")
        {
            schemes.push("http".to_owned());
        }
    }
    contract
}
