//! The real program as a process of its own, over real sockets and a real store.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

mod canaries;
mod commands;
mod crash;
mod crossing;
mod dev;
mod guard;
mod hostile;
mod lifecycle;
mod logins;
mod meddling;
mod replaced;
mod rotation;
mod secret_types;
mod tls_listener;
mod tokens;
mod witness;
