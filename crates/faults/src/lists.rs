//! What there is, by name.

/// A name and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The name, as in the environment.
    pub name: &'static str,
    /// What it stands for, in a sentence.
    pub says: &'static str,
}

/// The places where a process may end.
pub const POINTS: &[Named] =
    &[Named { name: "store.before-commit", says: "a batch is written and not yet committed" }];

/// The bugs that may be switched on.
pub const BUGS: &[Named] = &[
    Named { name: "synchronous-normal", says: "commits are not synced to the disk" },
    Named { name: "ack-before-commit", says: "publishers are answered before the commit" },
];
