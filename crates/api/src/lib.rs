//! The HTTP side: the public API that the contract describes, and the admin API.
//!
//! Modules stand in reading order; each uses only those above it.

pub mod client_address;
pub mod padding;

pub mod certificate;
pub mod logins;

pub mod body;

pub mod publishing;
pub mod test_delivery;

pub mod admin;

pub mod docs;
pub mod public;

pub mod server;
