//! The embedded store as files: what it makes, what it refuses, what it keeps.

use std::sync::Arc;

use bytes::Bytes;
use posthaste_core::{AccountNo, Audience, Clock, EventBody, UnixMs};
use posthaste_store::{Embedded, EventDraft, NewAccount, OpenError, Options, Store};

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        NOW
    }
}

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn open(dir: &std::path::Path) -> Result<Arc<Embedded>, OpenError> {
    Embedded::open(dir, None, Options::default(), Arc::new(Fixed))
}

fn draft(account: AccountNo) -> EventDraft {
    EventDraft {
        audience: Audience::Account(account),
        event_type: "a.b".into(),
        send_at: None,
        idempotency: None,
    }
}

fn body() -> EventBody {
    EventBody { bytes: Bytes::from_static(b"{\"data\":{\"a\":1}}"), data: 9..14, account_at: None }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let account = store.create_account(NewAccount { id: "acme".into(), name: None }, NOW).await.unwrap();
    let published = store.publish(vec![draft(account.no)], &|_, _, _| body(), NOW).await.unwrap();
    let seq = published[0].unwrap().seq;
    let id_key = store.id_key();
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.account("acme").await.unwrap(), Some(account));
    assert_eq!(store.event(seq).await.unwrap().unwrap().body, body());
    assert_eq!(store.id_key(), id_key);
    store.close().await;
}
