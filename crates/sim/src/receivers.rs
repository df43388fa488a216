//! The network and the receivers at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use posthaste_core::{DeliveryKey, Fault, FaultKind, Outcome, Response};

use crate::dice::SeededDice;
use crate::script::TIMEOUT;

/// What one attempt will meet.
pub struct Fate {
    /// When the request reaches the receiver after its start, if it does.
    pub arrives_after: Option<Duration>,
    /// How the sender sees it end.
    pub outcome: Outcome,
    /// When, after its start.
    pub ends_after: Duration,
    /// The kind of fault it meets, if it does.
    pub fault: Option<&'static str>,
}

/// What receivers saw: how many requests of each delivery.
#[derive(Default)]
pub struct Seen {
    arrivals: BTreeMap<DeliveryKey, u32>,
}

impl Seen {
    pub fn arrived(&mut self, key: DeliveryKey) {
        *self.arrivals.entry(key).or_default() += 1;
    }

    pub fn count(&self, key: DeliveryKey) -> u32 {
        self.arrivals.get(&key).copied().unwrap_or(0)
    }
}

/// Rolls what an attempt will meet.
pub fn fate(dice: &SeededDice, fault_rate: f64, slowest_ms: i64) -> Fate {
    let way = Duration::from_millis(dice.between(0, slowest_ms).unsigned_abs());
    if !dice.chance(fault_rate) {
        return answered(None, *dice.pick(&[200, 204, 299]), None, way);
    }
    match dice.between(0, 9) {
        0 => failed("no such name", FaultKind::DnsError, None, way),
        1 => failed("connection refused", FaultKind::ConnectFailed, None, way),
        2 => failed("nobody there", FaultKind::Timeout, None, TIMEOUT),
        3 => failed("no answer in time", FaultKind::Timeout, Some(way), TIMEOUT),
        4 => failed("answer lost", FaultKind::ConnectionLost, Some(way), way * 2),
        5 => answered(Some("gone"), 410, None, way),
        6 => answered(Some("told to wait"), *dice.pick(&[429, 503]), Some(dice.between(0, 200)), way),
        // Slow, and yet in time.
        7 => answered(Some("slow receiver"), 200, None, TIMEOUT.mul_f64(dice.between(1, 49) as f64 / 100.0)),
        8 => failed("no usable answer", FaultKind::ConnectionLost, Some(way), way * 2),
        _ => answered(Some("error answered"), *dice.pick(&[301, 400, 404, 500, 502]), None, way),
    }
}

fn answered(fault: Option<&'static str>, status: u16, retry_after_s: Option<i64>, way: Duration) -> Fate {
    let headers = retry_after_s.map(|seconds| ("retry-after".to_owned(), seconds.to_string().into_bytes()));
    let response = Response { status, headers: headers.into_iter().collect(), ..Response::default() };
    Fate { arrives_after: Some(way), outcome: Outcome::Answered(response), ends_after: way * 2, fault }
}

fn failed(
    what: &'static str,
    kind: FaultKind,
    arrives_after: Option<Duration>,
    ends_after: Duration,
) -> Fate {
    let outcome = Outcome::Failed(Fault { kind, detail: String::new() });
    Fate { arrives_after, outcome, ends_after, fault: Some(what) }
}
