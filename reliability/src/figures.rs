//! Figures: what is counted and measured, how several runs of it make one, and what it must not miss.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::ensure;

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// A name in two parts, such as `kill.cycles`: the part of the run, and what it is.
    pub id: &'static str,
    /// What it is, as the table shows it.
    pub says: &'static str,
    /// `ms`, `MiB`, `/s`; empty for a count.
    pub unit: &'static str,
    /// What becomes of several values.
    pub gather: Gather,
    /// What it must be.
    pub bound: Bound,
}

/// How several values make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// They are added up.
    Sum,
    /// The greatest counts.
    Max,
    /// The least counts.
    Min,
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Whatever it is.
    None,
    /// Not more.
    AtMost(f64),
    /// Not less.
    AtLeast(f64),
}

impl Bound {
    /// Does a value keep to it?
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::None => true,
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl Figure {
    /// A count that is added up.
    pub const fn count(id: &'static str, says: &'static str) -> Self {
        Self { id, says, unit: "", gather: Gather::Sum, bound: Bound::None }
    }

    /// A count of what must have happened: without it the part has proved nothing.
    pub const fn some(id: &'static str, says: &'static str) -> Self {
        Self { bound: Bound::AtLeast(1.0), ..Self::count(id, says) }
    }

    /// A count of what must never happen.
    pub const fn never(id: &'static str, says: &'static str) -> Self {
        Self { bound: Bound::AtMost(0.0), ..Self::count(id, says) }
    }

    /// The greatest of what was measured, with the most that it may be.
    pub const fn at_most(id: &'static str, says: &'static str, unit: &'static str, most: f64) -> Self {
        Self { id, says, unit, gather: Gather::Max, bound: Bound::AtMost(most) }
    }

    /// The least of what was measured, with the least that it may be.
    pub const fn at_least(id: &'static str, says: &'static str, unit: &'static str, least: f64) -> Self {
        Self { id, says, unit, gather: Gather::Min, bound: Bound::AtLeast(least) }
    }

    /// The greatest of what was measured, for information.
    pub const fn greatest(id: &'static str, says: &'static str, unit: &'static str) -> Self {
        Self { id, says, unit, gather: Gather::Max, bound: Bound::None }
    }
}

/// The values of a run, as far as there are any.
#[derive(Default)]
pub struct Figures(Mutex<BTreeMap<&'static str, f64>>);

impl Figures {
    /// Takes in a value of a figure.
    pub fn take(&self, figure: &Figure, value: f64) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = values.entry(figure.id).or_insert(value_of_nothing(figure.gather));
        *kept = match figure.gather {
            Gather::Sum => *kept + value,
            Gather::Max => kept.max(value),
            Gather::Min => kept.min(value),
        };
    }

    /// What there is of a figure; `None` if it was not measured.
    pub fn value(&self, id: &str) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

fn value_of_nothing(gather: Gather) -> f64 {
    match gather {
        Gather::Sum => 0.0,
        Gather::Max => f64::NEG_INFINITY,
        Gather::Min => f64::INFINITY,
    }
}

/// Sees to it that no two figures have one name.
pub fn check_names(figures: &[Figure]) -> anyhow::Result<()> {
    let mut known = std::collections::BTreeSet::new();
    for figure in figures {
        ensure!(known.insert(figure.id), "two figures are called {}", figure.id);
    }
    Ok(())
}
