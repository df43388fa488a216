//! `dev`: the first five minutes. One process that is everything: the server, a customer who registers a webhook by the
//! contract's own route, the product that publishes an event, and the receiver that checks what arrives.

mod customer;
mod example;
mod paste;
mod watch;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use posthaste_contract::Contract;
use posthaste_contract::model::AccessKind;
use posthaste_core::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin_client::AdminClient;
use crate::certificate::Identity;
use crate::contract_file;
use crate::data_folder::DataFolder;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::output::Output;
use crate::receiver::Receiver;
use crate::server::{Listeners, Server};
use crate::settings::{self, DEFAULT_LISTEN, Layers, ServerFlags, ServerSettings};
use crate::signals::EndSignals;
use crate::trust::Trust;
use customer::{Customer, Registered};
use watch::{Seen, Watch};

/// What `dev` is told.
#[derive(Args)]
pub struct Dev {
    /// Ends after the first delivery
    #[arg(long, hide = true)]
    exit_after_delivery: bool,
    #[command(flatten)]
    flags: ServerFlags,
}

/// The receiver's name. It belongs to nobody; deliveries to it are led to this machine.
const RECEIVER_HOST: &str = "receiver.example.com";
/// The most runs on one data folder; each has a demo customer of its own.
const RUNS_MAX: usize = 10_000;
/// The longest wait for the first delivery.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(20);

impl Dev {
    /// Shows one delivery, then stays up until the process is told to stop.
    ///
    /// # Errors
    /// What keeps it from starting, or the delivery from arriving.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let layers = settings::gather(&self.flags).map_err(|fault| Failure::usage(fault.to_string()))?;
        let (mut settings, _folder) = demo_settings(layers)?;
        logging::start(&settings.log)?;
        let contract = Arc::new(contract_file::load(&settings.contract)?.contract);
        let mut end = EndSignals::new()?;
        let receiver = receiver(&mut settings).await?;
        let listeners = listeners(&mut settings).await?;
        let server = Server::start(&settings, contract.clone(), listeners).await?;
        let stage = Stage::new(&server, contract, Output::text_unless(json))?;
        let shown = tokio::select! {
            shown = stage.show(receiver, self.exit_after_delivery) => shown,
            () = end.wait() => Ok(()),
        };
        let stopped = server.stop().await.map_err(Failure::refused);
        shown.and(stopped).map(|()| Exit::Done)
    }
}

/// The settings of `dev`: a store that is gone afterwards, and a quiet log.
fn demo_settings(mut layers: Layers) -> Result<(ServerSettings, Option<TempDir>), Failure> {
    let folder = match layers.is_default("data") {
        true => {
            // A key is kept in it.
            let private = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir();
            Some(private.map_err(|error| Failure::refused(format!("no temporary folder: {error}")))?)
        }
        false => None,
    };
    if let Some(folder) = &folder {
        layers.change_default("data", &folder.path().to_string_lossy());
    }
    layers.change_default("log", "warn");
    let settings = ServerSettings::read(&layers).map_err(|fault| Failure::usage(fault.to_string()))?;
    Ok((settings, folder))
}

/// The usual port; if that is taken, any.
async fn listeners(settings: &mut ServerSettings) -> Result<Listeners, Failure> {
    match Listeners::bind(settings).await {
        Err(_) if settings.listen == DEFAULT_LISTEN => {
            settings.listen.set_port(0);
            Listeners::bind(settings).await
        }
        bound => bound,
    }
}

/// A receiver on this machine. The address guard lets deliveries through to it and to nothing else: its name leads to
/// this one address, and its certificate's authority is trusted for this run.
async fn receiver(settings: &mut ServerSettings) -> Result<Receiver, Failure> {
    let identity =
        Identity::for_names(&[RECEIVER_HOST]).map_err(|fault| Failure::refused(fault.to_string()))?;
    let cannot = |error: std::io::Error| Failure::refused(format!("the receiver cannot start: {error}"));
    let receiver = Receiver::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Some(identity.server));
    let receiver = receiver.await.map_err(cannot)?;
    let entry = format!("{RECEIVER_HOST}:443:{}", receiver.address);
    settings.connect_to.insert(0, entry.parse().map_err(|fault| Failure::refused(format!("{fault}")))?);
    let authority: PathBuf = settings.data.join("receiver-ca.pem");
    DataFolder::at(&settings.data).make()?;
    std::fs::write(&authority, identity.authority_pem).map_err(cannot)?;
    settings.ca_files.push(authority);
    Ok(receiver)
}

/// Where the demonstration plays.
struct Stage {
    contract: Arc<Contract>,
    base: String,
    admin_base: String,
    trust: Option<Trust>,
    admin_trust: Option<Trust>,
    token: Secret,
    watch: Arc<Watch>,
    output: Output,
}

impl Stage {
    fn new(server: &Server, contract: Arc<Contract>, output: Output) -> Result<Self, Failure> {
        let ((base, pin), (admin_base, admin_pin)) = (server.file.public_base(), server.file.admin_base());
        Ok(Self {
            base,
            admin_base,
            trust: pin.map(Trust::pinned).transpose()?,
            admin_trust: admin_pin.map(Trust::pinned).transpose()?,
            token: server.token.clone(),
            watch: Arc::new(Watch::new(contract.clone(), server.store.roster())),
            contract,
            output,
        })
    }

    async fn show(&self, receiver: Receiver, and_end: bool) -> Result<(), Failure> {
        let mut seen = self.watch.start(receiver);
        let admin = AdminClient::new(&self.admin_base, self.token.clone());
        let admin = match &self.admin_trust {
            Some(trust) => admin.trusting(trust.clone()),
            None => admin,
        };
        let customer = self.new_customer(&admin).await?;
        let event_type = example::event_type(&self.contract);
        let webhook = customer.register(&format!("https://{RECEIVER_HOST}/hooks/demo"), &event_type).await?;
        self.watch.know(&webhook.url, webhook.secret.clone());
        let event = json!({
            "type": event_type, "data": example::data(&self.contract, &event_type), "account": customer.account,
        });
        admin.post("/events", &event).await?;
        let first = tokio::time::timeout(DELIVERY_PATIENCE, seen.recv()).await.ok().flatten();
        let first = first.ok_or_else(|| Failure::refused("the event was accepted, but nothing arrived"))?;
        self.print_first(&customer, &webhook, &first);
        if !first.verdict.is_verified() {
            return Err(Failure::refused(first.verdict.words()));
        }
        if and_end {
            return Ok(());
        }
        let lines = paste::lines(&self.contract, &customer, &webhook, &event, &self.admin_base, &self.token);
        self.output.answer(lines, &self.addresses(&customer, &webhook));
        while let Some(next) = seen.recv().await {
            self.print_next(&next);
        }
        Ok(())
    }

    /// A customer of this run alone: a kept data folder may hold those of earlier ones.
    async fn new_customer(&self, admin: &AdminClient) -> Result<Customer, Failure> {
        let mut account = "demo".to_owned();
        for run in 2..=RUNS_MAX {
            match admin.post("/accounts", &json!({"id": account, "name": "Made by posthaste dev"})).await {
                Err(failure) if failure.exit != Exit::Refused || run == RUNS_MAX => return Err(failure),
                Err(_) => account = format!("demo-{run}"),
                Ok(_) => break,
            }
        }
        let key = admin.post(&format!("/accounts/{account}/keys"), &full_rights(&self.contract)).await?;
        Customer::new(self.contract.clone(), (&self.base, self.trust.clone()), account, &key)
    }

    /// What a program needs to go on from here.
    fn addresses(&self, customer: &Customer, webhook: &Registered) -> Value {
        json!({
            "api": self.base,
            "docs": format!("{}/docs", self.base),
            "admin": self.admin_base,
            "admin_token": self.token.expose_text(),
            "account": customer.account,
            "key": customer.key,
            "webhook_id": webhook.id,
        })
    }

    fn print_first(&self, customer: &Customer, webhook: &Registered, seen: &Seen) {
        let sentence = format!(
            "The contract is {}.\n\
             1. The product made the account {} and an API key for it.\n\
             2. The customer registered {} with {}.\n\
             3. The product published {}.\n\
             4. The receiver, in this process and over HTTPS, got:\n\n{}\n   {}\n",
            self.contract.name,
            customer.account,
            webhook.url,
            webhook.request_line,
            webhook.event_type,
            crate::verdict::pretty(&seen.arrival),
            seen.verdict.words()
        );
        self.output.answer(sentence, &seen.verdict.to_json(&seen.arrival, watch::ANSWERED.as_u16()));
    }

    fn print_next(&self, seen: &Seen) {
        let of = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
        let verdict = &seen.verdict;
        let sentence = format!(
            "{}  {}  {}  {}",
            seen.arrival.target,
            of(&verdict.event_type),
            of(&verdict.event_id),
            verdict.words()
        );
        self.output.answer(sentence, &verdict.to_json(&seen.arrival, watch::ANSWERED.as_u16()));
    }
}

/// What a key needs to be allowed everything.
fn full_rights(contract: &Contract) -> Value {
    match &contract.access.kind {
        AccessKind::None => json!({}),
        AccessKind::Tier(tiers) => json!({"tier": tiers.last()}),
        AccessKind::Role(roles) => json!({"roles": roles.last().map(|role| vec![role])}),
        AccessKind::Scope(scopes) => json!({"scopes": scopes}),
    }
}
