//! A product's public webhook API and delivery promise, read from a TOML file and compiled.
//!
//! Pure: the same text gives the same contract, and the same contract and facts give the same bytes. Nothing here
//! awaits, logs, reads a clock or does I/O. [`Contract::read`] reads a file and says everything that is wrong with
//! it; the rest of the crate is what a compiled contract can do.
//!
//! Modules stand in reading order; each uses only those above it.

pub mod finding;
pub mod model;

pub mod json;

mod read;

pub mod builtin;

pub mod fault;

pub mod facts;

pub mod render;

pub mod error;
pub mod keys;

pub mod input;
pub mod query;
pub mod rate;
pub mod reading;
pub mod routing;

pub mod payload;
pub mod public_ids;
pub mod signing;
pub mod verify;

pub mod openapi;

pub use error::{ErrorAnswer, ErrorContext};
pub use facts::{DeliveryFacts, EventFacts, PageFacts, Scope, Subject, TestFacts};
pub use fault::FieldFault;
pub use finding::{Finding, Severity};
pub use input::{BodyFault, Values};
pub use keys::NewApiKey;
pub use model::{Condition, Contract, Op};
pub use payload::{DataFault, PayloadFacts};
pub use public_ids::PublicIds;
pub use query::{PageAsk, QueryAsk};
pub use reading::ReadingFault;
pub use routing::RouteMatch;
pub use signing::{RequestFault, SignedRequest, SigningFacts, SigningKeys};
pub use verify::VerifyFault;
