//! Named tokens of the admin API.

use std::sync::Arc;

use posthaste_core::{Scope, Secret, Token, UnixMs};

use super::scene::{NOW, after_s};
use crate::change::NewToken;
use crate::error::{Refusal, StoreError};
use crate::store::{Answer, Store};

pub(super) fn new_token(id: &str, name: &str, expires_at: Option<UnixMs>) -> NewToken {
    NewToken { id: id.to_owned(), name: name.to_owned(), token: text(id), scope: Scope::Publish, expires_at }
}

fn text(id: &str) -> Secret {
    Secret::from(format!("pht_{id}"))
}

async fn found(store: &Arc<dyn Store>, id: &str, now: UnixMs) -> Option<Token> {
    store.find_token(&text(id), now).await.unwrap().map(|token| Token::clone(&token))
}

fn refusal<T>(answer: Answer<T>) -> Option<Refusal> {
    match answer {
        Err(StoreError::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

pub async fn a_token_is_found_by_its_text_until_it_is_revoked(store: Arc<dyn Store>) {
    let created = store.create_token(new_token("tok_1", "ci", None), NOW.into()).await.unwrap();
    assert_eq!((created.name.as_str(), created.scope), ("ci", Scope::Publish));
    for _ in 0..2 {
        let token = found(&store, "tok_1", NOW).await.unwrap();
        assert!(token == created && token.is_active(NOW));
    }
    assert_eq!(found(&store, "tok_2", NOW).await, None);
    store.revoke_token("tok_1", after_s(5).into()).await.unwrap();
    store.revoke_token("tok_1", after_s(9).into()).await.unwrap();
    let revoked = found(&store, "tok_1", after_s(5)).await.unwrap();
    assert_eq!((revoked.revoked_at, revoked.is_active(after_s(5))), (Some(after_s(5)), false));
    assert_eq!(refusal(store.revoke_token("tok_2", NOW.into()).await), Some(Refusal::NotFound));
}

pub async fn a_name_belongs_to_one_token_that_works(store: Arc<dyn Store>) {
    let create = async |id: &str, name: &str, expires_at, now: UnixMs| {
        refusal(store.create_token(new_token(id, name, expires_at), now.into()).await)
    };
    assert_eq!(create("tok_1", "ci", Some(after_s(60)), NOW).await, None);
    assert_eq!(create("tok_1", "other", None, NOW).await, Some(Refusal::Taken), "the id");
    assert_eq!(create("tok_2", "ci", None, after_s(59)).await, Some(Refusal::NameTaken));
    assert_eq!(create("tok_2", "CI", None, after_s(59)).await, None, "another name");
    assert_eq!(create("tok_3", "ci", None, after_s(60)).await, None, "the first has expired");
    assert_eq!(create("tok_4", "ci", None, after_s(61)).await, Some(Refusal::NameTaken));
    store.revoke_token("tok_3", after_s(62).into()).await.unwrap();
    assert_eq!(create("tok_4", "ci", None, after_s(63)).await, None, "the third was revoked");
    let first = store.tokens(None, 3).await.unwrap();
    let second = store.tokens(first.next, 3).await.unwrap();
    let ids: Vec<&str> = first.items.iter().chain(&second.items).map(|token| token.id.as_str()).collect();
    assert_eq!((ids, second.next), (vec!["tok_1", "tok_2", "tok_3", "tok_4"], None));
}

pub async fn there_are_not_more_tokens_than_the_bound(store: Arc<dyn Store>) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1_010 {
        let store = store.clone();
        let new = new_token(&format!("tok_{number}"), &format!("token {number}"), None);
        tasks.spawn(async move { refusal(store.create_token(new, NOW.into()).await) });
    }
    let outcomes = tasks.join_all().await;
    let refused = outcomes.iter().filter(|outcome| **outcome == Some(Refusal::TokenLimit)).count();
    assert_eq!((outcomes.iter().filter(|outcome| outcome.is_none()).count(), refused), (1_000, 10));
    let one = store.tokens(None, 1).await.unwrap().items.remove(0);
    store.revoke_token(&one.id, NOW.into()).await.unwrap();
    assert_eq!(refusal(store.create_token(new_token("tok_x", "x", None), NOW.into()).await), None);
}

pub async fn uses_of_a_token_are_written_down_by_housekeeping(store: Arc<dyn Store>) {
    store.create_token(new_token("tok_1", "ci", Some(after_s(600))), NOW.into()).await.unwrap();
    let last_used = async || store.tokens(None, 1).await.unwrap().items[0].last_used_at;
    for (at, is_active, expected) in [
        (after_s(1), true, Some(after_s(1))),
        (after_s(30), true, Some(after_s(1))),
        (after_s(120), true, Some(after_s(120))),
        (after_s(700), false, Some(after_s(120))),
    ] {
        assert_eq!(found(&store, "tok_1", at).await.unwrap().is_active(at), is_active);
        assert!(!store.tidy_audit(NOW).await.unwrap());
        assert_eq!(last_used().await, expected, "{at:?}");
    }
}

pub async fn tokens_that_ended_long_ago_are_forgotten(store: Arc<dyn Store>) {
    for (id, expires_at) in [("tok_1", None), ("tok_2", Some(after_s(50))), ("tok_3", None)] {
        store.create_token(new_token(id, id, expires_at), NOW.into()).await.unwrap();
    }
    store.revoke_token("tok_3", after_s(60).into()).await.unwrap();
    for (before, expected) in
        [(50, vec!["tok_1", "tok_2", "tok_3"]), (51, vec!["tok_1", "tok_3"]), (61, vec!["tok_1"])]
    {
        store.tidy_audit(after_s(before)).await.unwrap();
        let left = store.tokens(None, 9).await.unwrap().items;
        assert_eq!(left.iter().map(|token| token.id.as_str()).collect::<Vec<_>>(), expected, "{before}");
    }
    assert_eq!(found(&store, "tok_3", NOW).await, None);
}
