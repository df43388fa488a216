//! Wall clocks that are set, stand still or run wrong, while deliveries are under way and from one start to the next.

mod changes;
mod trial;
mod visits;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::preload;
use changes::CHANGES;
use trial::{Seen, Trial};

/// The part.
pub const PART: Part = Part {
    name: "clock",
    says: "wall clocks set by up to ten days and more, to 1970 and 2038, stopped, too fast, too slow",
    is_alone: false,
    figures: &[
        Figure::count("clock.turns", "wall clocks set under running servers and between two starts"),
        Figure::count("clock.events", "events acknowledged while clocks were set"),
        Figure::count("clock.retries", "retries awaited while clocks were set"),
        Figure::never("clock.early", "retries earlier than the contract's delay"),
        Figure::at_most(
            "clock.late",
            "greatest lateness of a retry beyond a tenth of its delay",
            "ms",
            1_000.0,
        ),
        Figure::at_most(
            "clock.late_after_boot",
            "the same after a start of the machine with a clock set back, beyond its own delay too",
            "ms",
            1_000.0,
        ),
        Figure::never("clock.lost", "acknowledged events lost or stranded by clocks"),
        Figure::never("clock.repeated", "events sent again after their success"),
        Figure::never("clock.misdated", "signatures with another time than the wall clock showed"),
        Figure::never("clock.expired", "young events that retention deleted"),
        Figure::never("clock.twice", "idempotency keys of minutes ago that made a second event"),
        Figure::never(
            "clock.locked_out",
            "customers refused, or let through, because a rate was by the wall clock",
        ),
    ],
    run,
};

/// Changes tried in a run with every change; the next seed goes on with those that follow.
const TRIALS: u64 = 16;
/// Servers at one time.
const AT_ONCE: usize = 8;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let library = Arc::new(preload::build("clock", folder.path())?);
        let mut chosen: Vec<usize> =
            (0..CHANGES.len()).cycle().skip(first(&context)).take(times(&context)).collect();
        let mut running = JoinSet::new();
        while !chosen.is_empty() || !running.is_empty() {
            while running.len() < AT_ONCE && !chosen.is_empty() {
                let change = &CHANGES[chosen.remove(0)];
                let trial = Trial::new(change, context.program(), &library, context.bug.as_deref());
                running.spawn(async move { trial.run().await.with_context(|| change.name) });
            }
            if let Some(ended) = running.join_next().await {
                report(&context, &ended??)?;
            }
        }
        Ok(())
    })
}

/// The change that this seed begins with.
fn first(context: &Context) -> usize {
    let changes = CHANGES.len() as u64;
    let begun = (context.seed.saturating_sub(1) % changes) * TRIALS;
    usize::try_from(begun % changes).unwrap_or(0)
}

fn times(context: &Context) -> usize {
    usize::try_from(context.times(TRIALS)).unwrap_or(usize::MAX)
}

fn report(context: &Context, seen: &Seen) -> anyhow::Result<()> {
    for (figure, value) in &seen.figures {
        context.report(figure, *value)?;
    }
    for objection in &seen.objections {
        context.object(objection);
    }
    Ok(())
}
