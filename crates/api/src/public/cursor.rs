//! Places in lists as callers hold them: sealed, so that they reveal nothing, fit only the list they came from, and
//! cannot be changed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_core::Dice;
use posthaste_store::PageCursor;

/// The longest text that is looked at.
const TEXT_MAX_BYTES: usize = 128;

/// Seals and opens places.
pub(super) struct CursorSeal {
    /// `None` cannot happen with a key of the right length; then no cursor is ever valid.
    key: Option<LessSafeKey>,
}

impl CursorSeal {
    /// The seal's key is drawn from the store's key, so that cursors outlive a restart.
    pub fn new(store_key: [u8; 16]) -> Self {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, &store_key);
        let bytes = hmac::sign(&parent, b"posthaste list cursors v1");
        Self { key: UnboundKey::new(&AES_256_GCM, bytes.as_ref()).map(LessSafeKey::new).ok() }
    }

    /// The text of a place. `list` names the list: its owner, its kind, its filters.
    pub fn seal(&self, place: PageCursor, list: &str, dice: &dyn Dice) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        dice.fill(&mut nonce);
        let mut sealed = to_bytes(place);
        let key = self.key.as_ref()?;
        let seal = key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(list.as_bytes()),
            &mut sealed,
        );
        seal.ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The place of a text; `None` if it is not one of ours for this list.
    pub fn open(&self, text: &str, list: &str) -> Option<PageCursor> {
        if text.len() > TEXT_MAX_BYTES {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.as_ref()?.open_in_place(nonce, Aad::from(list.as_bytes()), sealed).ok()?;
        from_bytes(plain)
    }
}

fn to_bytes(place: PageCursor) -> Vec<u8> {
    [place.0.to_be_bytes(), place.1.to_be_bytes()].concat()
}

fn from_bytes(bytes: &[u8]) -> Option<PageCursor> {
    let (first, second) = bytes.split_first_chunk()?;
    Some(PageCursor(i64::from_be_bytes(*first), i64::from_be_bytes(second.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Dice for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[test]
    fn a_cursor_opens_only_unchanged_and_for_its_own_list() {
        let (seal, dice) = (CursorSeal::new([7; 16]), Counting(1.into()));
        for place in [PageCursor(i64::MIN, i64::MAX), PageCursor(3, 0)] {
            let text = seal.seal(place, "acme", &dice).unwrap();
            assert_eq!(seal.open(&text, "acme"), Some(place));
            assert_eq!(seal.open(&text, "umbrella"), None);
            assert_eq!(CursorSeal::new([8; 16]).open(&text, "acme"), None);
            for index in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(seal.open(&changed, "acme"), None, "{index}");
            }
        }
        for text in ["", "A", "====", "ä", &"A".repeat(10_000)] {
            assert_eq!(seal.open(text, "acme"), None);
        }
    }
}
