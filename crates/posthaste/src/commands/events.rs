//! `event send`.

use std::io::{BufRead, IsTerminal as _, Read as _, Write as _};

use clap::{Args, Subcommand};
use posthaste_contract::json::{self, JsonFault};
use serde_json::{Value, json};

use super::Call;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::settings::ClientFlags;

/// Events: what happened in the product.
#[derive(Subcommand)]
pub enum EventCommand {
    /// Publishes one event, or many with --batch
    Send(SendEvent),
}

/// What `event send` is told.
#[derive(Args)]
pub struct SendEvent {
    /// The event's type
    #[arg(value_name = "TYPE", required_unless_present = "batch", conflicts_with = "batch")]
    event_type: Option<String>,
    /// The account it is for
    #[arg(long, conflicts_with_all = ["broadcast", "batch"])]
    account: Option<String>,
    /// It is for every account
    #[arg(long, conflicts_with = "batch")]
    broadcast: bool,
    /// Its data: a JSON object, @FILE or - for standard input
    #[arg(long = "data", id = "event_data", value_name = "JSON|@FILE|-", default_value = "{}")]
    data: String,
    /// Your own id of it; the same id again sends nothing
    #[arg(long)]
    id: Option<String>,
    /// Not to be sent before this time (RFC 3339)
    #[arg(long)]
    send_at: Option<String>,
    /// Goes to each webhook after all earlier events with the same key
    #[arg(long, value_name = "KEY", conflicts_with = "send_at")]
    ordering_key: Option<String>,
    /// Reads events from standard input, one JSON object with type, data and account or broadcast per line
    #[arg(long)]
    batch: bool,
    #[command(flatten)]
    flags: ClientFlags,
}

/// The most events in one request, as the admin API takes them.
const BATCH_MOST: usize = 1_000;
/// The most bytes in one request; the admin API takes more.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The longest line of a batch.
const LINE_MAX_BYTES: u64 = 2 * 1024 * 1024;

impl EventCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let Self::Send(ask) = self;
        let call = Call::new(&ask.flags, json)?;
        if ask.batch { send_batch(&call).await } else { send_one(ask, &call).await }
    }
}

async fn send_one(ask: SendEvent, call: &Call) -> Result<Exit, Failure> {
    if ask.account.is_none() && !ask.broadcast {
        return Err(Failure::usage("say whom the event is for: --account ID or --broadcast"));
    }
    let data = read_data(&ask.data)?;
    check_data(&data)?;
    let mut members = vec![format!("\"type\":{}", json!(ask.event_type))];
    members.extend(ask.account.map(|account| format!("\"account\":{}", json!(account))));
    members.extend(ask.broadcast.then(|| "\"broadcast\":true".to_owned()));
    members.extend(ask.id.map(|id| format!("\"id\":{}", json!(id))));
    members.extend(ask.send_at.map(|at| format!("\"send_at\":{}", json!(at))));
    members.extend(ask.ordering_key.map(|key| format!("\"ordering_key\":{}", json!(key))));
    // The data goes as the bytes that came: reading and writing it again could change numbers and spelling.
    members.push(format!("\"data\":{data}"));
    let body = format!("{{{}}}", members.join(","));
    let event = call.admin.post_text("/events", body, "application/json").await?;
    let word = if event["duplicate"] == true { "was published before" } else { "accepted" };
    let id = event["id"].as_str().unwrap_or_default();
    call.output.answer(format!("event {id} {word}"), &event);
    Ok(Exit::Done)
}

fn read_data(given: &str) -> Result<String, Failure> {
    let read = match given.strip_prefix('@') {
        _ if given == "-" => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
        }
        Some(file) => std::fs::read_to_string(file),
        None => return Ok(given.to_owned()),
    };
    read.map_err(|error| Failure::usage(format!("the data {given} cannot be read: {error}")))
}

/// Is it one object? The server would speak of places in a body that nobody wrote.
fn check_data(data: &str) -> Result<(), Failure> {
    match json::members(data.as_bytes(), json::DEPTH_MAX) {
        // The server has a better word for this.
        Ok(_) | Err(JsonFault::TooDeep(_)) => Ok(()),
        Err(fault) => Err(Failure::usage(format!("--data must be a JSON object: {fault}"))),
    }
}

/// How a batch is going.
#[derive(Default)]
struct Tally {
    accepted: usize,
    rejected: usize,
}

async fn send_batch(call: &Call) -> Result<Exit, Failure> {
    let mut input = std::io::stdin().lock();
    let mut tally = Tally::default();
    loop {
        let lines = next_lines(&mut input).map_err(|failure| tally.broken_off(failure))?;
        if lines.is_empty() {
            break;
        }
        let answer = call.admin.post_text("/events/batch", lines.join("\n"), "application/x-ndjson").await;
        let results = answer.and_then(|answer| results_for(&lines, answer));
        let results = results.map_err(|failure| tally.broken_off(failure))?;
        lines.iter().zip(&results).for_each(|(line, result)| tally.take(call, line, result));
        progress(&tally, "");
    }
    progress(&tally, "\n");
    let Tally { accepted, rejected } = tally;
    let sentence = format!("{accepted} events accepted, {rejected} rejected");
    if call.output.is_for_people() {
        call.output.line(sentence);
    }
    Ok(match (accepted, rejected) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Refused,
        _ => Exit::Partly,
    })
}

/// What became of each line.
fn results_for(lines: &[String], mut answer: Value) -> Result<Vec<Value>, Failure> {
    match answer.get_mut("events").map(Value::take) {
        Some(Value::Array(results)) if results.len() == lines.len() => Ok(results),
        _ => Err(Failure::refused(format!(
            "the server's answer does not say what became of each of {} events",
            lines.len()
        ))),
    }
}

impl Tally {
    fn take(&mut self, call: &Call, line: &str, result: &Value) {
        let is_rejected = result.get("error").is_some();
        self.accepted += usize::from(!is_rejected);
        self.rejected += usize::from(is_rejected);
        if !call.output.is_for_people() {
            call.output.line(result);
        } else if is_rejected {
            let why =
                result["error"]["detail"].as_str().map_or_else(|| result["error"].to_string(), str::to_owned);
            note(format!("rejected: {why}\n  {}", line.chars().take(100).collect::<String>()));
        }
    }

    fn broken_off(&self, failure: Failure) -> Failure {
        let exit = if self.accepted > 0 { Exit::Partly } else { failure.exit };
        let so_far = format!("{} events were accepted before that", self.accepted);
        Failure { exit, sentence: format!("{}; {so_far}", failure.sentence) }
    }
}

/// The next lines that fit one request, empty ones left out; none at the end of the input.
fn next_lines(input: &mut impl BufRead) -> Result<Vec<String>, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("standard input cannot be read: {error}"));
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < BATCH_MOST && bytes < BATCH_BYTES {
        let mut line = String::new();
        let length = input.by_ref().take(LINE_MAX_BYTES).read_line(&mut line).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        let line = line.trim();
        // The server takes a body that begins so for one list of events.
        if line.starts_with('[') {
            return Err(Failure::usage("each line must be one event, a JSON object; this one is a list"));
        }
        if !line.is_empty() {
            bytes += line.len();
            lines.push(line.to_owned());
        }
    }
    Ok(lines)
}

fn progress(tally: &Tally, end: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r{} accepted, {} rejected{end}", tally.accepted, tally.rejected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_at_a_thousand_lines_and_empty_ones_do_not_count() {
        let mut input = std::io::Cursor::new("{\"a\":1}\n\n".repeat(1_500));
        let sizes: Vec<usize> = (0..3).map(|_| next_lines(&mut input).unwrap().len()).collect();
        assert_eq!(sizes, [1_000, 500, 0]);
    }

    #[test]
    fn a_list_is_no_line_and_each_line_needs_an_answer() {
        let refused =
            next_lines(&mut std::io::Cursor::new("{}\n [{}, {}]\n")).map_err(|failure| failure.exit);
        assert_eq!(refused, Err(Exit::Usage));
        let lines = vec!["{}".to_owned(); 2];
        assert_eq!(
            results_for(&lines, json!({"events": [{}, {}]})).map_err(|failure| failure.sentence),
            Ok(vec![json!({}); 2])
        );
        for answer in [json!({"events": [{}]}), json!({}), Value::Null, json!([1])] {
            assert!(results_for(&lines, answer.clone()).is_err(), "{answer}");
        }
    }
}
