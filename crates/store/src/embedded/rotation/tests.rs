//! A rotation that is cut off, held up, turned back.

mod turned;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use posthaste_core::{AccountNo, Clock, Secret, Subscription, UnixMs, WebhookNo};
use tempfile::TempDir;

use super::super::{Options, opening};
use super::*;
use crate::folder::{Folder, KeyFile};
use crate::ledger::Ledger;
use crate::ledger::reseal::Left;
use crate::sealing::MasterKey;
use crate::{
    NewAccount, NewKey, NewWebhook, OpenError, Rotation, Store, WebhookLimits, WebhookPatch, verify,
};

const NOW: UnixMs = UnixMs(1_800_000_000_000);
/// More than some steps look at.
const WEBHOOKS: usize = 350;
const KEYS: usize = 150;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

fn committed<T>(ledger: &mut Ledger, verb: impl FnOnce(&mut Ledger) -> T) -> T {
    ledger.begin().unwrap();
    let value = verb(ledger);
    ledger.commit().unwrap();
    value
}

fn webhook_secret(at: usize) -> Secret {
    Secret::from(format!("webhook secret {at:04}"))
}

fn key_text(at: usize) -> Secret {
    Secret::from(format!("key text {at:04}"))
}

fn populate(ledger: &mut Ledger) -> AccountNo {
    let by = By::from(NOW);
    let account = ledger.create_account(NewAccount { id: "acme".into(), name: None }, &by).unwrap().no;
    for at in 0..WEBHOOKS {
        let url = format!("https://example.com/{at}");
        let new = NewWebhook {
            id: format!("wh_{at}"),
            account,
            key: None,
            canonical_url: url.clone(),
            url,
            subscription: Subscription::All,
            description: None,
            extension: BTreeMap::new(),
            secret: webhook_secret(at),
        };
        ledger.create_webhook(new, WebhookLimits::default(), &by).unwrap();
    }
    for at in 0..KEYS {
        let new = NewKey {
            id: format!("key_{at}"),
            account,
            key: key_text(at),
            // Some have none.
            signing_secret: (at % 3 > 0).then(|| webhook_secret(at)),
            tier: None,
            roles: vec![],
            scopes: vec![],
            description: None,
            expires_at: None,
        };
        ledger.create_key(new, &by).unwrap();
    }
    account
}

/// A new secret beside the former ones, so that the row grows.
fn rotate_secret(ledger: &mut Ledger, no: usize, secret: Secret) {
    let rotate = Some(Rotation { secret, overlap: Duration::from_hours(1), keep: 3 });
    let patch = WebhookPatch { rotate, ..WebhookPatch::default() };
    let no = WebhookNo(i64::try_from(no).unwrap());
    ledger.update_webhook(no, patch, WebhookLimits::default(), &By::from(NOW)).unwrap();
}

/// Opens what a crash left, waits for the end of the rotation, and looks at every secret.
async fn assert_whole(dir: &Path, what: &str) {
    let store = Embedded::open(dir, None, Options::default(), Arc::new(Fixed)).unwrap();
    while store.seals().await.unwrap().rotation.is_some() {
        assert_eq!(store.health(), Ok(()), "{what}");
    }
    let account = store.account("acme").await.unwrap().unwrap().no;
    let webhooks = store.webhooks(account, None, None, WEBHOOKS).await.unwrap().items;
    assert_eq!(webhooks.len(), WEBHOOKS, "{what}");
    for (at, webhook) in webhooks.iter().enumerate() {
        assert!(webhook.secrets.current == webhook_secret(at), "{what}: webhook {at}");
    }
    for at in 0..KEYS {
        let key = store.find_key(&key_text(at)).await.unwrap().unwrap();
        let expected = (at % 3 > 0).then(|| webhook_secret(at));
        assert!(key.signing_secret == expected, "{what}: key {at}");
    }
    let seals = store.seals().await.unwrap();
    let signing = (0..KEYS).filter(|at| at % 3 > 0).count();
    assert_eq!(seals.sealed, (WEBHOOKS + signing + 1) as u64, "{what}");
    store.close().await;
    drop(store);
    let report = verify(dir, None).unwrap();
    assert!(report.problems.is_empty() && report.has_tried_seals, "{what}: {report:?}");
    let lines = std::fs::read_to_string(dir.join("master.key")).unwrap().lines().count();
    assert_eq!(lines, 1, "{what}: the former key is still there");
}

/// What lies on the disk after each step of a rotation, with a word for where it was cut off.
fn crash_images() -> (MasterKeys, MasterKeys, Vec<(String, TempDir)>) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let former = folder.master_keys(None).unwrap();
    let mut ledger = opening::open(&folder, &former, NOW).unwrap().ledger;
    committed(&mut ledger, populate);
    let mut images = vec![("before it began".to_owned(), copy(dir.path()))];
    let file = folder.key_file();
    let new = MasterKey::from_bytes([9; 32]);
    std::fs::write(dir.path().join("master.key.new"), "half of a ke").unwrap();
    images.push(("while the key file was written".to_owned(), copy(dir.path())));
    let both = MasterKeys::succeeding(new.clone(), former.current.clone());
    file.replace(&both).unwrap();
    images.push(("when both keys were in the file".to_owned(), copy(dir.path())));
    committed(&mut ledger, |ledger| ledger.begin_rotation(both, &By::from(NOW))).unwrap();
    images.push(("when it was noted".to_owned(), copy(dir.path())));
    while ledger.left_to_reseal() == Left::Rows {
        ledger.begin().unwrap();
        ledger.reseal_step().unwrap();
        images.push((format!("within step {}", images.len()), copy(dir.path())));
        ledger.commit().unwrap();
        images.push((format!("after step {}", images.len()), copy(dir.path())));
    }
    committed(&mut ledger, |ledger| ledger.settle(NOW)).unwrap();
    images.push(("when the last row was noted".to_owned(), copy(dir.path())));
    assert!(ledger.clear_log().unwrap());
    images.push(("when the log was cleared".to_owned(), copy(dir.path())));
    ledger.end_rotation();
    file.replace(&new.clone().into()).unwrap();
    images.push(("when the former key was gone".to_owned(), copy(dir.path())));
    (former, new.into(), images)
}

#[tokio::test]
async fn cut_off_anywhere_it_ends_after_the_next_start() {
    let (_, _, images) = crash_images();
    let count = images.len();
    assert!(count > 12, "{count}");
    for (what, dir) in images {
        assert_whole(dir.path(), &what).await;
    }
    println!("counted | secrets | places where a rotation was cut off | {count}");
}

/// What the next start would find at the moment when the caller hears that it began.
#[tokio::test]
async fn when_it_returns_both_keys_are_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let mut ledger = opening::open(&folder, &folder.master_keys(None).unwrap(), NOW).unwrap().ledger;
    committed(&mut ledger, populate);
    drop((ledger, folder));
    let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
    let reader = store.readers.clone();
    // A read under way keeps the log, so that the rotation cannot end meanwhile.
    let (began, held) = tokio::sync::oneshot::channel();
    let (let_go, waits) = std::sync::mpsc::channel::<()>();
    let reading = tokio::spawn(async move {
        reader
            .read(move |conn| {
                conn.query_row("SELECT count(*) FROM webhooks", [], |_| Ok(()))?;
                let _ = began.send(());
                let _ = waits.recv();
                Ok(())
            })
            .await
    });
    held.await.unwrap();
    store.rotate_master_key(NOW.into()).await.unwrap();
    let again = store.rotate_master_key(NOW.into()).await;
    assert!(matches!(again, Err(crate::StoreError::Refused(Refusal::RotationUnderWay))));
    assert!(KeyFile::of(dir.path()).read().unwrap().former_id().is_some());
    store.create_account(NewAccount { id: "meanwhile".into(), name: None }, NOW.into()).await.unwrap();
    drop(let_go);
    reading.await.unwrap().unwrap();
    store.close().await;
    drop(store);
    assert_whole(dir.path(), "after a read held it up").await;
}

#[tokio::test]
async fn one_key_of_two_opens_nothing_and_changes_nothing() {
    let (former, new, images) = crash_images();
    let mut refused = 0;
    for (what, dir) in &images {
        for keys in [&former, &new] {
            let before = std::fs::read(dir.path().join("posthaste.db")).unwrap();
            let opened = Embedded::open(dir.path(), Some(keys.clone()), Options::default(), Arc::new(Fixed));
            let Err(error) = opened else { continue };
            assert!(
                matches!(error, OpenError::WrongKey(_) | OpenError::KeyOfRotationMissing(_)),
                "{what}: {error}"
            );
            assert!(verify(&dir.path().join("posthaste.db"), Some(keys.clone())).is_err(), "{what}");
            assert_eq!(std::fs::read(dir.path().join("posthaste.db")).unwrap(), before, "{what}");
            refused += 1;
        }
    }
    assert!(refused >= images.len(), "{refused} of {}", images.len());
    println!("counted | secrets | openings with one key of two refused | {refused}");
}

/// The two keys in any order open everything, and it ends up under the first.
#[tokio::test]
async fn the_first_of_the_keys_given_seals() {
    let (former, new, images) = crash_images();
    for (what, dir) in images {
        let back = MasterKeys::succeeding(former.current.clone(), new.current.clone());
        let opened = Embedded::open(dir.path(), Some(back), Options::default(), Arc::new(Fixed));
        let store = opened.unwrap();
        while store.seals().await.unwrap().rotation.is_some() {
            assert_eq!(store.health(), Ok(()), "{what}");
        }
        let refused = store.rotate_master_key(NOW.into()).await;
        assert!(matches!(refused, Err(crate::StoreError::Refused(Refusal::KeyGiven))), "{what}");
        store.close().await;
        drop(store);
        KeyFile::of(dir.path()).replace(&former).unwrap();
        assert_whole(dir.path(), &what).await;
    }
}

/// Pieces of what was sealed before lie in free parts of pages, and nobody can tell where. Nothing of it opens without
/// the store's part to the former key, which must be nowhere.
#[test]
fn the_former_key_opens_nothing_that_is_left_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let former = folder.master_keys(None).unwrap();
    let mut ledger = opening::open(&folder, &former, NOW).unwrap().ledger;
    committed(&mut ledger, populate);
    for no in 1..=WEBHOOKS {
        committed(&mut ledger, |ledger| rotate_secret(ledger, no, webhook_secret(no - 1)));
    }
    let mut parts = Vec::new();
    for byte in 1..4 {
        parts.push(own_part(&ledger));
        let new = MasterKey::from_bytes([byte; 32]);
        let both = MasterKeys::succeeding(new, former.current.clone());
        committed(&mut ledger, |ledger| ledger.begin_rotation(both, &By::from(NOW))).unwrap();
        while ledger.left_to_reseal() == Left::Rows {
            committed(&mut ledger, Ledger::reseal_step).unwrap();
        }
        assert_eq!(committed(&mut ledger, |ledger| ledger.settle(NOW)).unwrap(), 0);
        assert!(ledger.clear_log().unwrap());
        ledger.end_rotation();
    }
    let mut searched = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        searched += bytes.len();
        for part in &parts {
            let piece = &part[8..24];
            let at = bytes.windows(16).position(|window| window == piece);
            assert_eq!(at, None, "{}", path.display());
        }
    }
    let own = own_part(&ledger);
    let database = std::fs::read(folder.database()).unwrap();
    assert!(database.windows(16).any(|window| window == &own[8..24]), "the search finds what is there");
    println!("counted | secrets | bytes searched for parts of former keys | {searched}");
}

fn own_part(ledger: &Ledger) -> Vec<u8> {
    let sql = "SELECT value FROM meta WHERE key LIKE 'key_part %'";
    ledger.conn().query_row(sql, [], |row| row.get(0)).unwrap()
}
