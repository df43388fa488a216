//! The only way out: everything Posthaste dials, it dials through here.
//!
//! [`guard`] decides where a webhook may point, on the text of the URL and again on every socket address.
//! [`resolve`] turns names into addresses, [`dial`] makes connections to those the guard lets through, and
//! [`transport`] sends requests over them within strict bounds. [`probe`] asks whether a receiver is there at all.
//!
//! Modules stand in reading order; each uses only those above it.

mod fault;
pub mod guard;

pub mod resolve;
pub mod tls;

pub mod dial;
pub mod probe;

pub mod request;

mod answer;
mod connection;
mod exchange;
mod pool;

pub mod transport;

pub use dial::{BadProxy, Dialler, Proxy};
pub use fault::forbidden;
pub use guard::{Guard, GuardPolicy, Host, Origin, Refusal, Rule, Scheme, Target, UnfitNet};
pub use pool::PoolLimits;
pub use probe::{Probe, Unreachable};
pub use request::Headers;
pub use resolve::{ConnectTo, Resolver};
pub use tls::Tls;
pub use transport::{HttpTransport, Outgoing, Sent, Transport};
