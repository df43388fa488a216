//! The engine: makes happen what the store says is owed.
//!
//! [`dispatcher`] decides everything and does nothing: a state machine fed with hints, loaded rows and ended attempts,
//! whose steps answer with effects. [`driver`] carries the effects out: [`sending`] makes attempts on as many runtimes as
//! there are processors, the store remembers, [`housekeeping`] forgets. The simulator drives the same dispatcher through simulated years.

pub mod bounds;

pub mod dispatcher;

pub mod observe;

pub mod sending;

mod crew;

pub mod pulse;

pub mod housekeeping;

pub mod driver;
