//! The server: what it is made of, how it starts, how it stops.

mod outward;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_api::admin::{self, AdminParts, BodyLimits};
use posthaste_api::docs::Docs;
use posthaste_api::public::{PublicApi, PublicParts};
use posthaste_api::server::{Metrics, Readiness, ServerBounds, Site, SiteParts, serve};
use posthaste_contract::Contract;
use posthaste_core::{Clock, Dice, Secret};
use posthaste_engine::bounds::Bounds;
use posthaste_engine::driver::{Engine, EngineParts};
use posthaste_engine::observe::Observe;
use posthaste_net::{HttpTransport, PoolLimits};
use posthaste_store::{Embedded, Options, Store};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin_client::reachable;
use crate::data_folder::{DataFolder, ServerFile};
use crate::failure::Failure;
use crate::outside::{SystemClock, SystemDice};
use crate::settings::ServerSettings;

/// How long attempts under way may take after the end was announced.
const ATTEMPTS_PATIENCE: Duration = Duration::from_secs(10);
/// How long the whole end may take.
const STOP_PATIENCE: Duration = Duration::from_secs(14);

/// A server that runs.
pub struct Server {
    /// Where the public API listens.
    pub public: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// The admin token.
    pub token: Secret,
    /// The store.
    pub store: Arc<dyn Store>,
    folder: DataFolder,
    engine: SharedEngine,
    shutdown: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

/// Deliveries as readiness looks at them, until they are stopped.
type SharedEngine = Arc<Mutex<Option<Engine>>>;

/// What the parts of a server share.
struct Common {
    contract: Arc<Contract>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
}

impl Server {
    /// Starts everything, or nothing: ports are taken first and the store is opened next, so that whatever is in the
    /// way is found before anything is written.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn start(settings: &ServerSettings, contract: Arc<Contract>) -> Result<Self, Failure> {
        let common = Common { contract, clock: Arc::new(SystemClock), dice: Arc::new(SystemDice::default()) };
        let public = listen(settings.listen).await?;
        let own_admin = match settings.admin_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let public_address = address_of(&public)?;
        let admin_address = own_admin.as_ref().map_or(Ok(public_address), address_of)?;
        let outward = outward::build(settings, vec![public_address, admin_address])?;
        let store = open_store(settings, common.clock.clone()).await?;
        let folder = DataFolder::at(&settings.data);
        let token = match &settings.admin_token {
            Some(token) => token.clone(),
            None => folder.token_or_new(&*common.dice)?,
        };
        let transport = HttpTransport::new(outward.dialler.clone(), PoolLimits::default());
        let mut registry = Registry::default();
        let engine = Engine::start(EngineParts {
            contract: common.contract.clone(),
            store: store.clone(),
            guard: outward.guard,
            transport: Arc::new(transport),
            clock: common.clock.clone(),
            dice: common.dice.clone(),
            bounds: Bounds { in_flight_per_webhook: settings.webhook_concurrency, ..Bounds::default() },
            retention: settings.retention,
            observe: Observe::register(&mut registry),
        });
        let engine = engine.await.map_err(|error| Failure::refused(error.to_string()))?;
        let engine: SharedEngine = Arc::new(Mutex::new(Some(engine)));

        let admin = admin::router(AdminParts {
            contract: common.contract.clone(),
            store: store.clone(),
            clock: common.clock.clone(),
            dice: common.dice.clone(),
            token: token.clone(),
            limits: BodyLimits { event_bytes: settings.body_limit_bytes, ..BodyLimits::default() },
        });
        let public_api = PublicApi::new(PublicParts {
            contract: common.contract.clone(),
            store: store.clone(),
            dialler: outward.dialler,
            clock: common.clock,
            dice: common.dice,
            body_limit_bytes: settings.body_limit_bytes,
        });
        let readiness = readiness(store.clone(), engine.clone());
        let metrics = settings.metrics.then(|| metrics(registry));
        let for_customers = SiteParts {
            public: Some(Arc::new(public_api)),
            docs: Some(Docs::new(&common.contract, &format!("http://{}", reachable(public_address)))),
            admin: None,
            readiness: readiness.clone(),
            metrics: None,
        };
        let for_operators = SiteParts { public: None, docs: None, admin: Some(admin), readiness, metrics };
        let sites = match own_admin {
            Some(listener) => vec![(public, for_customers), (listener, for_operators)],
            None => vec![(public, together(for_customers, for_operators))],
        };
        let (shutdown, stopping) = watch::channel(false);
        let run = |(listener, parts)| {
            let site = Arc::new(Site::new(parts));
            tokio::spawn(serve(listener, site, ServerBounds::default(), stopping.clone()))
        };
        let listeners = sites.into_iter().map(run).collect();
        folder.announce(&ServerFile {
            public: public_address,
            admin: admin_address,
            contract: common.contract.name.clone(),
            process_id: std::process::id(),
        })?;
        tracing::info!(public = %public_address, admin = %admin_address, contract = common.contract.name, "serving");
        Ok(Self {
            public: public_address,
            admin: admin_address,
            token,
            store,
            folder,
            engine,
            shutdown,
            listeners,
        })
    }

    /// Takes no new requests, lets requests and attempts under way finish, closes the store. What does not finish in
    /// time is done again after the next start.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.folder.withdraw();
        let _ = self.shutdown.send(true);
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let listeners = async {
            for listener in self.listeners {
                let _ = listener.await;
            }
        };
        let deliveries = async {
            if let Some(engine) = engine {
                engine.stop(ATTEMPTS_PATIENCE).await;
            }
        };
        let store = self.store;
        let everything = async {
            tokio::join!(listeners, deliveries);
            store.close().await;
        };
        if tokio::time::timeout(STOP_PATIENCE, everything).await.is_err() {
            tracing::warn!("not everything ended in time; what is left is done after the next start");
        }
        tracing::info!("stopped");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::refused(format!("cannot listen on {address}: {error}")))
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::refused(format!("a listener has no address: {error}")))
}

async fn open_store(settings: &ServerSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, Failure> {
    let key = settings.master_key.clone();
    let data = settings.data.clone();
    let opening = tokio::task::spawn_blocking(move || Embedded::open(&data, key, Options::default(), clock));
    match opening.await {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(error)) => Err(Failure::refused(error.to_string())),
        Err(error) => Err(Failure::refused(format!("the store could not be opened: {error}"))),
    }
}

fn readiness(store: Arc<dyn Store>, engine: SharedEngine) -> Readiness {
    Arc::new(move || {
        store.health()?;
        let engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
        match engine.as_ref().is_some_and(Engine::is_running) {
            true => Ok(()),
            false => Err("no deliveries are made".to_owned()),
        }
    })
}

fn metrics(registry: Registry) -> Metrics {
    Arc::new(move || {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    })
}

/// One site for customers and operators, where there is one listener for both.
fn together(customers: SiteParts, operators: SiteParts) -> SiteParts {
    SiteParts { admin: operators.admin, metrics: operators.metrics, ..customers }
}
