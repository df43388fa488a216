//! How many open files the process may have, and a sentence where that is too few.

use rustix::process::{Resource, getrlimit};

use crate::failure::Failure;

/// What any command needs.
pub const NEEDED_BY_ALL: u64 = 16;

/// Refuses to go on with fewer open files than are needed: what fails for want of them says so in many ways, some of
/// which look like damage.
///
/// # Errors
/// If there are fewer.
pub fn refuse_few(needed: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit >= needed {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "this process may have {limit} open files and needs {needed} at least: raise the limit (ulimit -n)"
    )))
}
