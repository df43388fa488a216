//! `audit`: who changed what.

use clap::Args;
use posthaste_core::{Clock as _, UnixMs};

use super::{Call, times};
use crate::admin_client::escaped;
use crate::failure::{Exit, Failure};
use crate::output::Column;
use crate::outside::SystemClock;
use crate::settings::ClientFlags;

/// What `audit` is told.
#[derive(Args)]
pub struct Audit {
    /// Only what concerns this account
    #[arg(long)]
    account: Option<String>,
    /// Only what this one did: `operator`, `system`, `token`, `api_key`, an id, or the name of a token
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as `webhook.updated`
    #[arg(long)]
    action: Option<String>,
    /// From when on: a time (RFC 3339) or an age such as 90m, 2h, 3d
    #[arg(long)]
    since: Option<String>,
    /// Up to when; now, if left out
    #[arg(long)]
    until: Option<String>,
    /// The most rows, newest first
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    flags: ClientFlags,
}

const COLUMNS: [Column; 8] = [
    ("AT", "/at"),
    ("ACTION", "/action"),
    ("ACCOUNT", "/account"),
    ("OBJECT", "/object/id"),
    ("FIELDS", "/details/fields"),
    ("BY", "/actor/kind"),
    ("WHO", "/actor/id"),
    ("FROM", "/address"),
];

impl Audit {
    /// Shows the newest rows.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let call = Call::new(&self.flags, json)?;
        let rows = match self.limit.min(super::LIST_MOST) {
            0 => Vec::new(),
            most => call.admin.list(&self.path(SystemClock.now())?, most).await?,
        };
        call.output.table(&COLUMNS, &rows);
        Ok(Exit::Done)
    }

    fn path(&self, now: UnixMs) -> Result<String, Failure> {
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| times::instant(text, now).map(UnixMs::rfc3339_ms)).transpose()
        };
        let asked = [
            ("account", self.account.clone()),
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("since", time(&self.since)?),
            ("until", time(&self.until)?),
        ];
        let asked =
            asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))));
        Ok(format!("/audit?{}", asked.collect::<Vec<_>>().join("&")))
    }
}
