//! `backup` and `verify`: the files of a store, whether a server uses it or not.

use std::path::PathBuf;

use clap::Args;
use posthaste_core::Clock as _;
use serde_json::json;

use super::client_settings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::outside::SystemClock;
use crate::settings::ClientFlags;

/// What `backup` is told.
#[derive(Args)]
pub struct Backup {
    /// The new file
    file: PathBuf,
    #[command(flatten)]
    flags: ClientFlags,
}

impl Backup {
    /// Copies the store of the data folder.
    ///
    /// # Errors
    /// If there is no store, or the file is there already.
    pub fn run(self, json: bool) -> Result<Exit, Failure> {
        let settings = client_settings(&self.flags)?;
        if self.file.exists() {
            let file = self.file.display();
            return Err(Failure::refused(format!("{file} is there already; a backup goes into a new file")));
        }
        let needs_both = posthaste_store::snapshot(&settings.data, &self.file, SystemClock.now())
            .map_err(|error| Failure::refused(error.to_string()))?;
        let bytes = std::fs::metadata(&self.file).map(|file| file.len()).unwrap_or_default();
        let file = self.file.display().to_string();
        let keys = match needs_both {
            true => {
                "The master key is being rotated: this opens only with both keys, so keep both lines of master.key."
            }
            false => "The master key is not in it: keep master.key as well.",
        };
        let answer = json!({"file": file, "bytes": bytes, "needs_both_keys": needs_both});
        Output::new(json).answer(format!("{file}: {bytes} bytes. {keys}"), &answer);
        Ok(Exit::Done)
    }
}

/// What `verify` is told.
#[derive(Args)]
pub struct Verify {
    /// A data folder or a backup; the data folder of the settings, if left out
    #[arg(value_name = "DIR|FILE")]
    place: Option<PathBuf>,
    #[command(flatten)]
    flags: ClientFlags,
}

impl Verify {
    /// Reads all of a store and says what is damaged.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn run(self, json: bool) -> Result<Exit, Failure> {
        let settings = client_settings(&self.flags)?;
        let place = self.place.unwrap_or(settings.data);
        let report = posthaste_store::verify(&place, settings.master_key)
            .map_err(|error| Failure::refused(error.to_string()))?;
        let output = Output::new(json);
        let place = place.display().to_string();
        let is_sound = report.problems.is_empty();
        let mut sentence = report.problems.join("\n");
        if is_sound {
            sentence = format!("{place}: no damage found");
        }
        if !report.has_tried_seals {
            // Damage may be in the way of them, too.
            let why = if is_sound { "No master key was at hand, so the" } else { "The" };
            sentence.push_str(&format!("\n{why} secrets were not opened."));
        }
        let answer = json!({
            "place": place,
            "sound": is_sound,
            "problems": report.problems,
            "secrets_opened": report.has_tried_seals,
        });
        output.answer(sentence, &answer);
        Ok(if is_sound { Exit::Done } else { Exit::Refused })
    }
}
