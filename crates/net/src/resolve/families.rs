//! Asking for the addresses of a name, for each family by itself.
//!
//! A family whose name servers fail takes nothing from the other one: only what came is judged, all of it, and only that
//! is dialled.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{LOOKUP_LIMIT, NoAnswer};

/// How long the other family is waited for once there are IPv4 addresses (RFC 8305 section 3 calls it the resolution
/// delay). The other way around the whole limit holds: many hosts have IPv4 alone.
const IPV6_DELAY: Duration = Duration::from_millis(500);
/// The longest chain of aliases followed, for each family.
const ALIASES_MAX: usize = 8;

/// What the name servers tell of a name.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// IPv4 first; never empty.
    pub ips: Vec<IpAddr>,
    /// In lower case, each once.
    pub aliases: Vec<String>,
}

/// Asks for both families at the same time, and waits no longer than [`LOOKUP_LIMIT`].
pub(super) async fn ask(dns: &TokioResolver, name: &str) -> Result<Told, NoAnswer> {
    let mut absolute = Name::from_ascii(name).map_err(|_| NoAnswer::Absent)?;
    absolute.set_fqdn(true);
    let has_ipv4 = Notify::new();
    let ipv4 = async {
        let told = ask_for(dns, absolute.clone(), RecordType::A).await;
        if told.is_ok() {
            has_ipv4.notify_one();
        }
        told
    };
    let ipv6 = async {
        let is_late = async {
            has_ipv4.notified().await;
            sleep(IPV6_DELAY).await;
        };
        tokio::select! {
            biased;
            told = ask_for(dns, absolute.clone(), RecordType::AAAA) => told,
            () = is_late => Err(NoAnswer::TimedOut),
        }
    };
    merged(tokio::join!(ipv4, ipv6))
}

/// What there is. That there is nothing holds only if both families say so.
fn merged(families: (Result<Told, NoAnswer>, Result<Told, NoAnswer>)) -> Result<Told, NoAnswer> {
    let is_too_long =
        |family: &Result<Told, NoAnswer>| family.as_ref().is_ok_and(|told| told.aliases.len() > ALIASES_MAX);
    match families {
        (first, second) if is_too_long(&first) || is_too_long(&second) => Err(NoAnswer::Unusable),
        (Ok(mut first), Ok(second)) => {
            first.ips.extend(second.ips);
            let more = second.aliases.into_iter().filter(|alias| !first.aliases.contains(alias));
            let more: Vec<String> = more.collect();
            first.aliases.extend(more);
            Ok(first)
        }
        (Ok(told), Err(_)) | (Err(_), Ok(told)) => Ok(told),
        (Err(NoAnswer::Absent), Err(why)) | (Err(why), Err(_)) => Err(why),
    }
}

/// The addresses of one family and the aliases on the way to them.
async fn ask_for(dns: &TokioResolver, name: Name, family: RecordType) -> Result<Told, NoAnswer> {
    match timeout(LOOKUP_LIMIT, dns.lookup(name.clone(), family)).await {
        Ok(Ok(lookup)) => {
            let told = told(&lookup);
            if told.ips.is_empty() { Err(NoAnswer::Absent) } else { Ok(told) }
        }
        Ok(Err(error)) if error.is_nx_domain() || error.is_no_records_found() => Err(NoAnswer::Absent),
        Ok(Err(NetError::Timeout)) | Err(_) => Err(NoAnswer::TimedOut),
        Ok(Err(error)) => {
            tracing::debug!(%name, %family, %error, "lookup failed");
            Err(NoAnswer::Unusable)
        }
    }
}

/// What an answer holds. Of a chain that is too long no more is taken than shows it.
fn told(lookup: &Lookup) -> Told {
    let mut told = Told::default();
    for record in lookup.answers() {
        told.ips.extend(record.data.ip_addr());
        let RData::CNAME(of) = &record.data else { continue };
        let alias = of.to_ascii().trim_end_matches('.').to_lowercase();
        if told.aliases.len() <= ALIASES_MAX && !told.aliases.contains(&alias) {
            told.aliases.push(alias);
        }
    }
    told
}
