//! Accounts and keys.

use std::sync::Arc;

use posthaste_core::Secret;

use super::scene::{NOW, after_s, begin, new_account};
use crate::change::{AccountPatch, NewKey};
use crate::error::{Refusal, StoreError};
use crate::store::Store;

pub async fn an_account_is_created_once_changed_and_deleted(store: Arc<dyn Store>) {
    let acme = store.create_account(new_account("acme"), NOW.into()).await.unwrap();
    let again = store.create_account(new_account("acme"), NOW.into()).await;
    assert!(matches!(again, Err(StoreError::Refused(Refusal::Taken))));
    let patch = AccountPatch { name: Some(Some("Acme".to_owned())) };
    let renamed = store.update_account("acme", patch, after_s(1).into()).await.unwrap();
    assert_eq!(renamed.name.as_deref(), Some("Acme"));
    assert_eq!((renamed.created_at, renamed.updated_at), (NOW, after_s(1)));
    assert_eq!(store.account("acme").await.unwrap(), Some(renamed.clone()));
    let kept = store.update_account("acme", AccountPatch::default(), after_s(2).into()).await.unwrap();
    assert_eq!(kept.name, renamed.name);
    assert_eq!(store.account("acme").await.unwrap(), Some(kept));
    store.delete_account("acme", after_s(3).into()).await.unwrap();
    assert_eq!(store.account("acme").await.unwrap(), None);
    for refused in [
        store.delete_account("acme", NOW.into()).await,
        store.update_account("acme", AccountPatch::default(), NOW.into()).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::NotFound))));
    }
    let reborn = store.create_account(new_account("acme"), after_s(4).into()).await.unwrap();
    assert_ne!(reborn.no, acme.no, "numbers are not used again");
    assert_eq!(store.account("acme").await.unwrap(), Some(reborn));
}

pub async fn accounts_page_in_order_of_creation(store: Arc<dyn Store>) {
    for id in ["b", "a", "c"] {
        store.create_account(new_account(id), NOW.into()).await.unwrap();
    }
    store.delete_account("a", NOW.into()).await.unwrap();
    let first = store.accounts(None, 1).await.unwrap();
    let second = store.accounts(first.next, 1).await.unwrap();
    let ids = [&first, &second].map(|slice| slice.items[0].id.as_str());
    assert_eq!((ids, second.next.is_none()), (["b", "c"], true));
    assert!(store.accounts(None, 0).await.unwrap().items.is_empty());
    let c = &second.items[0];
    assert_eq!(store.account_by_no(c.no).await.unwrap().as_ref(), Some(c));
}

pub async fn a_key_is_found_by_its_text_until_it_is_forgotten(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let new = |id: &str, text: &str| NewKey {
        id: id.to_owned(),
        account: scene.account.no,
        key: Secret::from(text.to_owned()),
        signing_secret: Some(Secret::from(format!("signs for {id}"))),
        tier: Some("pro".to_owned()),
        roles: vec!["owner".to_owned(), "reader".to_owned()],
        scopes: vec![],
        description: None,
        expires_at: Some(after_s(60)),
    };
    let created = store.create_key(new("key_1", "k-1"), NOW.into()).await.unwrap();
    store.create_key(new("key_2", "k-2"), NOW.into()).await.unwrap();
    for taken in [new("key_1", "k-3"), new("key_3", "k-1")] {
        let refused = store.create_key(taken, NOW.into()).await.err();
        assert!(matches!(refused, Some(StoreError::Refused(Refusal::Taken))));
    }
    let text = Secret::from("k-1".to_owned());
    for _ in 0..2 {
        let found = store.find_key(&text).await.unwrap().unwrap();
        assert!(*found == created && found.is_active(NOW) && !found.is_active(after_s(60)));
    }
    assert!(store.find_key(&Secret::from("k-9".to_owned())).await.unwrap().is_none());
    store.revoke_key(scene.account.no, "key_1", after_s(5).into()).await.unwrap();
    assert_eq!(store.find_key(&text).await.unwrap().unwrap().revoked_at, Some(after_s(5)));
    let unknown = store.revoke_key(scene.account.no, "key_9", NOW.into()).await;
    assert!(matches!(unknown, Err(StoreError::Refused(Refusal::NotFound))));
    let ids: Vec<String> =
        store.keys(scene.account.no).await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["key_1", "key_2"]);
    store.delete_account("acme", NOW.into()).await.unwrap();
    assert!(store.find_key(&Secret::from("k-2".to_owned())).await.unwrap().is_none());
    let orphan = store.create_key(new("key_4", "k-4"), NOW.into()).await.err();
    assert!(matches!(orphan, Some(StoreError::Refused(Refusal::NotFound))));
}
