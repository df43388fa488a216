//! How numbers stand against their budgets.

use serde::Serialize;

/// One number against its budget.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// What it is measured in.
    pub unit: &'static str,
    /// The number.
    pub measured: f64,
    /// What it should be at most, or at least.
    pub budget: f64,
    /// Is more better?
    pub is_floor: bool,
    /// Is it met?
    pub is_met: bool,
}

/// For a number that should be small.
pub fn most(what: &str, unit: &'static str, measured: f64, budget: f64) -> Verdict {
    let is_met = measured <= budget;
    Verdict { what: what.to_owned(), unit, measured, budget, is_floor: false, is_met }
}

/// For a number that should be large.
pub fn least(what: &str, unit: &'static str, measured: f64, budget: f64) -> Verdict {
    let is_met = measured >= budget;
    Verdict { what: what.to_owned(), unit, measured, budget, is_floor: true, is_met }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_ceiling_or_a_floor() {
        assert!(most("", "", 1.0, 2.0).is_met && !most("", "", 3.0, 2.0).is_met);
        assert!(least("", "", 3.0, 2.0).is_met && !least("", "", 1.0, 2.0).is_met);
    }
}
