//! Which events a webhook wants.

use serde::{Deserialize, Serialize};

/// A webhook's choice of event types.
///
/// A pattern is an event type, `group.*` (every type that begins with `group.`) or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// Every type, those of the future too: what omitting the list means where a contract allows it.
    All,
    /// The patterns as the customer gave them, in their order.
    Patterns(Vec<String>),
}

impl Subscription {
    /// Does an event of this type go to the webhook?
    #[must_use]
    pub fn covers(&self, event_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern_covers(pattern, event_type)),
        }
    }
}

/// Does one pattern cover an event type? `strategy.*` covers `strategy.error`, not `strategy` nor `strategyx.y`.
#[must_use]
pub fn pattern_covers(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(group) if group.ends_with('.') => {
            event_type.len() > group.len() && event_type.starts_with(group)
        }
        _ => pattern == event_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_their_group_and_nothing_beside_it() {
        for (pattern, event_type, expected) in [
            ("*", "a.b", true),
            ("strategy.*", "strategy.error", true),
            ("strategy.*", "strategy.a.b", true),
            ("strategy.*", "strategy.", false),
            ("strategy.*", "strategy", false),
            ("strategy.*", "strategyx.error", false),
            ("strategy.error", "strategy.error", true),
            ("strategy.error", "strategy.errors", false),
            ("strat*", "strategy", false),
        ] {
            assert_eq!(pattern_covers(pattern, event_type), expected, "{pattern} on {event_type}");
        }
    }
}
