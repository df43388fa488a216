//! A copy of the store in a data folder, made from outside: also while a server uses it.

use std::path::Path;

use posthaste_core::UnixMs;

use crate::backup;
use crate::embedded::opening::open_from_outside;
use crate::error::StoreError;
use crate::folder::OpenError;
use crate::ledger::master_keys;
use crate::ledger::schema::{self, Marks};
use crate::ledger::trouble::{DATABASE_FILE, Trouble};

/// Copies the store in `dir` as of now to a new file, marked with the time `now`: a store that is put back from it much
/// later sends nothing unasked. The master key is not part of the copy; answers whether the copy
/// opens only with two of them, because it is from the middle of a rotation.
///
/// # Errors
/// [`OpenError`] if there is no store to read, or a damaged log or another store's lies beside it, or the new file is there already or cannot be written.
pub fn snapshot(dir: &Path, file: &Path, now: UnixMs) -> Result<bool, OpenError> {
    let database = dir.join(DATABASE_FILE);
    database.metadata().map_err(OpenError::io(&database))?;
    let conn = open_from_outside(&database)?;
    match schema::marks(&conn).map_err(|error| OpenError::damaged(&database, error))? {
        Marks::Ours => {}
        Marks::Newer(found) => {
            return Err(OpenError::Newer { file: database, found, known: schema::VERSION });
        }
        Marks::Empty | Marks::Foreign => return Err(OpenError::damaged(&database, "it is not a store")),
    }
    let is_rotating = || {
        let noted = master_keys::is_rotating(&conn);
        noted.map_err(|trouble| OpenError::damaged(&database, StoreError::from(trouble)))
    };
    let was_rotating = is_rotating()?;
    backup::write(&conn, file, now).map_err(|trouble| match trouble {
        Trouble::Unavailable(why) => OpenError::NotCopied(why),
        other => OpenError::NotCopied(StoreError::from(other).to_string()),
    })?;
    Ok(was_rotating || is_rotating()?)
}
