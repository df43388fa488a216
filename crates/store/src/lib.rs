//! What Posthaste remembers.
//!
//! [`Store`] is the seam: verbs at the height of the domain, batches in and batches out, no SQL upwards. Its meaning
//! is the conformance suite in `conformance`, which every body passes. `embedded` is SQLite in the data folder.

pub mod change;
pub mod error;
pub mod page;
pub mod roster;

mod store;

pub use change::{
    AccountPatch, EventDraft, IdempotencyKey, NewAccount, NewKey, NewWebhook, Published, RecordBatch,
    Recorded, Spill, WebhookLimits, WebhookPatch, Window,
};
pub use error::{Refusal, StoreError};
pub use page::{DeliveryRow, PageCursor, PendingRow, Slice};
pub use roster::Roster;
pub use store::{Hint, Store};
