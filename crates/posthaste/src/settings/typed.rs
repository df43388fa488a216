//! Settings as values of their own types.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use posthaste_api::logins::LIMIT_MAX;
use posthaste_core::Secret;
use posthaste_net::{BadProxy, ConnectTo, GuardPolicy, Proxy, UnfitNet};
use posthaste_store::MasterKeys;
use tracing_subscriber::EnvFilter;

use super::layers::{Layers, SettingFault, parsed};

/// The least characters of an admin token.
pub const TOKEN_MIN_CHARS: usize = 32;

/// Different wrong credentials from one address in a minute before it has to wait.
const FAILED_LOGINS: u32 = 40;

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What `serve` and `dev` run with.
#[derive(Clone)]
pub struct ServerSettings {
    /// The name of a built-in contract, or a file.
    pub contract: String,
    /// Where the public API listens.
    pub listen: SocketAddr,
    /// Where the admin API listens, if not there.
    pub admin_listen: Option<SocketAddr>,
    /// What the public listener shows over TLS; without it, it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What the admin listener shows, if not the same.
    pub admin_tls: Option<TlsFiles>,
    /// Different wrong credentials from one address in a minute before it has to wait; 0: no limit.
    pub failed_logins: u32,
    /// Proxies that are believed where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The data folder.
    pub data: PathBuf,
    /// Networks that deliveries may go into beside the public internet.
    pub allow_nets: Vec<IpNet>,
    /// May deliveries go to every address there is?
    pub allow_any_net: bool,
    /// May webhooks use `http://`?
    pub allow_http: bool,
    /// Is sent at once what was due in a store that was put back from an old copy?
    pub release_restored: bool,
    /// The proxy that deliveries go out through.
    pub proxy: Option<Proxy>,
    /// Files of further trusted roots.
    pub ca_files: Vec<PathBuf>,
    /// Other places to connect to for a host and port.
    pub connect_to: Vec<ConnectTo>,
    /// Name servers in place of the system's.
    pub name_servers: Vec<SocketAddr>,
    /// The longest request body.
    pub body_limit_bytes: usize,
    /// How long ended deliveries are kept.
    pub retention: Duration,
    /// How long the audit log is kept.
    pub audit_retention: Duration,
    /// Attempts under way at one time to one webhook.
    pub webhook_concurrency: usize,
    /// Is `/metrics` served?
    pub metrics: bool,
    /// What is logged.
    pub log: String,
    /// The admin token, if it was given.
    pub admin_token: Option<Secret>,
    /// The master keys, if they were given.
    pub master_key: Option<MasterKeys>,
}

impl ServerSettings {
    /// Reads what the layers say.
    ///
    /// # Errors
    /// The first value that does not fit, with the place it came from.
    pub fn read(layers: &Layers) -> Result<Self, SettingFault> {
        let address = parsed("ADDR:PORT, such as 127.0.0.1:8080");
        let truth = parsed("`true` or `false`");
        let path = |text: &str| Ok(PathBuf::from(text));
        let allow_any_net = layers.one("allow_any_net", &truth)?.unwrap_or_default();
        Ok(Self {
            contract: layers.text("contract").unwrap_or_default().to_owned(),
            listen: layers.one("listen", &address)?.unwrap_or(DEFAULT_LISTEN),
            admin_listen: layers.one("admin_listen", &address)?,
            tls: tls_files(layers, "tls_cert", "tls_key")?,
            admin_tls: admin_tls_files(layers)?,
            failed_logins: layers.one("failed_logins", failed_logins)?.unwrap_or(FAILED_LOGINS),
            trusted_proxies: layers.each("trusted_proxy", parsed("network such as 10.0.0.0/8"))?,
            data: layers.one("data", path)?.unwrap_or_default(),
            allow_nets: layers.each("allow_net", allowed_net(allow_any_net))?,
            allow_any_net,
            release_restored: layers.one("release_restored", &truth)?.unwrap_or_default(),
            allow_http: layers.one("allow_http", &truth)?.unwrap_or_default(),
            proxy: layers
                .one("proxy", |text| text.parse().map_err(|fault: BadProxy| format!("no proxy: {fault}")))?,
            ca_files: layers.each("ca_file", path)?,
            connect_to: layers.each("connect_to", parsed("HOST:PORT:ADDR:PORT"))?,
            name_servers: layers.each("name_servers", name_server)?,
            body_limit_bytes: layers.one("body_limit_kib", whole(1, 64 * 1024))?.unwrap_or(256) * 1024,
            retention: days(layers.one("retention_days", whole(1, 36_500))?.unwrap_or(30)),
            audit_retention: days(layers.one("audit_days", whole(1, 36_500))?.unwrap_or(365)),
            webhook_concurrency: layers.one("webhook_concurrency", whole(1, 1024))?.unwrap_or(64),
            metrics: layers.one("metrics", &truth)?.unwrap_or(true),
            log: layers.one("log", log_filter)?.unwrap_or_default(),
            admin_token: admin_token(layers)?,
            master_key: master_key(layers)?,
        })
    }
}

/// What the commands that talk to a server run with.
#[derive(Clone)]
pub struct ClientSettings {
    /// The server's admin address, if it was given.
    pub server: Option<String>,
    /// The admin token, if it was given.
    pub admin_token: Option<Secret>,
    /// Files of further roots that the server's certificate may be from.
    pub ca_files: Vec<PathBuf>,
    /// The data folder of a local server.
    pub data: PathBuf,
    /// The master keys, if they were given.
    pub master_key: Option<MasterKeys>,
}

impl ClientSettings {
    /// Reads what the layers say.
    ///
    /// # Errors
    /// The first value that does not fit, with the place it came from.
    pub fn read(layers: &Layers) -> Result<Self, SettingFault> {
        Ok(Self {
            server: layers.text("server").map(str::to_owned),
            // Empty in a shell's environment: then the one in the data folder does.
            admin_token: layers
                .text("admin_token")
                .filter(|text| !text.is_empty())
                .map(|text| Secret::from(text.to_owned())),
            ca_files: layers.each("ca_file", |text| Ok(PathBuf::from(text)))?,
            data: PathBuf::from(layers.text("data").unwrap_or_default()),
            master_key: master_key(layers)?,
        })
    }
}

/// Where the server listens, and clients look for it, when nobody says otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Two files, or none: one alone is a mistake.
fn tls_files(
    layers: &Layers,
    certificate: &'static str,
    key: &'static str,
) -> Result<Option<TlsFiles>, SettingFault> {
    let beside = |own: &'static str, other: &'static str| {
        layers.one(own, |text| match layers.text(other) {
            _ if text.is_empty() => Err("empty; it takes a file".to_owned()),
            Some(_) => Ok(PathBuf::from(text)),
            None => {
                Err(format!("`{text}`, but --{} is missing: give both or neither", other.replace('_', "-")))
            }
        })
    };
    let (certificate, key) = (beside(certificate, key)?, beside(key, certificate)?);
    Ok(certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }))
}

fn admin_tls_files(layers: &Layers) -> Result<Option<TlsFiles>, SettingFault> {
    let files = tls_files(layers, "admin_tls_cert", "admin_tls_key")?;
    if files.is_some() && layers.text("admin_listen").is_none() {
        layers.one("admin_tls_cert", |text| {
            Err::<(), _>(format!("`{text}`, but there is no --admin-listen that would show it"))
        })?;
    }
    Ok(files)
}

fn failed_logins(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number <= LIMIT_MAX => Ok(number),
        _ => Err(format!("`{text}`, which is no whole number from 0 to {LIMIT_MAX}")),
    }
}

fn admin_token(layers: &Layers) -> Result<Option<Secret>, SettingFault> {
    layers.one("admin_token", |text| {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match text.len() >= TOKEN_MIN_CHARS && is_visible {
            true => Ok(Secret::from(text.to_owned())),
            false => Err(format!(
                "too weak: it must have at least {TOKEN_MIN_CHARS} characters, all of them visible ASCII"
            )),
        }
    })
}

fn master_key(layers: &Layers) -> Result<Option<MasterKeys>, SettingFault> {
    layers.one("master_key", |text| {
        MasterKeys::from_text(text).ok_or_else(|| {
            "no key: it must be 64 hexadecimal digits, or two such keys, NEW,FORMER, to go over to the first".to_owned()
        })
    })
}

fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("`{text}`, which is no filter: {error}")),
    }
}

fn whole(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("`{text}`, which is no whole number from {min} to {max}")),
    }
}

fn days(count: usize) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(24 * 60 * 60))
}

/// Reads one network. Where every network is allowed anyway, the whole of a family is one as well.
fn allowed_net(any: bool) -> impl Fn(&str) -> Result<IpNet, String> {
    move |text| {
        let net: IpNet = parsed("network such as 10.0.0.0/8")(text)?;
        // Some readers take a leading zero for octal.
        if matches!(net, IpNet::V4(_)) && text != net.to_string() {
            return Err(format!("`{text}`, which is plainly written {net}"));
        }
        match GuardPolicy::new(vec![net]) {
            Err(unfit) if !(any && net.prefix_len() == 0) => Err(refused_net(&unfit)),
            _ => Ok(net),
        }
    }
}

fn refused_net(unfit: &UnfitNet) -> String {
    match unfit {
        UnfitNet::Whole(_) => {
            format!("refused: {unfit} (--allow-any-net, for closed test networks, does that)")
        }
        _ => format!("refused: {unfit}"),
    }
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    const DNS_PORT: u16 = 53;
    let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
    address.map_err(|_| format!("`{text}`, which is no ADDR or ADDR:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<ServerSettings, String> {
        let mut layers = Layers::defaults();
        layers.add_environment(&|name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        ServerSettings::read(&layers).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_table() {
        let settings = read(&[]).ok().unwrap();
        assert_eq!(settings.listen, DEFAULT_LISTEN);
        assert_eq!(settings.body_limit_bytes, 256 * 1024);
        assert_eq!(settings.retention, Duration::from_hours(30 * 24));
        assert_eq!(settings.audit_retention, Duration::from_hours(365 * 24));
        assert!(settings.metrics && !settings.allow_http);
    }

    #[test]
    fn values_that_do_not_fit_are_named_and_secrets_are_not() {
        for (variable, value, expected) in [
            ("POSTHASTE_LISTEN", "8080", "listen is `8080`, which is no ADDR:PORT"),
            ("POSTHASTE_ALLOW_NET", "10.0.0.0/33", "allow_net is `10.0.0.0/33`"),
            ("POSTHASTE_ALLOW_NET", "300.1.1.1/8", "allow_net is `300.1.1.1/8`"),
            ("POSTHASTE_ALLOW_NET", "10.0.0.1", "allow_net is `10.0.0.1`"),
            ("POSTHASTE_ALLOW_NET", "10.0.0.0/8,", "allow_net is ``"),
            ("POSTHASTE_ALLOW_NET", "10.0.0.0/ 8", "allow_net is `10.0.0.0/ 8`"),
            (
                "POSTHASTE_ALLOW_NET",
                "10.0.0.1/8",
                "allow_net is refused: 10.0.0.1/8 has bits beyond its prefix",
            ),
            ("POSTHASTE_ALLOW_NET", "0.0.0.0/0", "allow_net is refused: 0.0.0.0/0 is every address there is"),
            ("POSTHASTE_ALLOW_NET", "::/0", "allow_net is refused: ::/0 is every address there is"),
            ("POSTHASTE_ALLOW_ANY_NET", "yes", "allow_any_net is `yes`"),
            (
                "POSTHASTE_PROXY",
                "https://u:short-secret@h:1",
                "proxy is no proxy: it must be http://HOST:PORT",
            ),
            ("POSTHASTE_CONNECT_TO", "x", "connect_to is `x`"),
            ("POSTHASTE_RETENTION_DAYS", "0", "retention_days is `0`, which is no whole number from 1"),
            ("POSTHASTE_NAME_SERVERS", "dns.example", "name_servers is `dns.example`"),
            ("RUST_LOG", "=,=", "log is `=,=`, which is no filter"),
            ("POSTHASTE_ALLOW_HTTP", "maybe", "allow_http is `maybe`"),
            ("POSTHASTE_MASTER_KEY", "short-secret", "master_key is no key"),
            ("POSTHASTE_MASTER_KEY", "", "master_key is no key"),
            ("POSTHASTE_ADMIN_TOKEN", "short-secret", "admin_token is too weak"),
            ("POSTHASTE_ADMIN_TOKEN", "", "admin_token is too weak"),
        ] {
            let fault = read(&[(variable, value)]).err().unwrap();
            assert!(fault.starts_with(expected) && fault.contains(variable), "{fault}");
            assert!(!fault.contains("short-secret"), "{fault}");
        }
    }
}
