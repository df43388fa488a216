//! `recover`: repeat everything that failed, of the events accepted since a time.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;
use posthaste_core::Clock as _;
use serde_json::{Value, json};

use super::{Call, times};
use crate::admin_client::escaped;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::outside::SystemClock;
use crate::settings::ClientFlags;

/// What `recover` is told.
#[derive(Args)]
pub struct Recover {
    /// The account
    #[arg(long)]
    account: String,
    /// Only one of its webhooks
    #[arg(long)]
    webhook: Option<String>,
    /// From when on: a time (RFC 3339) or an age such as 90m, 2h, 3d
    #[arg(long)]
    since: String,
    /// Up to when; now, if left out
    #[arg(long)]
    until: Option<String>,
    /// Only says how many
    #[arg(long)]
    dry_run: bool,
    /// Does not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    flags: ClientFlags,
}

/// Requests for one webhook; each counts or repeats as many deliveries as the server takes at one time.
const ROUNDS_MAX: usize = 10_000;

impl Recover {
    /// Counts first, then asks, then repeats.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses, or nobody says yes.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let call = Call::new(&self.flags, json)?;
        let now = SystemClock.now();
        let since = times::instant(&self.since, now)?;
        let until = self.until.as_deref().map_or(Ok(now), |text| times::instant(text, now))?;
        let window = json!({"since": since.rfc3339_ms(), "until": until.rfc3339_ms()});
        let (webhooks, is_whole) = self.webhooks(&call).await?;
        let exit = if is_whole { Exit::Done } else { Exit::Partly };

        let mut found = 0;
        for webhook in &webhooks {
            found += self.go_through(&call, webhook, &window, true).await?;
        }
        if self.dry_run || found == 0 {
            let answer = json!({"dry_run": true, "count": found});
            call.output.answer(format!("{found} failed deliveries in that time"), &answer);
            return Ok(exit);
        }
        if !self.yes && !is_confirmed(found) {
            return Err(Failure::refused(format!(
                "{found} failed deliveries were not repeated; --yes does it"
            )));
        }
        let mut repeated = 0;
        for webhook in &webhooks {
            repeated += self.go_through(&call, webhook, &window, false).await?;
        }
        let answer = json!({"dry_run": false, "count": repeated});
        call.output.answer(format!("{repeated} deliveries will be sent again"), &answer);
        Ok(exit)
    }

    /// The webhooks to go through, and whether those are all: of a whole account, the ones that are off are left out.
    async fn webhooks(&self, call: &Call) -> Result<(Vec<String>, bool), Failure> {
        if let Some(webhook) = &self.webhook {
            return Ok((vec![webhook.clone()], true));
        }
        let all = call.all_webhooks(&self.account).await?;
        let (off, on): (Vec<_>, Vec<_>) = all.iter().partition(|webhook| webhook["status"] == "disabled");
        for webhook in &off {
            let id = webhook["id"].as_str().unwrap_or_default();
            note(format!("{id} is switched off and left out; resume it first"));
        }
        let ids = on.iter().filter_map(|webhook| webhook["id"].as_str().map(str::to_owned));
        Ok((ids.collect(), off.is_empty()))
    }

    /// Counts or repeats those of one webhook, each once.
    async fn go_through(
        &self,
        call: &Call,
        webhook: &str,
        window: &Value,
        dry_run: bool,
    ) -> Result<u64, Failure> {
        let mut body = window.clone();
        body["dry_run"] = json!(dry_run);
        let mut count = 0;
        for _ in 0..ROUNDS_MAX {
            let mut answer = call.admin.post(&self.path(webhook), &body).await?;
            count += answer["count"].as_u64().unwrap_or(0);
            if answer["capped"] != true {
                break;
            }
            body["cursor"] = answer["next"].take();
        }
        Ok(count)
    }

    fn path(&self, webhook: &str) -> String {
        format!("/accounts/{}/webhooks/{}/recover", escaped(&self.account), escaped(webhook))
    }
}

/// Asks the person at the terminal, if there is one.
fn is_confirmed(found: u64) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let _ = write!(std::io::stderr(), "Send {found} failed deliveries again? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
