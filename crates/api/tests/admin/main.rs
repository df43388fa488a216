//! The admin API over a real store, request by request.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod rig;

mod refusals;

mod accounts;
mod audit;
mod batch_requests;
mod crossing;
mod deliveries;
mod door;
mod fate;
mod guessing;
mod keys;
mod operating;
mod paths;
mod publish;
mod publish_batch;
mod publish_requests;
mod publish_wire;

mod late_bodies;

mod requests;
mod tokens;
mod webhooks;
