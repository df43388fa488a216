//! The file of the master key stays what its owner made of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in what its stories share too")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::sync::Arc;

use posthaste_core::{Clock, UnixMs};
use posthaste_store::{Embedded, Options, Store, StoreError};

const NOW: UnixMs = UnixMs(1_800_000_000_000);
/// Who owns nothing else; only root can give files away.
const SOMEBODY: u32 = 65_534;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn open(dir: &Path) -> Arc<Embedded> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed)).unwrap()
}

async fn rotate(dir: &Path) -> Result<(), StoreError> {
    let store = open(dir);
    let begun = store.rotate_master_key(NOW.into()).await;
    while store.seals().await.unwrap().rotation.is_some() {
        assert_eq!(store.health(), Ok(()));
    }
    store.close().await;
    begun
}

#[tokio::test]
async fn a_rotation_leaves_the_file_to_its_owner_and_its_group() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await;
    let file = dir.path().join("master.key");
    let is_root = chown(&file, Some(SOMEBODY), Some(SOMEBODY)).is_ok();
    let mut counted = 0;
    for (mode, expected) in [(0o600, 0o600), (0o640, 0o640), (0o400, 0o600), (0o644, 0o640)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let before = (std::fs::read(&file).unwrap(), file.metadata().unwrap());
        rotate(dir.path()).await.unwrap();
        let after = file.metadata().unwrap();
        assert!(std::fs::read(&file).unwrap() != before.0);
        assert_eq!((after.uid(), after.gid()), (before.1.uid(), before.1.gid()));
        assert_eq!(after.mode() & 0o777, expected, "{mode:o}");
        counted += 1;
    }
    println!(
        "counted | secrets | rotations that left the key file to its owner (root: {is_root}) | {counted}"
    );
}

#[tokio::test]
async fn a_link_stays_a_link_and_its_target_is_replaced() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(dir.path()).close().await;
    let (file, target) = (dir.path().join("master.key"), elsewhere.path().join("posthaste.key"));
    std::fs::rename(&file, &target).unwrap();
    symlink(&target, &file).unwrap();
    let before = std::fs::read_to_string(&target).unwrap();
    rotate(dir.path()).await.unwrap();
    assert!(file.is_symlink());
    let after = std::fs::read_to_string(&target).unwrap();
    assert!(after != before && after.lines().count() == 1);
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing is left beside it");
    open(dir.path()).close().await;
}

#[test]
fn a_link_to_nothing_is_no_place_for_a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/nowhere/posthaste.key", dir.path().join("master.key")).unwrap();
    let opened = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed));
    let why = opened.err().unwrap().to_string();
    assert!(why.contains("symbolic link to a file that is not there"), "{why}");
    assert!(dir.path().join("master.key").is_symlink());
}
