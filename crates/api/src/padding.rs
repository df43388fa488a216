//! Blanks around values, which the HTTP library takes away.

/// The names of a request's header fields whose values ended in a blank, in lower case; among its extensions if there
/// are any. To most fields such blanks mean nothing (RFC 9110 section 5.5), but a credential counts only as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Padded(Vec<String>);

impl Padded {
    /// Notes a field by its name as sent.
    pub(crate) fn note(&mut self, name: &[u8]) {
        self.0.push(String::from_utf8_lossy(name).to_ascii_lowercase());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Did this field's value end in a blank?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}
