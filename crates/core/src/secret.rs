//! Bytes that must not leak.

use zeroize::Zeroizing;

/// A signing secret, key or token in the clear. It has no `Debug` and no `Serialize`, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for signing, sealing or the one response that shows them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text; secrets of every contract are text.
    #[must_use]
    pub fn expose_text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Takes as long for secrets that differ early as late; only their lengths show.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(other.0.iter());
        let differing =
            pairs.fold(0, |differing, (one, other)| std::hint::black_box(differing | (one ^ other)));
        self.0.len() == other.0.len() && differing == 0
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_equal_if_all_their_bytes_are() {
        for (one, other, is_equal) in [
            ("", "", true),
            ("", "a", false),
            ("secret", "secret", true),
            ("secret", "Secret", false),
            ("secret", "secres", false),
            ("secret", "secret ", false),
            ("secret", "secre", false),
        ] {
            let [one, other] = [one, other].map(|text| Secret::from(text.to_owned()));
            assert_eq!(one == other, is_equal);
        }
    }
}
