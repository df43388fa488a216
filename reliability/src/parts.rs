//! The parts of a run. Each tries one kind of fault and reports figures of its own.

mod backup;
mod clock;
mod corruption;
mod descriptors;
mod full_disk;
mod health;
pub mod images;
mod kill;
mod ordering;
mod outage;
mod points;
mod schedule;
mod shutdown;
mod simulation;
mod store_failure;
mod upgrade;

use std::pin::Pin;

use crate::context::Context;
use crate::figures::Figure;

/// A part of a run.
pub struct Part {
    /// Its name, as the command line takes it and as its figures begin.
    pub name: &'static str,
    /// What it tries, in a sentence.
    pub says: &'static str,
    /// What it measures, so that nothing else may share the machine with it.
    pub is_alone: bool,
    /// What it reports.
    pub figures: &'static [Figure],
    /// Tries it.
    pub run: fn(Context) -> Running,
}

/// A part that runs.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// All parts, in the order in which they are run.
pub const PARTS: &[Part] = &[
    kill::PART,
    ordering::PART,
    points::PART,
    shutdown::PART,
    simulation::PART,
    health::PART,
    descriptors::PART,
    images::PART,
    store_failure::PART,
    corruption::PART,
    backup::PART,
    full_disk::PART,
    outage::PART,
    clock::PART,
    upgrade::PART,
    schedule::PART,
];
