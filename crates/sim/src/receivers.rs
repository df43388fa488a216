//! The network and the receivers at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use posthaste_core::{DeliveryKey, Fault, FaultKind, Outcome, Response};

use crate::dice::SeededDice;

/// What one attempt will meet.
pub struct Fate {
    /// When the request reaches the receiver after its start, if it does.
    pub arrives_after: Option<Duration>,
    /// How the sender sees it end.
    pub outcome: Outcome,
    /// When, after its start.
    pub ends_after: Duration,
}

/// What receivers saw, by delivery: how many requests arrived, and how many of them were answered with success.
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
        return answered(*dice.pick(&[200, 204, 299]), None, way);
    }
    match dice.between(0, 7) {
        0 => failed(FaultKind::DnsError, None, way),
        1 => failed(FaultKind::ConnectFailed, None, way),
        2 => failed(FaultKind::Timeout, None, Duration::from_secs(10)),
        3 => failed(FaultKind::Timeout, Some(way), Duration::from_secs(10)),
        4 => failed(FaultKind::ConnectionLost, Some(way), way * 2),
        5 => answered(410, None, way),
        6 => answered(*dice.pick(&[429, 503]), Some(dice.between(0, 200)), way),
        _ => answered(*dice.pick(&[301, 400, 404, 500, 502]), None, way),
    }
}

fn answered(status: u16, retry_after_s: Option<i64>, way: Duration) -> Fate {
    let headers = retry_after_s.map(|seconds| ("retry-after".to_owned(), seconds.to_string().into_bytes()));
    let response = Response { status, headers: headers.into_iter().collect(), ..Response::default() };
    Fate { arrives_after: Some(way), outcome: Outcome::Answered(response), ends_after: way * 2 }
}

fn failed(kind: FaultKind, arrives_after: Option<Duration>, ends_after: Duration) -> Fate {
    Fate { arrives_after, outcome: Outcome::Failed(Fault { kind, detail: String::new() }), ends_after }
}
