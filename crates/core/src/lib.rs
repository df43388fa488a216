//! The nouns of Posthaste and the decisions made about them.
//!
//! Everything here is pure: the same input gives the same output. Nothing awaits, logs, reads a clock, rolls
//! dice or does I/O; what comes from outside arrives as an argument or through the traits in [`outside`].
//!
//! Modules stand in reading order; each uses only those above it.

pub mod time;

pub mod steady;

pub mod outside;
pub mod secret;

pub mod ids;
pub mod public_id;

pub mod policy;
pub mod subscription;

pub mod decimal;
pub mod watched;

pub mod health;

pub mod account;
pub mod token;

pub mod audit;

pub mod ordering;

pub mod event;
pub mod webhook;

pub mod attempt;
pub mod delivery;

pub mod rate;
pub mod retry;

pub use account::{Account, ApiKey};
pub use attempt::{Attempt, Fault, FaultKind, Outcome, Response};
pub use audit::{Action, Actor, By, Change, Details};
pub use decimal::Decimal;
pub use delivery::{Delivery, DeliveryState};
pub use event::{Audience, Event, EventBody, due_in_steady_time};
pub use health::Health;
pub use ids::{AccountNo, DeliveryKey, KeyNo, Seq, WebhookNo};
pub use ordering::{Chain, OrderingKey};
pub use outside::{Clock, Dice};
pub use policy::{DeliveryPolicy, RetrySchedule};
pub use public_id::{IdAlphabet, IdCodec, IdKind};
pub use secret::Secret;
pub use steady::{SteadyMark, Uptime};
pub use subscription::Subscription;
pub use time::UnixMs;
pub use token::{Scope, Token};
pub use watched::{Reading, Watched};
pub use webhook::{SigningSecrets, Webhook, WebhookState};
