//! `secrets show` and `secrets rotate`: the master key, with a running server or without.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use posthaste_core::Clock as _;
use posthaste_store::{Embedded, Options, Refusal, Seals, Store, StoreError};
use serde_json::{Value, json};

use super::client_settings;
use crate::admin_client::AdminClient;
use crate::data_folder::DataFolder;
use crate::failure::{Exit, Failure};
use crate::output::{Output, note};
use crate::outside::SystemClock;
use crate::settings::{ClientFlags, ClientSettings};

/// How often a rotation is asked how far it is.
const ASKED_EVERY: Duration = Duration::from_millis(100);
/// The longest that the command stays with a rotation. The server goes on without it.
const PATIENCE: Duration = Duration::from_hours(1);

/// What is to be done where the key is not the store's to change.
const KEY_GIVEN: &str = "the master key is given from outside: run this, or the server, with \
    POSTHASTE_MASTER_KEY=NEW,FORMER; everything is sealed under NEW then";

/// The master key, which seals all secrets.
#[derive(Subcommand)]
pub enum SecretsCommand {
    /// Says which master key seals how many secrets
    Show {
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Seals everything under a new master key, also while a server runs
    Rotate(Rotate),
}

/// What `secrets rotate` is told.
#[derive(Args)]
pub struct Rotate {
    /// Copies the key file to a new file first: backups made until now open only with that key
    #[arg(long, value_name = "FILE")]
    keep_former: Option<PathBuf>,
    #[command(flatten)]
    flags: ClientFlags,
}

impl SecretsCommand {
    /// Does it.
    ///
    /// # Errors
    /// If it is refused, or neither a server nor a store is there.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let output = Output::new(json);
        match self {
            Self::Show { flags } => {
                let seals = AdminClient::find(&client_settings(&flags)?)?.get("/secrets").await?;
                output.answer(standing(&seals), &seals);
            }
            Self::Rotate(rotate) => {
                let settings = client_settings(&rotate.flags)?;
                let kept = rotate.keep_former.map(|file| KeptFormer { data: settings.data.clone(), file });
                let seals = match with_server(&settings, kept.as_ref()).await {
                    Err(failure) if failure.exit == Exit::Unreachable && settings.server.is_none() => {
                        without_server(&settings, kept.as_ref()).await?
                    }
                    answer => answer?,
                };
                output.answer(standing(&seals), &seals);
                note(about_backups(kept.as_ref().map(|kept| kept.file.as_path())));
            }
        }
        Ok(Exit::Done)
    }
}

/// Where the former key is to be kept.
struct KeptFormer {
    data: PathBuf,
    file: PathBuf,
}

impl KeptFormer {
    /// Copies the key and begins a rotation. If that is refused the copy goes again, but only if the key was not touched:
    /// a call may fail when the key is in its file already, and then the next start ends the rotation by itself and the
    /// copy is the only former key that is left.
    async fn around<T>(
        kept: Option<&Self>,
        begin: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(Self { data, file }) = kept else { return begin.await };
        let folder = DataFolder::at(data);
        folder.copy_master_key(file)?;
        begin.await.map_err(|failure| {
            if failure.exit == Exit::Refused && folder.is_master_key(file) {
                let _ = std::fs::remove_file(file);
                return failure;
            }
            let sentence = format!(
                "{failure}\n  The rotation may have begun, and goes on by itself then: {} holds the former master key, keep it",
                file.display()
            );
            Failure { sentence, ..failure }
        })
    }
}

/// What stands in the way of a rotation that is to keep the former key.
fn refuse_no_start(kept: Option<&KeptFormer>, is_rotating: bool, is_key_given: bool) -> Result<(), Failure> {
    match kept {
        Some(_) if is_key_given => Err(Failure::refused(KEY_GIVEN)),
        Some(kept) if is_rotating => Err(Failure::refused(format!(
            "a rotation is under way already, so {} is as it was: the former key is the second line of master.key",
            kept.file.display()
        ))),
        _ => Ok(()),
    }
}

async fn with_server(settings: &ClientSettings, kept: Option<&KeptFormer>) -> Result<Value, Failure> {
    let admin = AdminClient::find(settings)?;
    if kept.is_some() {
        let seals = admin.get("/secrets").await?;
        refuse_no_start(kept, seals["state"] == "rotating", seals["key_from"] == "environment")?;
    }
    KeptFormer::around(kept, admin.post("/secrets/rotate", &json!({}))).await?;
    let settled = async {
        loop {
            let seals = admin.get("/secrets").await?;
            if seals["state"] != "rotating" {
                return Ok(seals);
            }
            refuse_held_up(seals["held_up_by"].as_str())?;
            tokio::time::sleep(ASKED_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap_or_else(|_| Err(too_long()))
}

/// Waiting longer is of no use before somebody saw to it.
fn refuse_held_up(by: Option<&str>) -> Result<(), Failure> {
    by.map_or(Ok(()), |why| Err(Failure::refused(format!("the rotation goes on, but is held up: {why}"))))
}

/// Opening a store whose rotation was cut off goes on with it by itself.
async fn without_server(settings: &ClientSettings, kept: Option<&KeptFormer>) -> Result<Value, Failure> {
    let (data, keys) = (settings.data.clone(), settings.master_key.clone());
    if !Embedded::is_in(&data) {
        let folder = data.display();
        return Err(Failure::unreachable(format!(
            "no server runs and {folder} holds no store: name its folder with --data-dir"
        )));
    }
    let options = Options { readers: 1 };
    // With a new key and a former one from outside the opening has begun the rotation, and may have ended it.
    let was_begun = keys.as_ref().is_some_and(|keys| keys.former_id().is_some());
    let opening =
        tokio::task::spawn_blocking(move || Embedded::open(&data, keys, options, Arc::new(SystemClock)));
    let opened = opening.await.map_err(|error| Failure::refused(error.to_string()))?;
    let store = opened.map_err(|error| Failure::refused(error.to_string()))?;
    let rotated = rotate(&store, kept, was_begun).await;
    store.close().await;
    let seals = rotated?;
    Ok(json!({
        "state": if seals.unopened > 0 { "incomplete" } else { "settled" },
        "unopened": seals.unopened,
        "held_up_by": null,
        "key": {"id": seals.key_id, "since": seals.key_since.map(|at| at.rfc3339_ms()), "secrets": seals.sealed},
        "former_key": null,
        "rotating_since": null,
        "key_from": if seals.is_key_given { "environment" } else { "file" },
    }))
}

async fn rotate(store: &Embedded, kept: Option<&KeptFormer>, was_begun: bool) -> Result<Seals, Failure> {
    let refused = |error: StoreError| Failure::refused(error.to_string());
    let seals = store.seals().await.map_err(refused)?;
    refuse_no_start(kept, seals.rotation.is_some(), seals.is_key_given)?;
    if seals.rotation.is_none() && !was_begun {
        let begin = async {
            store.rotate_master_key(SystemClock.now().into()).await.map_err(|error| match error {
                StoreError::Refused(Refusal::KeyGiven) => Failure::refused(KEY_GIVEN),
                error => refused(error),
            })
        };
        KeptFormer::around(kept, begin).await?;
    }
    let settled = async {
        loop {
            let seals = store.seals().await.map_err(refused)?;
            if seals.rotation.is_none() {
                return Ok(seals);
            }
            store.health().map_err(Failure::refused)?;
            refuse_held_up(seals.held_up_by.as_deref())?;
            tokio::time::sleep(ASKED_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.unwrap_or_else(|_| Err(too_long()))
}

fn too_long() -> Failure {
    Failure::refused(
        "the rotation is still under way; it goes on, and `posthaste secrets show` tells how far it is",
    )
}

fn standing(seals: &Value) -> String {
    let id = |key: &str| seals[key]["id"].as_str().unwrap_or_default().to_owned();
    let count = |key: &str| seals[key]["secrets"].as_u64().unwrap_or_default();
    let sentence = format!("{} secrets are sealed under the master key {}", count("key"), id("key"));
    let unopened = seals["unopened"].as_u64().unwrap_or_default();
    let held_up = seals["held_up_by"].as_str().map(|why| format!("; held up: {why}")).unwrap_or_default();
    match seals["state"].as_str() {
        Some("settled") => format!("{sentence}, and none under another"),
        Some("incomplete") => format!("{sentence}, and {unopened} open with no key that is here"),
        _ => format!("{sentence}, and {} still under {}{held_up}", count("former_key"), id("former_key")),
    }
}

fn about_backups(kept: Option<&Path>) -> String {
    let warning = "Backups made until now open only with the former master key. Keep it, apart from them, as long as you \
                   keep them";
    match kept {
        Some(file) => format!("{warning}: it is in {}.", file.display()),
        None => format!("{warning}; without it, make a new backup now."),
    }
}
