//! Events that go out one after the other.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// What events have in common that are to reach each webhook in the order they were accepted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderingKey(Box<str>);

/// The deliveries of one ordering key at a webhook, by a number made from the key. Two keys with the same number, which
/// hardly ever happens, wait for each other and lose nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(pub i64);

impl OrderingKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// A key as given; `None` unless it has 1 to 128 visible ASCII characters without spaces.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_sound =
            (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(text.into()))
    }

    /// The key as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its deliveries' number, which stands in stores: it must stay the same in all versions.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let mut hasher = SipHasher13::new();
        hasher.write(self.0.as_bytes());
        Chain(i64::from_le_bytes(hasher.finish().to_le_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_128_visible_characters() {
        let longest = "k".repeat(128);
        for sound in ["a", "order:4711", "~!@#", longest.as_str()] {
            assert_eq!(OrderingKey::new(sound).as_ref().map(OrderingKey::as_str), Some(sound));
        }
        for unsound in ["", "a b", "a\n", "é", "k\u{7f}", &"k".repeat(129)] {
            assert_eq!(OrderingKey::new(unsound), None, "{unsound}");
        }
    }

    #[test]
    fn the_number_of_a_key_never_changes() {
        let chain = |key| OrderingKey::new(key).unwrap().chain();
        assert_eq!(chain("order:4711"), Chain(-1_291_084_937_829_217_634));
        assert_ne!(chain("order:4711"), chain("order:4712"));
    }
}
