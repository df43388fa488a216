//! Signing secrets made ready to sign.

use aws_lc_rs::hmac;
use posthaste_core::{Secret, SigningSecrets, UnixMs};

use crate::keys::{hmac_key, signing_key};
use crate::model::Contract;

/// The signing secrets of a webhook, read and set up for signing once for many deliveries. They are as secret as the
/// secrets themselves: wiped when dropped, and never shown.
pub struct SigningKeys {
    /// Newest first.
    secrets: Vec<Ready>,
}

struct Ready {
    /// When it signs no more.
    until: Option<UnixMs>,
    /// The key for each of the contract's signatures; `None` where the secret does not make one.
    keys: Vec<Option<hmac::Key>>,
}

impl Contract {
    /// Makes secrets ready to sign.
    #[must_use]
    pub fn signing_keys(&self, secrets: &SigningSecrets) -> SigningKeys {
        let previous = secrets.previous.iter().map(|(secret, until)| (secret, Some(*until)));
        SigningKeys::of(self, std::iter::once((&secrets.current, None)).chain(previous))
    }
}

impl SigningKeys {
    pub(super) fn of<'a>(
        contract: &Contract,
        secrets: impl Iterator<Item = (&'a Secret, Option<UnixMs>)>,
    ) -> Self {
        let ready = |(secret, until): (&Secret, Option<UnixMs>)| {
            let keys = contract.signatures.iter().map(|rule| {
                let made = rule.key.unwrap_or(contract.secret.key);
                let key = signing_key(&contract.secret, made, secret.expose_text())?;
                Some(hmac_key(rule.algorithm, &key))
            });
            Ready { until, keys: keys.collect() }
        };
        Self { secrets: secrets.map(ready).collect() }
    }

    /// The keys that sign by one of the contract's signatures at a time, from at most so many secrets.
    pub(super) fn signing(
        &self,
        signature: usize,
        at: UnixMs,
        most: usize,
    ) -> impl Iterator<Item = &hmac::Key> {
        let valid = self.secrets.iter().filter(move |ready| ready.until.is_none_or(|until| at < until));
        valid.take(most).filter_map(move |ready| ready.keys.get(signature)?.as_ref())
    }
}
