//! The contracts that come along: every file in the repository's `contracts` folder, by its name.

use crate::model::Contract;

/// Names and texts, listed by the build script in alphabetical order.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_contracts.rs"));

/// The names of the built-in contracts, in alphabetical order.
#[must_use]
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

/// The text of a built-in contract.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

impl Contract {
    /// A built-in contract; `None` if there is none of this name. The tests see to it that all can be read.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let read = Self::read(&format!("{name}.toml"), text(name)?);
        read.ok().map(|(contract, _)| contract)
    }
}
