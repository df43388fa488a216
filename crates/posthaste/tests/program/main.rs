//! The real program as a process of its own, over real sockets and a real store.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

mod commands;
mod crash;
mod dev;
mod lifecycle;
