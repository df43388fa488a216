//! The admin API over a real store, request by request.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod rig;

mod accounts;
mod deliveries;
mod door;
mod fate;
mod keys;
mod publish;
mod publish_batch;
mod webhooks;
