//! Secrets at rest: sealed with AES-256-GCM, or kept only as a keyed hash.

pub(crate) mod master_key;
pub(crate) mod vault;

pub use master_key::{MasterKey, MasterKeys};
pub(crate) use vault::{MARK_BYTES, Place, SealKey, SealKeys, StorePart, Vault};
