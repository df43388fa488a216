//! The way out of the server: what may be dialled, by which names, trusting whom.

use std::net::SocketAddr;
use std::sync::Arc;

use posthaste_net::{Dialler, Guard, GuardPolicy, Resolver, Tls};

use crate::failure::Failure;
use crate::settings::ServerSettings;

/// The guard, and what dials under it.
pub(super) struct Outward {
    pub guard: Arc<Guard>,
    pub dialler: Arc<Dialler>,
}

/// Builds the way out. `own` are the addresses this server listens on, where no webhook may point.
pub(super) fn build(settings: &ServerSettings, own: Vec<SocketAddr>) -> Result<Outward, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::refused(error.to_string());
    let policy = policy(settings)?.allowing_http(settings.allow_http).with_own_addresses(own);
    let connect_to = settings.connect_to.clone();
    let resolver = match settings.name_servers.as_slice() {
        [] => Resolver::system(connect_to),
        servers => Resolver::with_name_servers(servers, connect_to),
    };
    let resolver = resolver.map_err(|error| refused(&error))?;
    let roots = further_roots(settings)?;
    let tls = Tls::new(roots.as_deref()).map_err(|error| refused(&error))?;
    let guard = Arc::new(Guard::new(policy));
    let dialler = Arc::new(Dialler::new(guard.clone(), resolver, tls).through(settings.proxy.clone()));
    Ok(Outward { guard, dialler })
}

/// The networks that are allowed. One by one they were judged when the settings were read; together they must not be
/// everything either.
fn policy(settings: &ServerSettings) -> Result<GuardPolicy, Failure> {
    if settings.allow_any_net {
        return Ok(GuardPolicy::default().allowing_any_net());
    }
    let policy = GuardPolicy::new(settings.allow_nets.clone());
    policy.map_err(|unfit| Failure::usage(format!("the allowed networks are refused together: {unfit}")))
}

fn further_roots(settings: &ServerSettings) -> Result<Option<Vec<u8>>, Failure> {
    let mut roots = Vec::new();
    for file in &settings.ca_files {
        let pem = std::fs::read(file).map_err(|error| {
            Failure::refused(format!("the trusted roots {} cannot be read: {error}", file.display()))
        })?;
        roots.extend_from_slice(&pem);
        roots.push(b'\n');
    }
    Ok((!roots.is_empty()).then_some(roots))
}
