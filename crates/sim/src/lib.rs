//! Posthaste's engine in simulated time.
//!
//! One seed is one world: a store (the real one, on SQLite in memory), the real dispatcher, a scripted network with
//! receivers that fail in every way, customers and operators who meddle, crashes and restarts. The first part of a
//! run is full of faults; then everything heals and all that is owed must drain. What must hold is checked on
//! the way and at the end.
//!
//! The same seed gives the same [`trace`](Report::trace), byte for byte.

mod agenda;
mod dice;

mod receivers;
mod script;
mod witness;

mod world;

mod check;
mod engine;
mod people;

mod run;

pub use run::{Report, run};
