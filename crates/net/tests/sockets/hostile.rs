//! The tables of hostile receivers, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{Outcome, Response};
use tokio::task::JoinSet;

use crate::rig::{
    Authority, BEYOND, HOST, Receiver, Rig, Row, Setup, TIMEOUT, TRIES, TlsRow, detail, rows, tls_rows, told,
    trusted,
};

/// What is at rest in the kernel's buffers when a sender has stopped reading.
const BUFFERED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Plays every row at the same time. Gives back how many there were.
async fn all(playing: impl Iterator<Item = impl Future<Output = Vec<String>> + Send + 'static>) -> usize {
    let playing: JoinSet<Vec<String>> = playing.collect();
    let rows = playing.len();
    let wrong: Vec<String> = playing.join_all().await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_becomes_its_outcome() {
    let rig = Arc::new(Rig::local());
    let count = all(rows().into_iter().map(|row| play(rig.clone(), row))).await;
    println!("counted | receivers | hostile receivers and what an attempt comes to | {count}");
}

/// Plays a row until it is in time, but not for ever. What is wrong otherwise is so at the first try, unless it is that
/// the time limit passed, which it does where the machine is busy.
async fn play(rig: Arc<Rig>, row: Row) -> Vec<String> {
    let mut last = Vec::new();
    for _ in 0..TRIES {
        let (took, wrong) = play_once(&rig, &row).await;
        if is_settled(took, &wrong) {
            return wrong;
        }
        last = wrong;
    }
    last.push(format!("{} {}: took too long {TRIES} times", row.kind, row.name));
    last
}

/// Would another try tell nothing new?
fn is_settled(took: Duration, wrong: &[String]) -> bool {
    let longest = if wrong.is_empty() { TIMEOUT + BEYOND } else { TIMEOUT };
    took < longest
}

async fn play_once(rig: &Rig, row: &Row) -> (Duration, Vec<String>) {
    let receiver = Receiver::always(row.script.clone()).await;
    let sent = rig.send(&receiver.url()).await;
    let (got, mut wrong) = (told(&sent.outcome), Vec::new());
    let mut say = |what: String| wrong.push(format!("{} {}: {what}", row.kind, row.name));
    if !row.is_outcome(&got) {
        say(format!("expected {}, got {got} ({})", row.outcome, detail(&sent.outcome)));
    }
    if receiver.accepts() != 1 || receiver.requests().len() > 1 {
        say(format!("{} connections, {} requests", receiver.accepts(), receiver.requests().len()));
    }
    if receiver.sent_bytes() > BUFFERED_MAX_BYTES {
        say(format!("{} bytes were taken", receiver.sent_bytes()));
    }
    if let Outcome::Answered(Response { headers, body, .. }) = &sent.outcome {
        let header_bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if header_bytes > Response::HEADERS_KEPT_BYTES || body.len() > Response::BODY_KEPT_BYTES {
            say(format!("{header_bytes} bytes of headers and {} of the body are kept", body.len()));
        }
    }
    (sent.duration, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_tls_has_its_sentence_and_no_request_is_sent() {
    let authority = Authority::new("ours");
    let roots = trusted(&authority);
    let count = all(tls_rows(&authority).into_iter().map(|row| play_tls(roots.clone(), row))).await;
    println!("counted | receivers | receivers that go wrong with TLS | {count}");
}

async fn play_tls(roots: String, row: TlsRow) -> Vec<String> {
    let mut last = Vec::new();
    for _ in 0..TRIES {
        let (took, wrong) = play_tls_once(roots.clone(), &row).await;
        if is_settled(took, &wrong) {
            return wrong;
        }
        last = wrong;
    }
    last.push(format!("{} {}: took too long {TRIES} times", row.kind, row.name));
    last
}

async fn play_tls_once(roots: String, row: &TlsRow) -> (Duration, Vec<String>) {
    let receiver = Receiver::start(vec![row.script.clone()], row.acceptor.clone()).await;
    let entry = format!("{HOST}:443:{}", receiver.address);
    let rig = Rig::new(Setup { connect_to: &[entry], roots: Some(roots), ..Setup::default() });
    let sent = rig.send(&format!("https://{HOST}/hook")).await;
    let (got, mut wrong) = (told(&sent.outcome), Vec::new());
    let mut say = |what: String| wrong.push(format!("{} {}: {what}", row.kind, row.name));
    if got != row.outcome || (!row.detail.is_empty() && detail(&sent.outcome) != row.detail) {
        say(format!("expected {} ({}), got {got} ({})", row.outcome, row.detail, detail(&sent.outcome)));
    }
    if row.outcome == "tls_error" && !receiver.requests().is_empty() {
        say("a request was sent".to_owned());
    }
    if receiver.accepts() != 1 {
        say(format!("{} connections", receiver.accepts()));
    }
    (sent.duration, wrong)
}
