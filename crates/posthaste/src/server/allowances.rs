//! What the operator opened up, said once at the start.

use crate::settings::ServerSettings;

/// Logs every setting that lets deliveries reach or trust more, or strangers try more, than they do by default.
pub(super) fn tell(settings: &ServerSettings) {
    if settings.allow_any_net {
        tracing::warn!(
            "THE ADDRESS GUARD IS OFF: webhooks may point to every address, inside and outside (--allow-any-net)"
        );
    }
    if let Some(proxy) = &settings.proxy {
        tracing::warn!(%proxy, "deliveries go out through a proxy, to the addresses that were judged here (--proxy)");
    }
    if settings.allow_http {
        tracing::warn!("webhooks may use http://: bodies and signatures travel in the clear (--allow-http)");
    }
    for net in &settings.allow_nets {
        tracing::warn!(%net, "webhooks may point into a network that is otherwise refused (--allow-net)");
    }
    for entry in &settings.connect_to {
        tracing::warn!(%entry, "deliveries to a host connect where the operator says (--connect-to)");
    }
    for file in &settings.ca_files {
        tracing::warn!(file = %file.display(), "receivers may show certificates by further authorities (--ca-file)");
    }
    for server in &settings.name_servers {
        tracing::info!(%server, "names are looked up there and not as the system says (--name-server)");
    }
    for net in &settings.trusted_proxies {
        tracing::warn!(%net, "X-Forwarded-For is believed of whoever connects from there (--trusted-proxy)");
    }
    if settings.failed_logins == 0 {
        tracing::warn!("credentials may be guessed without a limit (--failed-logins 0)");
    }
}
