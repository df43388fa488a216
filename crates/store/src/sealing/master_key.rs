//! The keys that come from outside the store.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

/// How many bytes of a key's check value name it.
pub(crate) const KEY_ID_BYTES: usize = 8;

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

    /// The key's name, 16 hexadecimal digits: it tells keys apart and says nothing else about them.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.check_value()[..KEY_ID_BYTES]).to_string()
    }

    fn to_hex(&self) -> Zeroizing<String> {
        hex(&*self.0)
    }

    /// What a store shows of its key, to be recognised by; it says nothing else about the key.
    pub(crate) fn check_value(&self) -> [u8; 32] {
        *self.derive(b"posthaste key check v1")
    }

    /// The key of the hashes of a store that does not keep one itself.
    pub(crate) fn derived_hash_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(b"posthaste key hash v1")
    }

    /// A key for one purpose alone.
    pub(super) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), purpose);
        let mut derived = Zeroizing::new([0; 32]);
        derived.copy_from_slice(tag.as_ref());
        derived
    }
}

pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    Zeroizing::new(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect())
}

/// The key in use and, while secrets are re-sealed under it, the one before it.
#[derive(Clone)]
pub struct MasterKeys {
    pub(crate) current: MasterKey,
    pub(crate) former: Option<MasterKey>,
}

impl MasterKeys {
    /// Reads one key, or two with a comma or space between them: the one in use, then the former one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
        let current = MasterKey::from_hex(words.next()?)?;
        let former = words.next().map(MasterKey::from_hex);
        match (former, words.next()) {
            (None, _) => Some(Self { current, former: None }),
            // A key is not its own predecessor.
            (Some(Some(former)), None) => {
                let is_same = *former.0 == *current.0;
                Some(Self { current, former: (!is_same).then_some(former) })
            }
            _ => None,
        }
    }

    /// Two keys, of which the first seals and both open.
    #[must_use]
    pub fn succeeding(current: MasterKey, former: MasterKey) -> Self {
        Self { current, former: Some(former) }
    }

    /// The key in use, then the former one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.former)
    }

    /// Is one of them the key with this check value?
    pub(crate) fn hold(&self, check: &[u8; 32]) -> bool {
        self.all().any(|key| key.check_value() == *check)
    }

    /// The name of the key in use.
    #[must_use]
    pub fn id(&self) -> String {
        self.current.id()
    }

    /// The name of the former key, if it is there.
    #[must_use]
    pub fn former_id(&self) -> Option<String> {
        self.former.as_ref().map(MasterKey::id)
    }

    /// As [`MasterKeys::from_text`] reads it: a line for each.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(160));
        for key in self.all() {
            text.push_str(&key.to_hex());
            text.push('\n');
        }
        text
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self { current, former: None }
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
    fn one_or_two_keys_are_read_and_nothing_else() {
        let other = "ab".repeat(32);
        for (text, count) in [
            (HEX.to_owned(), 1),
            (format!("{HEX}\n"), 1),
            (format!(" {HEX} "), 1),
            (format!("{HEX}\n{other}\n"), 2),
            (format!("{HEX}\r\n{other}"), 2),
            (format!("{HEX},{other}"), 2),
            (format!("{HEX}, {other}"), 2),
            (format!("{HEX},{HEX}"), 1),
            (format!("{HEX},"), 1),
            (String::new(), 0),
            (",".to_owned(), 0),
            (format!("{HEX},short"), 0),
            (format!("short,{HEX}"), 0),
            (format!("{HEX}{other}"), 0),
            (format!("{HEX},{other},{HEX}"), 0),
        ] {
            let read = MasterKeys::from_text(&text);
            let found = read.as_ref().map_or(0, |keys| 1 + usize::from(keys.former.is_some()));
            assert_eq!(found, count, "{text}");
            if let Some(keys) = read {
                assert_eq!(*keys.current.to_hex(), HEX);
                let again = MasterKeys::from_text(&keys.to_text()).unwrap();
                assert_eq!((again.id(), again.former_id()), (keys.id(), keys.former_id()));
            }
        }
    }
}
