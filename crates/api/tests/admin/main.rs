//! The admin API over a real store, request by request.

mod rig;

mod accounts;
mod deliveries;
mod door;
mod fate;
mod keys;
mod publish;
mod publish_batch;
mod webhooks;
