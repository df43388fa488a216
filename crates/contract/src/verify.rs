//! What a receiver does: checking a delivery.

use posthaste_core::{Secret, UnixMs};

use crate::model::Contract;

/// Why a delivery does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyFault {
    /// A header that the signature needs is not there.
    #[error("the header {0} is missing")]
    MissingHeader(String),
    /// A header does not have the form the contract says.
    #[error("the header {header} is malformed: {why}")]
    Malformed {
        /// The header.
        header: String,
        /// What is wrong with it.
        why: String,
    },
    /// The secret is not of the contract's form.
    #[error("the secret is not of the contract's form")]
    BadSecret,
    /// The signed time is too far from now.
    #[error("the signed time is {0} s away from now, more than the 300 s allowed")]
    TooFar(u64),
    /// The signature is by another secret or over another body.
    #[error("the signature in {0} does not match: another secret, or the body was changed")]
    Mismatch(String),
    /// The contract has no signatures.
    #[error("the contract does not sign deliveries")]
    Unsigned,
}

impl Contract {
    /// Checks a delivery as a receiver should. `headers` are names and values as received; `url` is where it came in,
    /// for contracts that sign it.
    ///
    /// # Errors
    /// The first reason not to trust it.
    pub fn verify_delivery(
        &self,
        headers: &[(&str, &str)],
        url: &str,
        body: &[u8],
        secret: &Secret,
        now: UnixMs,
    ) -> Result<(), VerifyFault> {
        let _ = (headers, url, body, secret, now);
        unimplemented!()
    }
}
