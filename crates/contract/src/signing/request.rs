//! Signatures of requests that callers make.

use posthaste_core::{Secret, UnixMs};

use crate::keys::{equal_in_constant_time, hmac_key, sign, spell};
use crate::model::{HmacRequest, RequestPart};

/// A signed request as it came.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The timestamp header's value.
    pub timestamp: &'a str,
    /// The signature header's value.
    pub signature: &'a str,
    /// The method in capitals.
    pub method: &'a str,
    /// The path with its query.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Why a signed request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// The time is none, or too far from ours: the condition `auth_skew`.
    #[error("the timestamp is missing, malformed or too far from the server's time")]
    Skew,
    /// The signature does not match: the condition `auth_invalid`.
    #[error("the signature does not match")]
    Signature,
}

impl HmacRequest {
    /// Does the request carry a signature by this secret from around `now`? On success, the time from which on the
    /// same request would be refused for its age: until then its signature must be remembered to refuse replays.
    ///
    /// # Errors
    /// See [`RequestFault`].
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &Secret,
        now: UnixMs,
    ) -> Result<UnixMs, RequestFault> {
        let at = self.timestamps.iter().find_map(|spelling| spelling.read(request.timestamp));
        let at = at.ok_or(RequestFault::Skew)?;
        if now.since(at) > self.skew || at.since(now) > self.skew {
            return Err(RequestFault::Skew);
        }
        let is_signed = self
            .forms
            .iter()
            .any(|form| equal_in_constant_time(&self.signature(form, request, secret), request.signature));
        if !is_signed {
            return Err(RequestFault::Signature);
        }
        Ok(at.plus(self.skew).plus(std::time::Duration::from_millis(1)))
    }

    /// The signature a caller would send: for `dev`, documentation and tests.
    #[must_use]
    pub fn sign(&self, request: &SignedRequest<'_>, secret: &Secret) -> String {
        self.forms.first().map(|form| self.signature(form, request, secret)).unwrap_or_default()
    }

    fn signature(&self, form: &[RequestPart], request: &SignedRequest<'_>, secret: &Secret) -> String {
        let path = request.target.split_once('?').map_or(request.target, |(path, _)| path);
        let mut parts: Vec<&[u8]> = Vec::with_capacity(form.len() * 2);
        for (n, part) in form.iter().enumerate() {
            if n > 0 {
                parts.push(self.join.as_bytes());
            }
            parts.push(match part {
                RequestPart::Timestamp => request.timestamp.as_bytes(),
                RequestPart::Method => request.method.as_bytes(),
                RequestPart::Path => path.as_bytes(),
                RequestPart::Target => request.target.as_bytes(),
                RequestPart::Body => request.body,
                RequestPart::Text(text) => text.as_bytes(),
            });
        }
        let key = hmac_key(self.algorithm, secret.expose());
        let mut spelled = String::new();
        spell(self.encoding, sign(&key, parts).as_ref(), &mut spelled);
        spelled
    }
}
