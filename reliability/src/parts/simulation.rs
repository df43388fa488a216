//! The engine in simulated worlds, each with faults of its own mix, from seeds.

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;

/// The part.
pub const PART: Part = Part {
    name: "simulation",
    says: "simulated worlds: faults of network, store and process, people who meddle, then everything must drain",
    is_alone: false,
    figures: &[
        Figure::count("simulation.seeds", "simulated worlds"),
        Figure::count("simulation.events", "events accepted in them"),
        Figure::count("simulation.attempts", "attempts made in them"),
        Figure::count(
            "simulation.repeated",
            "attempts repeated because a process ended before it recorded them",
        ),
        Figure::count("simulation.ends", "processes ended in them"),
        Figure::count("simulation.faults", "faults in them"),
        Figure::count("simulation.hours", "simulated hours"),
        Figure::never("simulation.failed", "worlds in which something happened that must not"),
    ],
    run,
};

/// How many worlds there are in a run with every change.
const SEEDS: u64 = 10_000;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let count = context.times(SEEDS);
        let first = context.seed.saturating_sub(1).saturating_mul(count);
        let worlds = move || {
            posthaste_sim::run_many(first..first.saturating_add(count), 1, posthaste_sim::Wishes::default())
        };
        let totals = tokio::task::spawn_blocking(worlds).await?;
        context.report("simulation.seeds", totals.worlds as f64)?;
        context.report("simulation.events", totals.events as f64)?;
        context.report("simulation.attempts", totals.attempts as f64)?;
        context.report("simulation.repeated", totals.repeated as f64)?;
        context.report("simulation.ends", totals.processes_ended as f64)?;
        context.report("simulation.faults", totals.faults.total() as f64)?;
        context.report("simulation.hours", totals.hours() as f64)?;
        context.report("simulation.failed", totals.failed.len() as f64)?;
        totals.failures().for_each(|failure| context.object(failure));
        totals.missing().for_each(|what| context.object(format!("there are no {what}: that proves nothing")));
        Ok(())
    })
}
