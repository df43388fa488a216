//! Signatures of the standard contract (Standard Webhooks) as a receiver checks them, without the program's own code: what
//! signs must not judge itself.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::listener::Request;

/// What stands before a secret.
const PREFIX: &str = "whsec_";
/// What stands before a signature.
const VERSION: &str = "v1,";

/// The secret of a webhook, as its customer was shown it.
pub struct SigningSecret(hmac::Key);

impl SigningSecret {
    /// Reads it; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Is one of a request's signatures made with it?
    pub fn has_signed(&self, request: &Request) -> bool {
        let header = |name| request.header(name).unwrap_or_default();
        let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
        signed.extend(&request.body);
        let mut signatures =
            header("webhook-signature").split(' ').filter_map(|text| text.strip_prefix(VERSION));
        signatures.any(|text| {
            STANDARD.decode(text).is_ok_and(|signature| hmac::verify(&self.0, &signed, &signature).is_ok())
        })
    }
}
