//! The ways in: which listener speaks TLS with which certificate, and what is said about that.

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_api::certificate::Certificate;
use posthaste_api::server::{Entrance, Handshakes, Tls};
use posthaste_core::Clock;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::certificates::{Kept, Reloads};
use crate::data_folder::{DataFolder, ServerFile};
use crate::failure::Failure;
use crate::settings::{ServerSettings, TlsFiles};

type Shown = watch::Receiver<Arc<Certificate>>;

/// What the listeners show.
pub(super) struct Entrances {
    public: Option<Shown>,
    admin: Option<Shown>,
    kept: Vec<Kept>,
    handshakes: Handshakes,
    reloads: Reloads,
}

impl Entrances {
    /// Reads the certificates. A listener of the admin API shows that of the public API unless it has its own.
    pub fn read(
        settings: &ServerSettings,
        clock: &Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> Result<Self, Failure> {
        let mut kept = Vec::new();
        let mut show = |files: &TlsFiles| {
            let certificate = Kept::read(files, clock.clone())?;
            let shown = certificate.watch();
            kept.push(certificate);
            Ok::<Shown, Failure>(shown)
        };
        let public = settings.tls.as_ref().map(&mut show).transpose()?;
        let admin = match &settings.admin_tls {
            Some(files) => Some(show(files)?),
            None => public.clone(),
        };
        let (handshakes, reloads) = (Handshakes::register(registry), Reloads::register(registry));
        Ok(Self { public, admin, kept, handshakes, reloads })
    }

    /// The way in to the public API.
    pub fn public(&self, listener: TcpListener) -> Entrance {
        self.entrance(listener, self.public.as_ref())
    }

    /// The way in to the admin API, where it has a listener of its own.
    pub fn admin(&self, listener: TcpListener) -> Entrance {
        self.entrance(listener, self.admin.as_ref())
    }

    fn entrance(&self, listener: TcpListener, shown: Option<&Shown>) -> Entrance {
        match shown {
            Some(shown) => Entrance::with_tls(listener, Tls::new(shown.clone(), self.handshakes.clone())),
            None => listener.into(),
        }
    }

    /// Does the public API speak TLS?
    pub fn public_is_tls(&self) -> bool {
        self.public.is_some()
    }

    /// Says what travels in the clear beyond this machine.
    pub fn warn_of_clear_text(&self, public: SocketAddr, admin: SocketAddr) {
        let is_clear = |address: SocketAddr, shown: &Option<Shown>| {
            shown.is_none() && !address.ip().to_canonical().is_loopback()
        };
        let mut clear = Vec::new();
        if is_clear(public, &self.public) {
            clear.push(public);
        }
        if admin != public && is_clear(admin, &self.admin) {
            clear.push(admin);
        }
        if !clear.is_empty() {
            tracing::warn!(
                listeners = ?clear,
                "listening beyond this machine without TLS: API keys, the admin token, events and signing secrets travel \
                 in the clear; give --tls-cert and --tls-key, or put a TLS terminator in front"
            );
        }
    }

    /// Where the server is, and what it shows there.
    pub fn file(&self, public: SocketAddr, admin: SocketAddr, contract: String) -> ServerFile {
        let file = ServerFile {
            public,
            admin,
            contract,
            process_id: std::process::id(),
            public_certificate: None,
            admin_certificate: None,
        };
        showing(file, self.public.as_ref(), self.admin.as_ref())
    }

    /// Looks at the certificates' files from now on, until the tasks are dropped, and tells the folder of new ones.
    pub fn keep(self, folder: DataFolder, file: ServerFile) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for kept in self.kept {
            tasks.spawn(kept.keep(self.reloads.clone()));
        }
        tasks.spawn(tell(folder, file, self.public, self.admin));
        tasks
    }
}

fn showing(file: ServerFile, public: Option<&Shown>, admin: Option<&Shown>) -> ServerFile {
    let spelled = |shown: &Shown| {
        shown.borrow().fingerprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    ServerFile { public_certificate: public.map(spelled), admin_certificate: admin.map(spelled), ..file }
}

async fn tell(folder: DataFolder, file: ServerFile, mut public: Option<Shown>, mut admin: Option<Shown>) {
    loop {
        tokio::select! {
            () = changed(&mut public) => {}
            () = changed(&mut admin) => {}
        }
        if let Err(failure) = folder.announce(&showing(file.clone(), public.as_ref(), admin.as_ref())) {
            tracing::error!(%failure, "local commands cannot be told of the new certificate");
        }
    }
}

/// Ends at the next change; never where nothing is shown.
async fn changed(shown: &mut Option<Shown>) {
    let has_changed = match shown {
        Some(shown) => shown.changed().await.is_ok(),
        None => false,
    };
    if !has_changed {
        std::future::pending().await
    }
}
