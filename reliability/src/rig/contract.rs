//! The standard contract with other numbers: schedules and rates that a test can wait for.

use anyhow::{Context as _, ensure};

const STANDARD: &str = include_str!("../../../contracts/standard.toml");
/// Delays of the shortened schedule, in milliseconds.
pub const DELAYS_MS: [u64; 3] = [300, 1_000, 2_000];

/// A contract as a file says it.
pub struct Contract(String);

impl Contract {
    /// The one that comes with the program.
    pub fn standard() -> Self {
        Self(STANDARD.to_owned())
    }

    /// The same with the schedule of [`DELAYS_MS`], to the millisecond.
    ///
    /// # Errors
    /// As for [`Contract::with`].
    pub fn short() -> anyhow::Result<Self> {
        let delays: Vec<String> = DELAYS_MS.iter().map(|delay| format!("{delay}ms")).collect();
        let delays: Vec<&str> = delays.iter().map(String::as_str).collect();
        Self::standard().delays(&delays)?.with("jitter      = 0.1", "jitter      = 0.0")
    }

    /// The same with one text in place of another.
    ///
    /// # Errors
    /// If that does not stand in it exactly once.
    pub fn with(self, from: &str, to: &str) -> anyhow::Result<Self> {
        let count = self.0.matches(from).count();
        ensure!(count == 1, "the contract says `{from}` {count} times");
        Ok(Self(self.0.replace(from, to)))
    }

    /// The same with these delays between attempts.
    ///
    /// # Errors
    /// If it has no line for them.
    pub fn delays(self, delays: &[&str]) -> anyhow::Result<Self> {
        let line = self.0.lines().find(|line| line.starts_with("delays ")).context("no delays")?.to_owned();
        self.with(&line, &format!("delays      = {delays:?}"))
    }

    /// As a file says it.
    pub fn text(&self) -> &str {
        &self.0
    }
}
