//! Sealing and opening, and the hashes that API keys are found by.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use posthaste_core::Secret;
use zeroize::Zeroizing;

use super::master_key::{KEY_ID_BYTES, MasterKey, hex};

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

/// The first byte of what is sealed, so that another cipher can follow one day. Version 1 did not name its key.
const SEALED_V1: u8 = 1;
const SEALED_V2: u8 = 2;
/// What everything sealed under one key begins with: the version and the key's id.
pub(crate) const MARK_BYTES: usize = 1 + KEY_ID_BYTES;

/// What the store adds to a master key. Without it nothing sealed under that key opens, so that wiping these few bytes
/// makes worthless whatever else of it lies in free parts of the file.
pub(crate) type StorePart = [u8; 32];

/// What one master key seals with in one store.
pub(crate) struct SealKey {
    /// `None` for a key that the store has no part to: nothing is sealed under it but what older versions sealed.
    seal: Option<RandomizedNonceKey>,
    /// Seals of older versions, which knew no such part.
    seal_v1: RandomizedNonceKey,
    check: [u8; 32],
}

impl SealKey {
    pub fn new(key: &MasterKey, part: Option<&StorePart>) -> Result<Self, Unspecified> {
        let seal = |purpose: &[u8]| RandomizedNonceKey::new(&AES_256_GCM, &*key.derive(purpose));
        let with_part = |part: &StorePart| seal(&[&b"posthaste seal v2"[..], part].concat());
        Ok(Self {
            seal: part.map(with_part).transpose()?,
            seal_v1: seal(b"posthaste seal v1")?,
            check: key.check_value(),
        })
    }

    /// See [`MasterKey::check_value`].
    pub fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// See [`MasterKey::id`].
    pub fn id(&self) -> String {
        hex(self.id_bytes()).to_string()
    }

    fn id_bytes(&self) -> &[u8] {
        &self.check[..KEY_ID_BYTES]
    }

    /// What everything sealed under this key begins with.
    pub fn mark(&self) -> [u8; MARK_BYTES] {
        let mut mark = [SEALED_V2; MARK_BYTES];
        mark[1..].copy_from_slice(self.id_bytes());
        mark
    }
}

fn open(key: &RandomizedNonceKey, place: Place<'_>, nonce_and_text: &[u8]) -> Option<Secret> {
    let (nonce, text) = nonce_and_text.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let plain = key.open_in_place(nonce, Aad::from(place.bytes()), &mut text).ok()?;
    Some(Secret::new(plain.to_vec()))
}

/// The key in use and, while secrets are re-sealed, the one before it.
#[derive(Clone)]
pub(crate) struct SealKeys {
    pub current: Arc<SealKey>,
    pub former: Option<Arc<SealKey>>,
}

impl SealKeys {
    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.current).chain(&self.former).map(|key| &**key)
    }

    /// Do these bytes name a key that is none of these?
    pub fn is_of_third_key(&self, sealed: &[u8]) -> bool {
        sealed.first() == Some(&SEALED_V2) && !self.all().any(|key| sealed.starts_with(&key.mark()))
    }

    /// A new key that seals, and the key so far, which only opens.
    pub fn succeeded_by(&self, new: SealKey) -> Self {
        Self { current: Arc::new(new), former: Some(self.current.clone()) }
    }

    /// The mark, nonce, then ciphertext with its tag; always under the key in use.
    pub fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut text = secret.to_vec();
        let key = self.current.seal.as_ref().ok_or(Unspecified)?;
        let nonce = key.seal_in_place_append_tag(Aad::from(place.bytes()), &mut text)?;
        let mut sealed = self.current.mark().to_vec();
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// `None` if the bytes were not sealed with one of these keys for this place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Secret> {
        let (&version, rest) = sealed.split_first()?;
        match version {
            SEALED_V1 => self.all().find_map(|key| open(&key.seal_v1, place, rest)),
            SEALED_V2 => {
                let (id, rest) = rest.split_at_checked(KEY_ID_BYTES)?;
                let key = self.all().find(|key| key.id_bytes() == id)?;
                open(key.seal.as_ref()?, place, rest)
            }
            _ => None,
        }
    }
}

/// The store's keys as everybody in the process uses them. They change while it runs.
pub(crate) struct Vault {
    keys: RwLock<SealKeys>,
    hash: hmac::Key,
}

impl Vault {
    pub fn new(keys: SealKeys, hash_key: &[u8]) -> Self {
        Self { keys: RwLock::new(keys), hash: hmac::Key::new(hmac::HMAC_SHA256, hash_key) }
    }

    /// A key for the hashes of a new store, or a store's part to a master key.
    pub fn random() -> Result<Zeroizing<[u8; 32]>, Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(key.as_mut())?;
        Ok(key)
    }

    /// The keys as they are now.
    pub fn keys(&self) -> SealKeys {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these seal and open.
    pub fn turn(&self, keys: SealKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Nothing is sealed under the former key any more.
    pub fn forget_former(&self) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).former = None;
    }

    /// The hash under which an API key is found. Its key stays the same for the life of the store, because nobody has the
    /// texts to hash them again.
    pub fn hash(&self, text: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.hash, text).as_ref());
        hash
    }

    /// See [`SealKeys::seal`].
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>, Unspecified> {
        self.keys().seal(place, secret.expose())
    }

    /// See [`SealKeys::open`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Secret> {
        self.keys().open(place, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealKey {
        SealKey::new(&MasterKey::from_bytes([byte; 32]), Some(&[byte; 32])).unwrap()
    }

    fn vault(byte: u8) -> Vault {
        Vault::new(SealKeys { current: Arc::new(key(byte)), former: None }, b"hash")
    }

    const PLACE: Place<'static> = Place { kind: "webhook", account: 1, id: "wh_a" };

    #[test]
    fn a_secret_opens_only_in_its_place_and_whole() {
        let (vault, place) = (vault(3), PLACE);
        let sealed = vault.seal(place, &Secret::from("whsec".to_owned())).unwrap();
        assert_eq!(vault.open(place, &sealed).unwrap().expose_text(), "whsec");
        for other in
            [Place { kind: "key", ..place }, Place { account: 2, ..place }, Place { id: "wh_b", ..place }]
        {
            assert!(vault.open(other, &sealed).is_none());
        }
        let mut damages = 0;
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1 << bit;
                assert!(vault.open(place, &damaged).is_none(), "byte {at} bit {bit}");
                damages += 1;
            }
            assert!(vault.open(place, &sealed[..at]).is_none(), "cut at {at}");
            damages += 1;
        }
        assert!(self::vault(7).open(place, &sealed).is_none());
        println!("counted | secrets | damaged sealed values refused | {damages}");
    }

    #[test]
    fn after_the_turn_both_keys_open_and_the_new_one_seals() {
        let (vault, secret) = (vault(3), Secret::from("whsec".to_owned()));
        let before = vault.seal(PLACE, &secret).unwrap();
        let hash = vault.hash(b"key");
        vault.turn(vault.keys().succeeded_by(key(4)));
        let after = vault.seal(PLACE, &secret).unwrap();
        assert!(
            vault.open(PLACE, &before).unwrap() == secret && vault.open(PLACE, &after).unwrap() == secret
        );
        assert!(after.starts_with(&vault.keys().current.mark()) && !before.starts_with(&after[..MARK_BYTES]));
        vault.forget_former();
        assert!(vault.open(PLACE, &before).is_none() && vault.open(PLACE, &after).unwrap() == secret);
        assert!(self::vault(3).open(PLACE, &after).is_none());
        assert_eq!(vault.hash(b"key"), hash);
    }

    #[test]
    fn without_the_stores_part_nothing_opens_and_nothing_is_sealed() {
        let sealed = vault(3).seal(PLACE, &Secret::from("whsec".to_owned())).unwrap();
        for part in [None, Some([4; 32])] {
            let key = SealKey::new(&MasterKey::from_bytes([3; 32]), part.as_ref()).unwrap();
            let vault = Vault::new(SealKeys { current: Arc::new(key), former: None }, b"hash");
            assert!(vault.open(PLACE, &sealed).is_none());
            assert_eq!(vault.seal(PLACE, &Secret::from("whsec".to_owned())).is_ok(), part.is_some());
        }
    }

    /// As sealed by versions that wrote down neither the key's id nor a part of their own.
    #[test]
    fn what_older_versions_sealed_opens() {
        let mut text = b"whsec".to_vec();
        let nonce = key(3).seal_v1.seal_in_place_append_tag(Aad::from(PLACE.bytes()), &mut text).unwrap();
        let older = [&[SEALED_V1], &nonce.as_ref()[..], &text].concat();
        let vault = vault(3);
        assert_eq!(vault.open(PLACE, &older).unwrap().expose_text(), "whsec");
        vault.turn(vault.keys().succeeded_by(key(4)));
        assert_eq!(vault.open(PLACE, &older).unwrap().expose_text(), "whsec");
        assert!(self::vault(4).open(PLACE, &older).is_none());
    }
}
