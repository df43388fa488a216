//! Named tokens of the admin API.

use crate::time::UnixMs;

/// What a token of the admin API may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Publish events and nothing else.
    Publish,
    /// Read, but neither the tokens nor the audit log.
    Read,
    /// Everything.
    Full,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: &[Self] = &[Self::Publish, Self::Read, Self::Full];

    /// The scope as a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Full => "full",
        }
    }

    /// The scope with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.word() == word)
    }

    /// May somebody with this scope do what needs `needed`?
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self == Self::Full || self == needed
    }
}

/// A named token. Its text is not kept, only a keyed hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The id shown in the admin API (`tok_…`), not the token.
    pub id: String,
    /// The name it was given; unique among the tokens that work.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was created.
    pub created_at: UnixMs,
    /// When it stops working, if ever.
    pub expires_at: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMs>,
    /// About when it was last used: within a minute, and up to the last step of housekeeping.
    pub last_used_at: Option<UnixMs>,
}

impl Token {
    /// May the token still be used?
    #[must_use]
    pub fn is_active(&self, now: UnixMs) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_full_covers_all() {
        for held in Scope::ALL {
            assert_eq!(Scope::from_word(held.word()), Some(*held));
            for needed in Scope::ALL {
                assert_eq!(held.covers(*needed), held == needed || *held == Scope::Full);
            }
        }
        assert_eq!(Scope::from_word("FULL"), None);
    }
}
