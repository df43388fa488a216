//! The server: what it is made of, how it starts, how it stops.

mod allowances;
mod certificates;
mod core_dumps;
mod cores;
mod open_files;
mod outward;
mod threads;

mod entrances;
mod watcher;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthaste_api::admin::{self, AdminParts, BodyLimits};
use posthaste_api::docs::Docs;
use posthaste_api::logins::Logins;
use posthaste_api::public::{PublicApi, PublicParts};
use posthaste_api::server::{Entrance, Metrics, Notes, Readiness, Site, SiteParts, serve};
use posthaste_contract::Contract;
use posthaste_core::{Clock, Dice, Secret};
use posthaste_engine::bounds::Bounds;
use posthaste_engine::driver::{Engine, EngineParts, Home};
use posthaste_engine::observe::Observe;
use posthaste_net::HttpTransport;
use posthaste_store::{Embedded, Options, Store, StoreError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::data_folder::{DataFolder, ServerFile, base_url};
use crate::failure::Failure;
use crate::outside::{ServerClock, SystemDice};
use crate::settings::ServerSettings;
use cores::Cores;
use entrances::Entrances;
use open_files::Connections;
use outward::Outward;
use watcher::{Condition, Watch, Watched, seen};

/// How long attempts under way may take after the end was announced.
const ATTEMPTS_PATIENCE: Duration = Duration::from_secs(10);
/// How long the whole end may take.
const STOP_PATIENCE: Duration = Duration::from_secs(14);
/// The longest body a customer may send: webhooks are short, events come from elsewhere.
const CUSTOMERS_BODY_MAX_BYTES: usize = 64 * 1024;
/// How often a running server asks itself whether it still works.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A server that runs.
pub struct Server {
    /// Where it is.
    pub file: ServerFile,
    /// The admin token.
    pub token: Secret,
    /// The store.
    pub store: Arc<dyn Store>,
    folder: DataFolder,
    cores: Cores,
    engine: SharedEngine,
    watch: Watch,
    shutdown: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    certificates: JoinSet<()>,
}

/// Deliveries as readiness looks at them, until they are stopped.
type SharedEngine = Arc<Mutex<Option<Engine>>>;

/// The sockets a server listens on. They are taken before anything else happens.
pub struct Listeners {
    public: TcpListener,
    admin: Option<TcpListener>,
}

impl Listeners {
    /// Takes the addresses of the settings.
    ///
    /// # Errors
    /// If one of them is in use or not ours.
    pub async fn bind(settings: &ServerSettings) -> Result<Self, Failure> {
        let public = listen(settings.listen).await?;
        let admin = match settings.admin_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Self { public, admin })
    }

    fn addresses(&self) -> Result<(SocketAddr, SocketAddr), Failure> {
        let public = address_of(&self.public)?;
        Ok((public, self.admin.as_ref().map_or(Ok(public), address_of)?))
    }
}

/// What the parts of a server share.
struct Common {
    contract: Arc<Contract>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    outward: Outward,
    homes: Arc<[Handle]>,
    connections: Connections,
}

impl Server {
    /// Starts everything, or nothing: the ports are taken already and the store is opened before anything is written,
    /// so that whatever is in the way is found first.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn start(
        settings: &ServerSettings,
        contract: Arc<Contract>,
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let files = open_files::allow_many()?;
        threads::refuse_few()?;
        core_dumps::forbid();
        let (public, admin) = listeners.addresses()?;
        let mut registry = Registry::default();
        let (clock, dice): (Arc<dyn Clock>, _) =
            (Arc::new(ServerClock::start()), Arc::new(SystemDice::default()));
        let entrances = Entrances::read(settings, &clock, &mut registry)?;
        let outward = outward::build(settings, vec![public, admin])?;
        allowances::tell(settings);
        posthaste_faults::point("posthaste.listening");
        let store = open_store(settings, clock.clone()).await?;
        posthaste_faults::point("posthaste.store-open");
        let cores = Cores::start()?;
        let homes = cores.homes();
        let ways = 1 + usize::from(listeners.admin.is_some());
        let connections = Connections::within(files, homes.len(), ways);
        let common = Common {
            contract,
            store: store.clone(),
            clock,
            dice,
            outward,
            homes: homes.clone(),
            connections,
        };
        let folder = DataFolder::at(&settings.data);
        for (path, what) in folder.readable_by_all() {
            tracing::warn!(file = %path.display(), "everybody on this machine can read {what}");
        }
        let token = match &settings.admin_token {
            Some(token) => token.clone(),
            None => folder.token_or_new(&*common.dice)?,
        };
        posthaste_faults::point("posthaste.token-made");
        let logins = logins(settings, &*common.dice, &mut registry);
        begin_sending(&*store).await?;
        let engine = start_engine(settings, &common, &mut registry).await?;
        tell_of_copy(settings, &common).await?;
        posthaste_faults::point("posthaste.delivering");
        let watch = watch_over(&common, &cores, &engine)?;
        let readiness = readiness(store.clone(), engine.clone(), watch.condition());
        let customers = {
            let base = base_url(public, entrances.public_is_tls());
            for_customers(settings, &common, &base, logins.clone(), readiness.clone())
        };
        let operators = for_operators(settings, &common, &token, logins, registry, readiness.clone());
        let (shutdown, stopping) = watch::channel(false);
        let run = |(entrance, parts): (Entrance, SiteParts)| {
            let site =
                Arc::new(Site::new(parts).behind(settings.trusted_proxies.clone()).noting(notes(&store)));
            let (homes, stopping) = (homes.clone(), stopping.clone());
            tokio::spawn(async move {
                serve(entrance, site, connections.server, &homes, stopping).await;
            })
        };
        let at_public = entrances.public(listeners.public);
        let sites = match listeners.admin {
            Some(listener) => vec![(at_public, customers), (entrances.admin(listener), operators)],
            None => vec![(at_public, together(customers, operators))],
        };
        let listeners = sites.into_iter().map(run).collect();
        let name = common.contract.name.clone();
        tracing::info!(%public, %admin, contract = name, data = %settings.data.display(), "serving");
        entrances.warn_of_clear_text(public, admin);
        let file = entrances.file(public, admin, name);
        folder.announce(&file)?;
        posthaste_faults::point("posthaste.announced");
        let certificates = entrances.keep(folder.clone(), file.clone());
        Ok(Self { file, token, store, folder, cores, engine, watch, shutdown, listeners, certificates })
    }

    /// Waits until something has failed that does not mend itself, and says what: the process has to be started again,
    /// and whoever watches over it should see it end.
    pub async fn until_broken(&self) -> String {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(why) = self.what_is_broken() {
                return why;
            }
        }
    }

    fn what_is_broken(&self) -> Option<String> {
        if let Err(why) = running(&*self.store, &self.engine) {
            return Some(why);
        }
        if self.listeners.iter().any(JoinHandle::is_finished) {
            return Some("no connections are taken".to_owned());
        }
        match seen(&self.watch.condition()) {
            Condition::Broken(why) => Some(why),
            Condition::Well | Condition::Stuck(_) => None,
        }
    }

    /// Takes no new requests, lets requests and attempts under way finish, closes the store. What does not finish in
    /// time is done again after the next start.
    ///
    /// # Errors
    /// Why the store failed, if it did, at its end or before.
    pub async fn stop(self) -> Result<(), String> {
        tracing::info!("stopping");
        posthaste_faults::point("posthaste.told-to-end");
        drop(self.certificates);
        drop(self.watch);
        self.folder.withdraw();
        posthaste_faults::point("posthaste.withdrawn");
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
        let (store, cores) = (self.store, self.cores);
        let stored = store.clone();
        let everything = async {
            tokio::join!(listeners, deliveries);
            posthaste_faults::point("posthaste.drained");
            store.close().await;
            posthaste_faults::point("posthaste.store-closed");
            cores.stop().await;
        };
        if tokio::time::timeout(STOP_PATIENCE, everything).await.is_err() {
            tracing::warn!("not everything ended in time; what is left is done after the next start");
        }
        tracing::info!("stopped");
        stored.failure().map_or(Ok(()), Err)
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

/// A copy that is young enough to go on by itself is one no longer: the next start may come when it is old.
async fn begin_sending(store: &dyn Store) -> Result<(), Failure> {
    match store.begin_sending().await {
        // Nothing is sent without room, and a start on a full disk is none that is refused.
        Err(StoreError::StorageFull) => {
            tracing::warn!(
                "the disk is full: a store that was put back from a copy is told by its age at the next start too"
            );
            Ok(())
        }
        begun => begun.map_err(|error| Failure::refused(error.to_string())),
    }
}

async fn start_engine(
    settings: &ServerSettings,
    common: &Common,
    registry: &mut Registry,
) -> Result<SharedEngine, Failure> {
    let home = |runtime: &Handle| {
        let transport = HttpTransport::new(common.outward.dialler.clone(), common.connections.pool);
        Home { runtime: runtime.clone(), transport: Arc::new(transport) }
    };
    let starting = Engine::start(EngineParts {
        contract: common.contract.clone(),
        store: common.store.clone(),
        guard: common.outward.guard.clone(),
        homes: common.homes.iter().map(home).collect(),
        clock: common.clock.clone(),
        dice: common.dice.clone(),
        bounds: Bounds { in_flight_per_webhook: settings.webhook_concurrency, ..common.connections.engine },
        retention: settings.retention,
        audit_retention: settings.audit_retention,
        observe: Observe::register(registry),
    });
    let engine = starting.await.map_err(|error| Failure::refused(error.to_string()))?;
    Ok(Arc::new(Mutex::new(Some(engine))))
}

fn for_customers(
    settings: &ServerSettings,
    common: &Common,
    base: &str,
    logins: Arc<Logins>,
    readiness: Readiness,
) -> SiteParts {
    let api = PublicApi::new(PublicParts {
        contract: common.contract.clone(),
        store: common.store.clone(),
        dialler: common.outward.dialler.clone(),
        clock: common.clock.clone(),
        dice: common.dice.clone(),
        body_limit_bytes: settings.body_limit_bytes.min(CUSTOMERS_BODY_MAX_BYTES),
        logins,
    });
    let docs = Docs::new(&common.contract, base);
    SiteParts { public: Some(Arc::new(api)), docs: Some(docs), admin: None, readiness, metrics: None }
}

fn for_operators(
    settings: &ServerSettings,
    common: &Common,
    token: &Secret,
    logins: Arc<Logins>,
    registry: Registry,
    readiness: Readiness,
) -> SiteParts {
    let admin = admin::router(AdminParts {
        contract: common.contract.clone(),
        store: common.store.clone(),
        clock: common.clock.clone(),
        dice: common.dice.clone(),
        token: token.clone(),
        limits: BodyLimits { event_bytes: settings.body_limit_bytes, ..BodyLimits::default() },
        logins,
    });
    let metrics = settings.metrics.then(|| metrics(registry));
    SiteParts { public: None, docs: None, admin: Some(admin), readiness, metrics }
}

fn logins(settings: &ServerSettings, dice: &dyn Dice, registry: &mut Registry) -> Arc<Logins> {
    let logins = Logins::new(settings.failed_logins, dice);
    logins.register(registry);
    Arc::new(logins)
}

fn watch_over(common: &Common, cores: &Cores, engine: &SharedEngine) -> Result<Watch, Failure> {
    let engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
    let pulse = engine.as_ref().map(Engine::pulse).unwrap_or_default();
    let attempt_max = common.contract.policy.timeout;
    Watch::start(Watched { lives: cores.lives(), pulse, store: common.store.clone(), attempt_max })
}

fn readiness(store: Arc<dyn Store>, engine: SharedEngine, condition: Arc<Mutex<Condition>>) -> Readiness {
    Arc::new(move || {
        running(&*store, &engine)?;
        store.room_for_results()?;
        store.room_for_events()?;
        match seen(&condition) {
            Condition::Well => Ok(()),
            Condition::Stuck(why) | Condition::Broken(why) => Err(why),
        }
    })
}

/// Does the store take writes, and are deliveries made?
fn running(store: &dyn Store, engine: &SharedEngine) -> Result<(), String> {
    store.health()?;
    let engine = engine.lock().unwrap_or_else(PoisonError::into_inner);
    match engine.as_ref().is_some_and(Engine::is_running) {
        true => Ok(()),
        false => Err("no deliveries are made".to_owned()),
    }
}

/// A store that was put back from an old copy sends nothing unasked: says so, or lets it go if that is a setting.
async fn tell_of_copy(settings: &ServerSettings, common: &Common) -> Result<(), Failure> {
    let store = &common.store;
    let Some(copied_at) = *store.held_since().borrow() else { return Ok(()) };
    let refused = |error: StoreError| Failure::refused(error.to_string());
    let owed = store.owed().await.map_err(refused)?;
    tracing::warn!(
        copied_at = copied_at.rfc3339_ms(),
        pending = owed.deliveries,
        events = owed.events,
        "the store was put back from an old copy: sending is held until `posthaste sending release`"
    );
    if settings.release_restored {
        store.release_sending(common.clock.now().into()).await.map_err(refused)?;
        tracing::warn!("sending goes on at once (--release-restored)");
    }
    Ok(())
}

/// What `/readyz` says besides.
fn notes(store: &Arc<dyn Store>) -> Notes {
    let (held_since, damage) = (store.held_since(), store.damage());
    Arc::new(move || {
        let held = held_since.borrow().map(|copied_at| {
            format!("sending is held: the store was put back from a copy of {}", copied_at.rfc3339_ms())
        });
        let damaged = damage.first().map(|what| format!("{} rows are damaged: {what}", damage.count()));
        held.into_iter().chain(damaged).collect()
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
