//! Who is who in here, and what may be lost.
//!
//! - `FanOut` walks the accepted events in order and finds the webhooks each is owed to.
//! - A `Line` holds what waits for one webhook: fresh deliveries and those of its backlog, served in turn.
//! - A `Lane` holds one webhook's deliveries that wait in memory; the rest of its backlog stays in the
//!   store and is read when there is room.
//! - `Turns` says whose lane may start the next attempt: accounts in turn, within them webhooks in turn.
//! - `Pace` spaces the attempts to one webhook where the contract says how many may start.
//! - `Slots` counts attempts under way and the bytes of their bodies, and frees the place of those that take long.
//! - `Queues` are the turns of those that wait for different things, so that none waits for what it does not need.
//! - `Ledger` collects what has to be remembered and knows up to which event everything is.
//! - [`Dispatcher`] moves deliveries between them.
//!
//! All of it is a cache of the store. A delivery is either written (it has a row) or implied by an event above the
//! checkpoint, so losing every byte in here delays work and loses none.

mod line;

mod bodies;
mod bugs;
mod fan_out;
mod ledger;
mod pace;
mod settle;
mod slots;
mod turns;

mod lane;
mod queues;

mod machine;
mod start;
mod take_up;

pub use machine::{Claim, Dispatcher, Effect, Input, Step};
