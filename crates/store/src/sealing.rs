//! Secrets at rest: sealed with AES-256-GCM, or kept only as a keyed hash.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use posthaste_core::Secret;
use zeroize::Zeroizing;

/// The key that all secrets in a store are sealed with. It has no `Debug` and is wiped when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Reads 64 hexadecimal digits; space around them is ignored.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut key = Zeroizing::new([0; 32]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(key))
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(key.as_mut())?;
        Ok(Self(key))
    }

    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
        Zeroizing::new(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect())
    }

    /// A key for one purpose alone.
    fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), purpose.as_bytes());
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(tag.as_ref());
        derived
    }
}

/// Whose secret it is. A sealed secret opens only in the place it was sealed for.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub kind: &'a str,
    pub account: i64,
    pub id: &'a str,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        [self.kind.as_bytes(), b"\0", &self.account.to_be_bytes(), self.id.as_bytes()].concat()
    }
}

/// The first byte of what is sealed, so that another cipher can follow one day.
const SEALED_V1: u8 = 1;

/// Seals and opens with one master key.
pub(crate) struct Vault {
    seal: RandomizedNonceKey,
    hash: hmac::Key,
    check: [u8; 32],
}

impl Vault {
    pub fn new(key: &MasterKey) -> Result<Self, Unspecified> {
        Ok(Self {
            seal: RandomizedNonceKey::new(&AES_256_GCM, &*key.derive("posthaste seal v1"))?,
            hash: hmac::Key::new(hmac::HMAC_SHA256, &*key.derive("posthaste key hash v1")),
            check: *key.derive("posthaste key check v1"),
        })
    }

    /// A value that tells whether a store belongs to this key and says nothing else about it.
    pub fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// The hash under which an API key is found.
    pub fn hash(&self, text: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.hash, text).as_ref());
        hash
    }

    /// Version, nonce, then ciphertext with its tag.
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>, Unspecified> {
        let mut text = secret.expose().to_vec();
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(place.bytes()), &mut text)?;
        let mut sealed = vec![SEALED_V1];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// `None` if the bytes were not sealed with this key for this place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Secret> {
        let (&version, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        if version != SEALED_V1 {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self.seal.open_in_place(nonce, Aad::from(place.bytes()), &mut text).ok()?;
        Some(Secret::new(plain.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        assert_eq!(*MasterKey::from_hex(&format!("{HEX}\n")).unwrap().to_hex(), HEX);
        let shorter = &HEX[1..];
        for text in ["", shorter, &format!("{HEX}0"), &format!("g{shorter}"), &"é".repeat(32)] {
            assert!(MasterKey::from_hex(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_opens_only_in_its_place_and_whole() {
        let vault = Vault::new(&MasterKey::from_hex(HEX).unwrap()).unwrap();
        let place = Place { kind: "webhook", account: 1, id: "wh_a" };
        let sealed = vault.seal(place, &Secret::from("whsec".to_owned())).unwrap();
        assert_eq!(vault.open(place, &sealed).unwrap().expose_text(), "whsec");
        for other in
            [Place { kind: "key", ..place }, Place { account: 2, ..place }, Place { id: "wh_b", ..place }]
        {
            assert!(vault.open(other, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(vault.open(place, &damaged).is_none(), "byte {at}");
            assert!(vault.open(place, &sealed[..at]).is_none(), "cut at {at}");
        }
        let other = Vault::new(&MasterKey::from_bytes([7; 32])).unwrap();
        assert!(other.open(place, &sealed).is_none());
        assert!(other.check_value() != vault.check_value());
    }
}
