//! The certificates that the listeners show: read at the start, and again whenever their files change.
//!
//! A new pair of files is in force for connections that come from then on. If it is of no use, the former stays.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use posthaste_api::certificate::{Certificate, CertificateFault};
use posthaste_core::Clock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::settings::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest file that is read.
const FILE_MAX_BYTES: u64 = 1024 * 1024;
/// Looks that must find the same before it is called bad: the two files are not written at the same moment.
const LOOKS_BEFORE_BLAME: u32 = 3;

/// How often certificates were read again.
#[derive(Clone, Default)]
pub(super) struct Reloads(Family<Ended, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

impl Reloads {
    pub fn register(registry: &mut Registry) -> Self {
        let reloads = Self::default();
        let help = "Changed certificate files, by whether they were taken";
        registry.register("posthaste_tls_reloads", help, reloads.0.clone());
        reloads
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&Ended { result }).inc();
    }
}

/// The certificate of a listener as it is now, and what keeps it so.
pub(super) struct Kept {
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    in_force: watch::Sender<Arc<Certificate>>,
    /// What the files held when they were judged last.
    judged: Digest,
    /// What they held at the last look, and how many looks found just that.
    seen: (Option<Digest>, u32),
}

impl Kept {
    /// Reads the files for the first time.
    pub fn read(files: &TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let texts = Texts::read(files).map_err(Failure::refused)?;
        let certificate = texts.certificate(files).map_err(Failure::refused)?;
        warn_of(files, &certificate, &*clock);
        let in_force = watch::Sender::new(Arc::new(certificate));
        Ok(Self { files: files.clone(), clock, in_force, judged: texts.digest(), seen: (None, 0) })
    }

    pub fn watch(&self) -> watch::Receiver<Arc<Certificate>> {
        self.in_force.subscribe()
    }

    /// Looks at the files again and again until nobody shows the certificate any more, and at once on SIGHUP.
    pub async fn keep(mut self, reloads: Reloads) {
        let mut hang_up = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hang_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = asked => tracing::info!("SIGHUP: looking at the certificate files"),
                () = self.in_force.closed() => return,
            }
            self = match tokio::task::spawn_blocking({
                let reloads = reloads.clone();
                move || {
                    self.look(&reloads);
                    self
                }
            })
            .await
            {
                Ok(kept) => kept,
                Err(error) => {
                    tracing::error!(%error, "certificate files are not looked at any more");
                    return;
                }
            };
        }
    }

    fn look(&mut self, reloads: &Reloads) {
        let texts = Texts::read(&self.files);
        let found = texts.as_ref().map_or_else(|_| digest_of(&[]), Texts::digest);
        let looks =
            if self.seen.0.as_ref().is_some_and(|seen| is_same(seen, &found)) { self.seen.1 + 1 } else { 1 };
        self.seen = (Some(found), looks);
        if is_same(&self.judged, &found) {
            return;
        }
        match texts.and_then(|texts| texts.certificate(&self.files)) {
            Ok(certificate) => {
                self.judged = found;
                reloads.count("taken");
                tracing::info!(file = %self.files.certificate.display(), "a new certificate is in force");
                warn_of(&self.files, &certificate, &*self.clock);
                self.in_force.send_replace(Arc::new(certificate));
            }
            Err(why) if looks >= LOOKS_BEFORE_BLAME => {
                self.judged = found;
                reloads.count("refused");
                tracing::error!(
                    why,
                    "the certificate files changed and cannot be used: the former certificate stays"
                );
            }
            Err(_) => {}
        }
    }
}

/// The contents of the two files.
struct Texts {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Texts {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        let chain = read("certificate", &files.certificate)?;
        Ok(Self { chain, key: Zeroizing::new(read("certificate's key", &files.key)?) })
    }

    fn certificate(&self, files: &TlsFiles) -> Result<Certificate, String> {
        let (chain, key) = (files.certificate.display(), files.key.display());
        Certificate::read(&self.chain, &self.key).map_err(|fault| match fault {
            CertificateFault::Chain(why) => format!("the certificate {chain} cannot be used: {why}"),
            CertificateFault::Key(why) => format!("the certificate's key {key} cannot be used: {why}"),
            CertificateFault::Mismatch => {
                format!("the key {key} cannot be used with the certificate {chain}: {fault}")
            }
        })
    }

    fn digest(&self) -> Digest {
        digest_of(&[&self.chain, &self.key])
    }
}

fn digest_of(texts: &[&[u8]]) -> Digest {
    let mut digest = Context::new(&SHA256);
    for text in texts {
        digest.update(&text.len().to_le_bytes());
        digest.update(text);
    }
    digest.finish()
}

fn is_same(one: &Digest, other: &Digest) -> bool {
    one.as_ref() == other.as_ref()
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reading =
        std::fs::File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes));
    match reading {
        Ok(length) if length as u64 > FILE_MAX_BYTES => {
            Err(format!("the {what} {} is longer than {} KiB", path.display(), FILE_MAX_BYTES / 1024))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("the {what} {} cannot be read: {error}", path.display())),
    }
}

fn warn_of(files: &TlsFiles, certificate: &Certificate, clock: &dyn Clock) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(complaint) = certificate.complaint(clock.now()) {
        tracing::warn!(file = %files.certificate.display(), "{complaint}: clients will refuse it");
    }
    let mode = std::fs::metadata(&files.key).map_or(0, |about| about.permissions().mode());
    if mode & 0o004 != 0 {
        tracing::warn!(file = %files.key.display(), "everybody on this machine can read the certificate's key");
    }
}
