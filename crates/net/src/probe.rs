//! Asking, at registration, whether a receiver is there.
//!
//! A probe must not become a port scanner in the hands of customers: every failure has the same text and takes the
//! same time, whatever lies behind it. No HTTP is spoken.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::dial::Dialler;
use crate::guard::{Scheme, Target};

/// The usual limit of a probe.
pub const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// What a contract wants to know of a URL before it accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// The host resolves, to addresses deliveries may go to.
    Public,
    /// A TLS handshake succeeds, with a certificate that holds.
    Tls,
}

/// The receiver could not be reached as the contract wants it. On purpose it does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The URL must be reachable from the public internet over HTTPS with a valid certificate.")]
pub struct Unreachable;

impl Dialler {
    /// Probes a target, within `limit`; failures take all of it. `place` is given back as soon as nothing is under way
    /// any more: whoever fails keeps nobody else from probing.
    ///
    /// # Errors
    /// If a probe fails.
    pub async fn probe(
        &self,
        target: &Target,
        probes: &[Probe],
        limit: Duration,
        place: impl Send,
    ) -> Result<(), Unreachable> {
        let deadline = Instant::now() + limit;
        let is_passed = self.passes(target, probes, deadline).await;
        drop(place);
        if !is_passed {
            sleep_until(deadline).await;
            return Err(Unreachable);
        }
        Ok(())
    }

    async fn passes(&self, target: &Target, probes: &[Probe], deadline: Instant) -> bool {
        for probe in probes {
            let is_passed = match probe {
                Probe::Public => self.is_public(target, deadline).await,
                Probe::Tls => target.scheme() == Scheme::Https && self.dial(target, deadline).await.is_ok(),
            };
            if !is_passed {
                return false;
            }
        }
        true
    }
}
