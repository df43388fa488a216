//! Sentences for what went wrong.

use posthaste_core::{Fault, FaultKind};

pub(crate) fn fault(kind: FaultKind, detail: impl Into<String>) -> Fault {
    Fault { kind, detail: detail.into() }
}

pub(crate) fn timed_out(during: &str) -> Fault {
    fault(FaultKind::Timeout, format!("The time limit passed {during}."))
}

/// The guard refused the target. Why and for which address is logged, and told to nobody else.
#[must_use]
pub fn forbidden() -> Fault {
    fault(FaultKind::TargetForbidden, "The target is not one that deliveries may go to.")
}
