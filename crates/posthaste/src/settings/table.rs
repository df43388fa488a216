//! The table of all settings.

/// One setting: its key in the settings file, its flag, and what it means.
#[derive(Debug)]
pub struct Setting {
    /// The key in `posthaste.toml`.
    pub key: &'static str,
    /// The flag without its dashes; `None` where a flag would show a secret to everybody on the machine.
    pub flag: Option<&'static str>,
    /// The environment variable.
    pub variable: &'static str,
    /// What stands for the value in the help.
    pub value: &'static str,
    /// What it is when nobody says otherwise.
    pub default: Option<&'static str>,
    /// May it be given more than once (in the environment: with commas between)?
    pub repeats: bool,
    /// Which commands use it.
    pub used_by: UsedBy,
    /// What it means, with its unit.
    pub help: &'static str,
}

/// Which commands use a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// `serve` and `dev`.
    Server,
    /// The commands that talk to a server.
    Client,
    /// Both.
    Both,
}

impl UsedBy {
    /// Does it include the other?
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

impl Setting {
    /// Is it a switch: on when it is merely named?
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value == "BOOL"
    }

    /// Is it a secret, which no flag may show?
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.flag.is_none()
    }

    /// The flag of some commands. Client commands may take the token, which the caller holds anyway, as a flag, and
    /// leave `--data` to what they send.
    #[must_use]
    pub fn flag_for(&self, commands: UsedBy) -> Option<&'static str> {
        match (self.key, commands) {
            ("admin_token", UsedBy::Client) => Some("token"),
            ("data", UsedBy::Client) => Some("data-dir"),
            _ => self.flag,
        }
    }

    /// The setting with this key.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }
}

const fn setting(
    (key, flag, variable): (&'static str, Option<&'static str>, &'static str),
    value: &'static str,
    default: Option<&'static str>,
    used_by: UsedBy,
    help: &'static str,
) -> Setting {
    Setting { key, flag, variable, value, default, repeats: false, used_by, help }
}

const fn repeated(one: Setting) -> Setting {
    Setting { repeats: true, ..one }
}

/// Every setting, in the order of the help.
pub const TABLE: [Setting; 28] = [
    setting(
        ("config", Some("config"), "POSTHASTE_CONFIG"),
        "FILE",
        None,
        UsedBy::Both,
        "Settings file; posthaste.toml of the working directory is read by itself",
    ),
    setting(
        ("contract", Some("contract"), "POSTHASTE_CONTRACT"),
        "NAME|FILE",
        Some("standard"),
        UsedBy::Server,
        "Built-in contract or TOML file",
    ),
    setting(
        ("listen", Some("listen"), "POSTHASTE_LISTEN"),
        "ADDR:PORT",
        Some("127.0.0.1:8080"),
        UsedBy::Server,
        "Public API and admin API",
    ),
    setting(
        ("admin_listen", Some("admin-listen"), "POSTHASTE_ADMIN_LISTEN"),
        "ADDR:PORT",
        None,
        UsedBy::Server,
        "Moves the admin API to a listener of its own",
    ),
    setting(
        ("tls_cert", Some("tls-cert"), "POSTHASTE_TLS_CERT"),
        "PEM",
        None,
        UsedBy::Server,
        "Certificate and chain: the listeners speak https; read again when it changes",
    ),
    setting(
        ("tls_key", Some("tls-key"), "POSTHASTE_TLS_KEY"),
        "PEM",
        None,
        UsedBy::Server,
        "The certificate's key (PKCS#8, PKCS#1 or SEC1, not encrypted)",
    ),
    setting(
        ("admin_tls_cert", Some("admin-tls-cert"), "POSTHASTE_ADMIN_TLS_CERT"),
        "PEM",
        None,
        UsedBy::Server,
        "Another certificate for --admin-listen, in place of that of --tls-cert",
    ),
    setting(
        ("admin_tls_key", Some("admin-tls-key"), "POSTHASTE_ADMIN_TLS_KEY"),
        "PEM",
        None,
        UsedBy::Server,
        "The key of --admin-tls-cert",
    ),
    setting(
        ("failed_logins", Some("failed-logins"), "POSTHASTE_FAILED_LOGINS"),
        "COUNT",
        Some("40"),
        UsedBy::Server,
        "Different wrong credentials from one address in a minute before it has to wait; 0: no limit",
    ),
    repeated(setting(
        ("trusted_proxy", Some("trusted-proxy"), "POSTHASTE_TRUSTED_PROXY"),
        "CIDR",
        None,
        UsedBy::Server,
        "Proxies whose X-Forwarded-For says where a request comes from (repeatable)",
    )),
    setting(
        ("data", Some("data"), "POSTHASTE_DATA"),
        "DIR",
        Some("./posthaste-data"),
        UsedBy::Both,
        "The data folder: store, keys and admin token; `serve` makes it if it is absent, mode 0700",
    ),
    repeated(setting(
        ("allow_net", Some("allow-net"), "POSTHASTE_ALLOW_NET"),
        "CIDR",
        None,
        UsedBy::Server,
        "Lets deliveries into a network that is otherwise refused (repeatable)",
    )),
    setting(
        ("allow_any_net", Some("allow-any-net"), "POSTHASTE_ALLOW_ANY_NET"),
        "BOOL",
        Some("false"),
        UsedBy::Server,
        "Lets deliveries go to every address there is, which switches the address guard off",
    ),
    setting(
        ("allow_http", Some("allow-http"), "POSTHASTE_ALLOW_HTTP"),
        "BOOL",
        Some("false"),
        UsedBy::Server,
        "Lets webhooks use http://, whatever the contract says",
    ),
    setting(
        ("release_restored", Some("release-restored"), "POSTHASTE_RELEASE_RESTORED"),
        "BOOL",
        Some("false"),
        UsedBy::Server,
        "Sends at once what was due in a store that was put back from an old copy",
    ),
    setting(
        ("proxy", Some("proxy"), "POSTHASTE_PROXY"),
        "URL",
        None,
        UsedBy::Server,
        "Deliveries go out through this proxy, http://[user:password@]host:port; a password is safer in the environment",
    ),
    repeated(setting(
        ("ca_file", Some("ca-file"), "POSTHASTE_CA_FILE"),
        "PEM",
        None,
        UsedBy::Both,
        "Further trusted roots: for deliveries, and for commands that call a server (repeatable)",
    )),
    repeated(setting(
        ("connect_to", Some("connect-to"), "POSTHASTE_CONNECT_TO"),
        "HOST:PORT:ADDR:PORT",
        None,
        UsedBy::Server,
        "As curl's: deliveries to that host and port connect there (repeatable)",
    )),
    repeated(setting(
        ("name_servers", Some("name-server"), "POSTHASTE_NAME_SERVERS"),
        "ADDR[:PORT]",
        None,
        UsedBy::Server,
        "Name servers in place of the system's (repeatable)",
    )),
    setting(
        ("body_limit_kib", Some("body-limit-kib"), "POSTHASTE_BODY_LIMIT_KIB"),
        "KIB",
        Some("256"),
        UsedBy::Server,
        "The longest body of an event, in KiB; customers' requests may have 64 KiB at most",
    ),
    setting(
        ("retention_days", Some("retention-days"), "POSTHASTE_RETENTION_DAYS"),
        "DAYS",
        Some("30"),
        UsedBy::Server,
        "How long ended deliveries and their events are kept, in days",
    ),
    setting(
        ("audit_days", Some("audit-days"), "POSTHASTE_AUDIT_DAYS"),
        "DAYS",
        Some("365"),
        UsedBy::Server,
        "How long the audit log is kept, in days",
    ),
    setting(
        ("webhook_concurrency", Some("webhook-concurrency"), "POSTHASTE_WEBHOOK_CONCURRENCY"),
        "COUNT",
        Some("64"),
        UsedBy::Server,
        "Attempts under way at one time to one webhook",
    ),
    setting(
        ("metrics", Some("metrics"), "POSTHASTE_METRICS"),
        "BOOL",
        Some("true"),
        UsedBy::Server,
        "Serves Prometheus text at /metrics",
    ),
    setting(
        ("log", Some("log"), "RUST_LOG"),
        "FILTER",
        Some("info"),
        UsedBy::Server,
        "What is logged, such as `info` or `posthaste_engine=debug`",
    ),
    setting(
        ("server", Some("server"), "POSTHASTE_SERVER"),
        "URL",
        None,
        UsedBy::Client,
        "The server's admin address; a local server is found through its data folder, `backup` and `verify` need none",
    ),
    setting(
        ("admin_token", None, "POSTHASTE_ADMIN_TOKEN"),
        "TOKEN",
        None,
        UsedBy::Both,
        "The admin token, at least 32 characters; else the one in the data folder, where `serve` makes one",
    ),
    setting(
        ("master_key", None, "POSTHASTE_MASTER_KEY"),
        "HEX",
        None,
        UsedBy::Both,
        "The key that seals secrets, 64 hexadecimal digits, in place of the key file",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_variables_are_spelled_like_their_keys() {
        for setting in &TABLE {
            if setting.key != "log" {
                assert_eq!(setting.variable, format!("POSTHASTE_{}", setting.key.to_uppercase()));
            }
            if let Some(flag) = setting.flag {
                let expected = setting.key.replace('_', "-");
                assert!(flag == expected || format!("{flag}s") == expected, "{flag}");
            }
        }
    }
}
