//! Every body of the store passes the same suite.

use std::sync::Arc;

use posthaste_core::{Clock, UnixMs};
use posthaste_store::conformance::STORIES;
use posthaste_store::{Embedded, Inline, Options, Store};

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> UnixMs {
        UnixMs(1_800_000_000_000)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_passes() {
    for story in STORIES {
        println!("{}", story.name);
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path(), None, Options::default(), Arc::new(Fixed)).unwrap();
        (story.tell)(store.clone()).await;
        assert_eq!(store.health(), Ok(()));
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_memory_passes() {
    for story in STORIES {
        println!("{}", story.name);
        let store = Arc::new(Inline::open_in_memory([7; 16]).unwrap());
        (story.tell)(store.clone()).await;
        assert_eq!(store.health(), Ok(()));
    }
}
