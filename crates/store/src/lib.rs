//! What Posthaste remembers.
//!
//! [`Store`] is the seam: verbs at the height of the domain, batches in and batches out, no SQL upwards. Its meaning
//! is the conformance suite in `conformance`, which every body passes. [`Embedded`] is SQLite in the data folder;
//! [`Inline`] is the same in memory without threads, for simulations.

pub mod change;
pub mod error;
pub mod page;
pub mod roster;

mod seals;

mod damage;

mod store;

mod sealing;

mod ledger;

mod folder;

mod log_file;

mod log_note;

mod ballast;

mod backup;

mod memory;

mod embedded;

mod inline;

mod snapshot;
mod verify;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use change::{
    AccountPatch, ChangeFilter, EventDraft, IdempotencyKey, NewAccount, NewKey, NewToken, NewWebhook,
    Published, RecordBatch, Recorded, Recovered, Rotation, Spill, WebhookLimits, WebhookPatch, Window,
};
pub use damage::Damage;
pub use embedded::{Embedded, Options};
pub use error::{Refusal, StoreError};
pub use folder::OpenError;
pub use inline::{CommitFault, Inline};
pub use page::{DeliveryRow, EventsRead, PageCursor, PendingQuery, PendingRead, PendingRow, ReadRoom, Slice};
pub use roster::Roster;
pub use sealing::{MasterKey, MasterKeys};
pub use seals::{SealRotation, Seals};
pub use snapshot::snapshot;
pub use store::{Answer, Hint, Owed, Progress, Store};
pub use verify::{Report, verify};
