//! After an outage: a million deliveries for a receiver that was dead, a hundred thousand overdue after a stop, and a
//! receiver that comes back with little capacity. What is fresh does not wait for what is old, memory stays bounded, and
//! nothing is fired at once.

mod door;
mod past;
mod stage;

mod dead;
mod herd;
mod narrow;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;

/// The part.
pub const PART: Part = Part {
    name: "outage",
    says: "what a dead receiver, a stopped node and a weak receiver leave behind is sent slowly and beside fresh events",
    is_alone: true,
    figures: &[
        Figure::count("outage.dead", "deliveries pending for a dead receiver at a start"),
        Figure::at_most("outage.dead_ready", "time until ready with them", "ms", 5_000.0),
        Figure::never("outage.forgotten", "of the deliveries for it, neither made nor pending at the end"),
        Figure::at_most("outage.dead_memory", "most memory used with them", "MiB", 256.0),
        Figure::at_most("outage.beside_dead", "added to a healthy webhook's p99 beside them", "ms", 100.0),
        // Overdue from the moment it was published: the greatest age there was, and not only at some moments.
        Figure::at_most(
            "outage.oldest_overdue",
            "oldest overdue delivery of a healthy webhook, alone and beside them",
            "ms",
            5_000.0,
        ),
        Figure::at_least(
            "outage.dead_failed",
            "attempts that failed at the dead receiver before it returned, for each webhook",
            "",
            2.0,
        ),
        Figure::at_most(
            "outage.fresh_returned",
            "p99 of fresh events to the receiver that returned",
            "ms",
            5_000.0,
        ),
        Figure::count("outage.overdue", "deliveries overdue by an hour at a start"),
        Figure::at_most("outage.overdue_ready", "time until ready with them", "ms", 5_000.0),
        Figure::at_most("outage.overdue_fresh", "p99 of fresh events while they are sent", "ms", 2_000.0),
        Figure::at_most("outage.overdue_at_once", "most of them under way at one time", "", 512.0),
        Figure::greatest("outage.overdue_peak", "most of them in a second", "/s"),
        Figure::at_most("outage.overdue_drained", "time until all had arrived", "ms", 120_000.0),
        Figure::never(
            "outage.lost",
            "deliveries of fresh events, or overdue by an hour, that had not arrived at the end",
        ),
        Figure::never(
            "outage.too_many",
            "requests beyond the slow start of their webhook, or of all together",
        ),
        Figure::at_most("outage.rate_peak", "most in a second to a webhook with a rate of 50/s", "/s", 52.0),
        Figure::at_least("outage.fresh_share", "fresh events among those sent while both waited", "", 0.45),
        Figure::at_least("outage.backlog_share", "what had waited among those sent then", "", 0.35),
        Figure::count("outage.refused", "requests beyond a receiver's capacity of 50/s, answered 429"),
        Figure::never("outage.early", "requests repeated before `Retry-After` was over"),
    ],
    run,
};

fn run(context: Context) -> Running {
    Box::pin(async move {
        narrow::paced(&context).await?;
        narrow::refusing(&context).await?;
        herd::run(&context).await?;
        dead::run(&context).await
    })
}
