//! Errors by what the caller does next.

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The rules of the data forbid it; nothing changed. Tell the caller.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full, or almost: nothing was stored. Answer 503.
    #[error("the disk has no room")]
    StorageFull,
    /// Nothing was done and it may work later (shutting down). Answer 503.
    #[error("the store cannot take this now: {0}")]
    Unavailable(String),
    /// A write or sync failed: whether the change is stored is unknown, and the store has stopped. Answer 503.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What was read is damaged; the sentence names the file and the row.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Rules of the data that a change would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing, or it is not the caller's.
    #[error("not found")]
    NotFound,
    /// The id is taken.
    #[error("already exists")]
    Taken,
    /// The owner has as many webhooks as the contract allows.
    #[error("the limit of webhooks is reached")]
    WebhookLimit,
    /// The owner has a webhook with this URL.
    #[error("a webhook with this URL exists")]
    DuplicateUrl,
    /// The same idempotency key came with other content.
    #[error("the idempotency key was used with other content")]
    IdempotencyConflict,
    /// The thing is not in a state that allows this (a delivery still pending, a webhook deleted or not active).
    #[error("not possible in its present state")]
    WrongState,
    /// Another named token that works has this name.
    #[error("a token with this name exists")]
    NameTaken,
    /// There are as many named tokens as there may be.
    #[error("the limit of tokens is reached")]
    TokenLimit,
    /// The master key is being rotated already.
    #[error("the master key is being rotated already")]
    RotationUnderWay,
    /// The master key is not the store's to change.
    #[error("the master key was given from outside")]
    KeyGiven,
}
