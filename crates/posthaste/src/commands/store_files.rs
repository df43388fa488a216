//! `backup` and `verify`: files of the store, with or without a server beside.

use clap::Args;

use crate::failure::{Exit, Failure};

/// What `backup` is told.
#[derive(Args)]
pub struct Backup {
    /// The new file
    file: std::path::PathBuf,
}

impl Backup {
    /// Does it.
    ///
    /// # Errors
    /// x
    pub fn run(self, _json: bool) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}

/// What `verify` is told.
#[derive(Args)]
pub struct Verify {
    /// x
    path: Option<std::path::PathBuf>,
}

impl Verify {
    /// Does it.
    ///
    /// # Errors
    /// x
    pub fn run(self, _json: bool) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
