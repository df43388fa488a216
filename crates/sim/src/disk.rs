//! The store of a world, which outlives the processes that open it.

use std::cell::Cell;
use std::ops::Deref;

use posthaste_store::Inline;

/// A store. There is always one in it but for the moment of its opening.
pub struct Disk(Option<Inline>);

thread_local! {
    /// A store that has served its world. SQLite's preparations are most of what a small world costs.
    static SPARE: Cell<Option<Inline>> = const { Cell::new(None) };
}

#[expect(clippy::expect_used, reason = "a store in memory opens and is read, or nothing can be tried")]
impl Disk {
    /// A store with nothing in it.
    pub fn empty() -> Self {
        let emptied = SPARE.take().and_then(|spare| spare.emptied().ok());
        let made = || Inline::open_in_memory([7; 16]).expect("an empty store in memory opens");
        Self(Some(emptied.unwrap_or_else(made)))
    }

    /// What the next process finds.
    pub fn reopen(&mut self) {
        let died = self.0.take();
        self.0 = died.map(|died| died.reopened().expect("the store opens again"));
    }

    /// Keeps it for the next world.
    pub fn put_aside(mut self) {
        SPARE.set(self.0.take());
    }
}

#[expect(
    clippy::expect_used,
    reason = "nobody can look between the end of one process and the start of the next"
)]
impl Deref for Disk {
    type Target = Inline;

    fn deref(&self) -> &Inline {
        self.0.as_ref().expect("there is a store")
    }
}
