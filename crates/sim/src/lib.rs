//! Posthaste's engine in simulated time.
//!
//! One seed is one world: a store (the real one, on SQLite in memory), the real dispatcher, a scripted network with
//! receivers that fail in every way, a disk whose commits fail, clocks that are set, processes that die or are told to
//! end, publishers who repeat themselves, customers and operators who meddle. The first part of a run is full of faults;
//! then everything heals and all that is owed must drain. What must hold is checked on the way and at the end.
//!
//! The same seed gives the same [`trace`](Report::trace), byte for byte.

mod agenda;
mod clocks;
mod dice;
mod disk;
mod tally;
mod words;

mod script;

mod receivers;
mod witness;

mod world;

mod check;

mod lives;

mod engine;
mod people;
mod publishers;

mod run;

mod many;

pub use many::{Totals, run_many};
pub use run::{Report, run};
pub use tally::Tally;
pub use world::Wishes;
