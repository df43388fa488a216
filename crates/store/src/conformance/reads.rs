//! How much one read brings into memory.

use std::sync::Arc;

use posthaste_core::{Audience, DeliveryKey, Seq};

use super::scene::{NOW, Scene, after_s, begin, body, draft};
use crate::page::{PendingQuery, ReadRoom};
use crate::store::Store;

/// How long the body of every event in here is.
const BODY_BYTES: usize = 1_000;

/// From the newest on, what is known, the room in rows and bytes; what is read and where the rest begins.
type Case<'a> = (bool, &'a [usize], usize, usize, &'a [usize], Option<usize>);

impl Scene {
    async fn large_events(&self, count: usize) -> Vec<Seq> {
        let drafts = (0..count).map(|_| draft(Audience::Account(self.account.no))).collect();
        let large = |_, _, _| body(&"x".repeat(BODY_BYTES));
        let published = self.store.publish(drafts, &large, NOW).await.unwrap();
        published.into_iter().map(|one| one.unwrap().seq).collect()
    }
}

pub async fn a_read_of_events_ends_where_its_bytes_do(store: Arc<dyn Store>) {
    let scene = begin(store.clone()).await;
    let events = scene.large_events(5).await;
    // How many of how many bytes, and where it ends; a budget smaller than a body still has room for one.
    let table = [
        (9, 0, 1, false),
        (9, 1, 1, false),
        (9, BODY_BYTES, 1, false),
        (9, BODY_BYTES + 1, 2, false),
        (2, usize::MAX, 2, false),
        (5, usize::MAX, 5, false),
        (6, usize::MAX, 5, true),
        (9, 5 * BODY_BYTES, 5, false),
        (9, 5 * BODY_BYTES + 1, 5, true),
        (0, usize::MAX, 0, false),
    ];
    for (rows, body_bytes, count, is_end) in table {
        let read = store.next_events(Seq(0), ReadRoom { rows, body_bytes }).await.unwrap();
        let seqs: Vec<Seq> = read.events.iter().map(|event| event.seq).collect();
        assert_eq!((&seqs[..], read.is_end), (&events[..count], is_end), "{rows} rows, {body_bytes} bytes");
    }
    let nothing = store.next_events(events[4], ReadRoom { rows: 1, body_bytes: 0 }).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.is_end);
}

pub async fn a_read_of_pending_rows_ends_where_its_bytes_do_and_passes_over_what_is_known(
    store: Arc<dyn Store>,
) {
    let scene = begin(store.clone()).await;
    let webhook = scene.webhook("a").await.no;
    let events = scene.large_events(6).await;
    for (second, event) in (0..).zip(&events) {
        scene.spill(DeliveryKey { event: *event, webhook }, after_s(second)).await;
    }
    let due = |at: Option<usize>| at.map(|at| after_s(at as u64));
    // The last event is not due.
    let table: &[Case<'_>] = &[
        (false, &[], 9, 0, &[0], Some(1)),
        (false, &[], 9, BODY_BYTES + 1, &[0, 1], Some(2)),
        (false, &[0, 1], 9, 0, &[2], Some(3)),
        (false, &[0, 1], 1, usize::MAX, &[2], Some(3)),
        (false, &[0, 2], 2, usize::MAX, &[1, 3], Some(4)),
        (false, &[1, 3], 9, 2 * BODY_BYTES + 1, &[0, 2, 4], Some(5)),
        (false, &[0, 1, 2, 3, 4], 9, 0, &[], Some(5)),
        (false, &[0, 1, 2, 3, 4, 5], 9, 0, &[], Some(5)),
        (true, &[], 9, 0, &[4], Some(3)),
        (true, &[2, 4], 9, BODY_BYTES + 1, &[3, 1], Some(0)),
        (true, &[0, 1, 2, 3, 4], 9, 0, &[], None),
    ];
    for (newest, known, rows, body_bytes, found, next) in table {
        let query = PendingQuery {
            webhook,
            until: after_s(4),
            newest: *newest,
            known: known.iter().map(|at| events[*at]).collect(),
            room: ReadRoom { rows: *rows, body_bytes: *body_bytes },
        };
        let told = format!("{query:?}");
        let read = store.pending(query).await.unwrap();
        let seqs: Vec<Seq> = read.rows.iter().map(|row| row.event.seq).collect();
        assert_eq!(seqs, found.iter().map(|at| events[*at]).collect::<Vec<_>>(), "{told}");
        assert_eq!(read.next, due(*next), "{told}");
        assert!(read.rows.iter().all(|row| row.event.body.bytes.len() == BODY_BYTES));
        let mut passed_over: Vec<Seq> = read.passed_over.iter().map(|(seq, _)| *seq).collect();
        passed_over.sort_unstable();
        let met = known.iter().filter(|at| **at < 5 && (*newest || next.is_none_or(|next| **at < next)));
        assert_eq!(passed_over, met.map(|at| events[*at]).collect::<Vec<_>>(), "{told}");
    }
}
