//! `deliveries` and `replay`.

use clap::Args;
use serde_json::Value;

use super::Call;
use crate::admin_client::escaped;
use crate::failure::{Exit, Failure};
use crate::output::{Column, note};
use crate::settings::ClientFlags;

/// What `deliveries` is told.
#[derive(Args)]
pub struct LookAtDeliveries {
    /// One delivery, with the request and response of every attempt
    id: Option<String>,
    /// What became of one event
    #[arg(long, conflicts_with_all = ["id", "account"])]
    event: Option<String>,
    /// The deliveries of an account's webhooks
    #[arg(long, conflicts_with = "id")]
    account: Option<String>,
    /// Only those of one webhook
    #[arg(long, requires = "account")]
    webhook: Option<String>,
    /// The most deliveries of each webhook
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    flags: ClientFlags,
}

const DELIVERY_COLUMNS: [Column; 8] = [
    ("ID", "/id"),
    ("EVENT", "/event_type"),
    ("WEBHOOK", "/webhook_id"),
    ("STATUS", "/status"),
    ("ATTEMPTS", "/attempt_count"),
    ("REASON", "/reason"),
    ("NEXT ATTEMPT", "/next_attempt_at"),
    ("CREATED", "/created_at"),
];

const FATE_COLUMNS: [Column; 4] = [
    ("WEBHOOK", "/webhook_id"),
    ("STATUS", "/status"),
    ("REASON", "/reason"),
    ("NEXT ATTEMPT", "/next_attempt_at"),
];

const ATTEMPT_COLUMNS: [Column; 5] = [
    ("ATTEMPT", "/number"),
    ("AT", "/at"),
    ("STATUS", "/status_code"),
    ("ERROR", "/error"),
    ("MS", "/duration_ms"),
];

impl LookAtDeliveries {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let call = Call::new(&self.flags, json)?;
        match (&self.id, &self.event, &self.account) {
            (Some(id), _, _) => show_one(&call, id).await?,
            (_, Some(event), _) => show_event(&call, event).await?,
            (_, _, Some(account)) => list(&call, account, self.webhook.as_deref(), self.limit).await?,
            _ => return Err(Failure::usage("name a delivery, or give --event ID or --account ID")),
        }
        Ok(Exit::Done)
    }
}

async fn show_one(call: &Call, id: &str) -> Result<(), Failure> {
    let delivery = call.admin.get(&format!("/deliveries/{}", escaped(id))).await?;
    if !call.output.is_for_people() {
        call.output.line(&delivery);
        return Ok(());
    }
    call.output.table(&DELIVERY_COLUMNS, std::slice::from_ref(&delivery));
    let attempts = delivery["attempts"].as_array().cloned().unwrap_or_default();
    call.output.line("");
    call.output.table(&ATTEMPT_COLUMNS, &attempts);
    for attempt in &attempts {
        call.output.line(format!("\nattempt {}", attempt["number"]));
        for part in ["request", "response"] {
            let text = serde_json::to_string_pretty(&attempt[part]).unwrap_or_default();
            call.output.line(format!("{part} {text}"));
        }
    }
    Ok(())
}

async fn show_event(call: &Call, id: &str) -> Result<(), Failure> {
    let event = call.admin.get(&format!("/events/{}", escaped(id))).await?;
    if !call.output.is_for_people() {
        call.output.line(&event);
        return Ok(());
    }
    let text = |member: &str| event[member].as_str().unwrap_or("-").to_owned();
    call.output.line(format!("{} {} of {}\n", text("type"), text("id"), text("created_at")));
    call.output.table(&FATE_COLUMNS, event["webhooks"].as_array().map_or(&[], Vec::as_slice));
    Ok(())
}

async fn list(call: &Call, account: &str, webhook: Option<&str>, limit: usize) -> Result<(), Failure> {
    let mut deliveries = Vec::new();
    for webhook in call.webhooks(account, webhook).await? {
        let path = format!("/accounts/{}/webhooks/{}/deliveries", escaped(account), escaped(&webhook));
        deliveries.extend(call.admin.list(&path, limit).await?);
    }
    call.output.table(&DELIVERY_COLUMNS, &deliveries);
    Ok(())
}

/// What `replay` is told.
#[derive(Args)]
pub struct Replay {
    /// The deliveries to repeat
    #[arg(required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    flags: ClientFlags,
}

impl Replay {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses all of them.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let call = Call::new(&self.flags, json)?;
        let mut refused = Vec::new();
        for id in &self.ids {
            match call
                .admin
                .post(&format!("/deliveries/{}/retry", escaped(id)), &Value::Object(Default::default()))
                .await
            {
                Ok(delivery) => call.output.answer(format!("delivery {id} will be sent again"), &delivery),
                Err(failure) if failure.exit == Exit::Refused => refused.push(format!("{id}: {failure}")),
                Err(failure) => return Err(failure),
            }
        }
        if refused.len() == self.ids.len() {
            return Err(Failure::refused(refused.join("\n")));
        }
        refused.iter().for_each(note);
        Ok(if refused.is_empty() { Exit::Done } else { Exit::Partly })
    }
}
