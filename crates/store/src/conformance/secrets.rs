//! Secrets under another master key.

use std::sync::Arc;

use posthaste_core::Secret;

use super::scene::{NOW, Scene, after_s, begin};
use crate::change::NewKey;
use crate::store::Store;

async fn key(scene: &Scene, at: usize) -> NewKey {
    NewKey {
        id: format!("key_{at}"),
        account: scene.account.no,
        key: Secret::from(format!("text of {at}")),
        signing_secret: Some(Secret::from(format!("signing secret of {at}"))),
        tier: None,
        roles: vec![],
        scopes: vec![],
        description: None,
        expires_at: None,
    }
}

async fn rotated(store: &Arc<dyn Store>) {
    while store.seals().await.unwrap().rotation.is_some() {
        assert_eq!(store.health(), Ok(()));
    }
}

pub async fn a_rotation_changes_the_key_and_no_secret(store: Arc<dyn Store>) {
    const EACH: usize = 120;
    let scene = begin(store.clone()).await;
    for at in 0..EACH {
        scene.webhook(&format!("w{at}")).await;
        store.create_key(key(&scene, at).await, NOW.into()).await.unwrap();
    }
    let before = store.seals().await.unwrap();
    assert_eq!((before.sealed, before.key_since, &before.rotation), (2 * EACH as u64 + 1, None, &None));
    for round in 1..4 {
        store.rotate_master_key(after_s(round).into()).await.unwrap();
        let id = format!("during{round}");
        scene.webhook(&id).await;
        rotated(&store).await;
        let seals = store.seals().await.unwrap();
        assert!(seals.key_id != before.key_id && seals.key_since.is_some());
        assert_eq!(seals.sealed, 2 * EACH as u64 + 1 + round);
        for at in 0..EACH {
            let webhook = store.webhook(scene.account.no, None, &format!("w{at}")).await.unwrap().unwrap();
            assert_eq!(webhook.secrets.current.expose_text(), format!("secret of w{at}"));
            let text = Secret::from(format!("text of {at}"));
            let key = store.find_key(&text).await.unwrap().unwrap();
            let signing = key.signing_secret.as_ref().unwrap().expose_text();
            assert_eq!(signing, format!("signing secret of {at}"));
        }
        let during = store.webhook(scene.account.no, None, &id).await.unwrap().unwrap();
        assert_eq!(during.secrets.current.expose_text(), format!("secret of {id}"));
    }
}
