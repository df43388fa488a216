//! The real service over a real store and real sockets.

mod check;
mod client;
mod history;
mod outside;
mod receiver;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use posthaste_api::docs::Docs;
use posthaste_api::logins::Logins;
use posthaste_api::public::{PublicApi, PublicParts};
use posthaste_api::server::{ServerBounds, Site, SiteParts, serve};
use posthaste_contract::Contract;
use posthaste_contract::model::AccessKind;
use posthaste_core::{Account, ApiKey, Secret, UnixMs};
use posthaste_net::{Dialler, Guard, GuardPolicy, Resolver, Tls};
use posthaste_store::{Embedded, NewAccount, NewKey, Options, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use client::{Reply, exchange, read};
pub use outside::{Chance, SetClock};
pub use receiver::Receiver;
pub use request::Ask;

pub const CONTRACTS: [&str; 5] = ["aioka", "aira", "elydora", "pipai", "standard"];

/// Different wrong keys in a minute before an address has to wait, as the program has it.
const FAILED_LOGINS: u32 = 20;

/// A key as its holder knows it.
#[derive(Clone)]
pub struct Holder {
    pub key: ApiKey,
    pub text: String,
    pub signing_secret: Option<Secret>,
}

pub struct Rig {
    pub contract: Arc<Contract>,
    pub store: Arc<Embedded>,
    pub clock: Arc<SetClock>,
    pub address: SocketAddr,
    pub account: Account,
    pub holder: Holder,
    /// Rows asserted so far.
    asserted: AtomicUsize,
    dice: Arc<Chance>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    _receiver: Receiver,
    _folder: TempDir,
}

impl Rig {
    /// The service of a built-in contract.
    pub async fn start(contract: &str) -> Self {
        Self::of(Contract::builtin(contract).unwrap_or_else(|| panic!("{contract} cannot be read"))).await
    }

    /// The service of a contract. Every host name leads to a receiver with a valid certificate.
    pub async fn of(contract: Contract) -> Self {
        Self::with(contract, ServerBounds::default()).await
    }

    /// The same where one address may try any number of wrong keys.
    pub async fn for_guesses(contract: &str) -> Self {
        Self::built(Contract::builtin(contract).unwrap(), ServerBounds::default(), 0).await
    }

    pub async fn with(contract: Contract, bounds: ServerBounds) -> Self {
        Self::built(contract, bounds, FAILED_LOGINS).await
    }

    async fn built(contract: Contract, bounds: ServerBounds, failed_logins: u32) -> Self {
        let (contract, clock, dice) =
            (Arc::new(contract), Arc::new(SetClock::default()), Arc::new(Chance::default()));
        let folder = tempfile::tempdir().unwrap();
        let store =
            Embedded::open(&folder.path().join("data"), None, Options::default(), clock.clone()).unwrap();
        let receiver = Receiver::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let public = PublicApi::new(PublicParts {
            contract: contract.clone(),
            store: store.clone(),
            dialler: Arc::new(dialler(&receiver)),
            clock: clock.clone(),
            dice: dice.clone(),
            body_limit_bytes: PublicParts::BODY_LIMIT_BYTES,
            logins: Arc::new(Logins::new(failed_logins, &*dice)),
        });
        let site = Site::new(SiteParts {
            public: Some(Arc::new(public)),
            docs: Some(Docs::new(&contract, "http://localhost")),
            admin: None,
            readiness: {
                let store = store.clone();
                Arc::new(move || store.health())
            },
            metrics: None,
        });
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(async move { serve(listener, Arc::new(site), bounds, &[], stopped).await });
        let account = store
            .create_account(NewAccount { id: "acme".into(), name: None }, clock.time().into())
            .await
            .unwrap();
        let holder = make_key(&contract, &*store, &clock, &dice, &account, &rights(&contract), None).await;
        let (_receiver, _folder, asserted) = (receiver, folder, AtomicUsize::new(0));
        Self {
            contract,
            store,
            clock,
            address,
            account,
            holder,
            asserted,
            dice,
            stop,
            server,
            _receiver,
            _folder,
        }
    }

    pub async fn other_account(&self, id: &str) -> Account {
        self.store
            .create_account(NewAccount { id: id.into(), name: None }, self.clock.time().into())
            .await
            .unwrap()
    }

    /// A key that may do everything.
    pub async fn key_of(&self, account: &Account) -> Holder {
        self.key_with(account, &rights(&self.contract)).await
    }

    /// A key with these tiers, roles or scopes.
    pub async fn key_with(&self, account: &Account, rights: &[String]) -> Holder {
        make_key(&self.contract, &*self.store, &self.clock, &self.dice, account, rights, None).await
    }

    /// A key that may do everything for a while.
    pub async fn key_until(&self, from_now: Duration) -> Holder {
        let (rights, until) = (rights(&self.contract), self.clock.time().plus(from_now));
        make_key(&self.contract, &*self.store, &self.clock, &self.dice, &self.account, &rights, Some(until))
            .await
    }

    /// How many webhooks there are.
    pub async fn webhooks(&self) -> usize {
        self.store.webhooks(self.account.no, None, None, 1000).await.unwrap().items.len()
    }

    /// Sends a request as described.
    pub async fn send(&self, ask: &Ask) -> Reply {
        exchange(self.address, &ask.bytes()).await
    }

    /// The service is alive and ready.
    pub async fn assert_ready(&self) {
        let reply =
            exchange(self.address, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Stops the server in good order.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.server.await.unwrap();
    }
}

/// The words that let a key do everything in a contract.
fn rights(contract: &Contract) -> Vec<String> {
    match &contract.access.kind {
        AccessKind::None => Vec::new(),
        AccessKind::Tier(words) | AccessKind::Role(words) => words.last().cloned().into_iter().collect(),
        AccessKind::Scope(words) => words.clone(),
    }
}

async fn make_key(
    contract: &Contract,
    store: &dyn Store,
    clock: &SetClock,
    dice: &Chance,
    account: &Account,
    rights: &[String],
    expires_at: Option<UnixMs>,
) -> Holder {
    let first = rights.first().map(String::as_str);
    let texts = contract.new_key(first, dice);
    let (mut tier, mut roles, mut scopes) = (None, Vec::new(), Vec::new());
    match &contract.access.kind {
        AccessKind::None => {}
        AccessKind::Tier(_) => tier = first.map(str::to_owned),
        AccessKind::Role(_) => roles = rights.to_vec(),
        AccessKind::Scope(_) => scopes = rights.to_vec(),
    }
    let new = NewKey {
        id: format!("key_{}", texts.key.expose_text().len() + dice.count()),
        account: account.no,
        key: texts.key.clone(),
        signing_secret: texts.signing_secret.clone(),
        tier,
        roles,
        scopes,
        description: None,
        expires_at,
    };
    let key = store.create_key(new, clock.time().into()).await.unwrap();
    Holder { key, text: texts.key.expose_text().to_owned(), signing_secret: texts.signing_secret }
}

fn dialler(receiver: &Receiver) -> Dialler {
    let anywhere = format!("::{}:{}", receiver.address.ip(), receiver.address.port());
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let resolver = Resolver::with_name_servers(&[nobody], vec![anywhere.parse().unwrap()]).unwrap();
    let tls = Tls::new(Some(receiver.authority_pem.as_bytes())).unwrap();
    Dialler::new(Arc::new(Guard::new(GuardPolicy::default())), resolver, tls)
}
