//! Event types in requests.

use posthaste_core::subscription::pattern_covers;

use crate::model::Contract;
use crate::model::events::{Catalogue, EventType};

impl Contract {
    /// May an event of this type be published? What the catalogue says of it, or the reason if not.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn check_event_type(&self, event_type: &str) -> Result<Option<&EventType>, String> {
        match self.events.find(event_type) {
            Some(known) if known.internal => Err("type is made by the test route only".to_owned()),
            Some(known) => Ok(Some(known)),
            None if self.events.open && is_open_type(event_type) => Ok(None),
            None if self.events.open => {
                Err("type must be dotted lower-case words, such as invoice.paid".to_owned())
            }
            None => Err(format!("type must be one of {}", self.events.published_names().join(", "))),
        }
    }
}

impl Catalogue {
    /// The entry of a type.
    #[must_use]
    pub fn find(&self, event_type: &str) -> Option<&EventType> {
        self.types.iter().find(|known| known.name == event_type)
    }

    /// The types that can be published and subscribed to.
    #[must_use]
    pub fn published_names(&self) -> Vec<&str> {
        self.types.iter().filter(|known| !known.internal).map(|known| known.name.as_str()).collect()
    }

    /// May a webhook subscribe to this?
    #[must_use]
    pub fn takes(&self, pattern: &str) -> bool {
        if self.find(pattern).is_some_and(|known| !known.internal) {
            return true;
        }
        let Some(group) = pattern.strip_suffix('*') else { return self.open && is_open_type(pattern) };
        if self.wildcards.iter().any(|known| known == pattern) && pattern != Self::ANY_GROUP {
            return true;
        }
        let takes_groups = self.open && self.wildcards.iter().any(|known| known == Self::ANY_GROUP);
        takes_groups && group.strip_suffix('.').is_some_and(is_open_type)
    }

    /// Does one of the patterns cover the type?
    #[must_use]
    pub fn any_covers(patterns: &[String], event_type: &str) -> bool {
        patterns.iter().any(|pattern| pattern_covers(pattern, event_type))
    }
}

/// Dotted words of lower-case letters, digits and `_`.
fn is_open_type(text: &str) -> bool {
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.len() <= EventType::NAME_MAX_BYTES && text.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_types_are_dotted_lower_case_words() {
        for text in ["invoice.paid", "ping", "a.b_c.d2"] {
            assert!(is_open_type(text), "{text}");
        }
        for text in ["", "*", "a.*", "Invoice.paid", "a..b", ".a", "a.", "a b", "1.a", "a-b", "é.a"] {
            assert!(!is_open_type(text), "{text}");
        }
        assert!(!is_open_type(&"a".repeat(129)));
    }
}
