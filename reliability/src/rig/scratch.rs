//! Folders for stores that have nothing to survive but what a part does to them.

use std::path::Path;

use tempfile::TempDir;

/// Where files are in memory.
const MEMORY: &str = "/dev/shm";
/// As much must be free there.
const ROOM_MIN_BYTES: u64 = 1024 * 1024 * 1024;

/// A folder of its own, in memory if there is room: a sync costs nothing there.
///
/// # Errors
/// If the system does not give one.
pub fn folder() -> std::io::Result<TempDir> {
    let has_room = rustix::fs::statvfs(MEMORY)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_MIN_BYTES);
    if has_room { tempfile::tempdir_in(Path::new(MEMORY)) } else { tempfile::tempdir() }
}
