use std::collections::BTreeMap;

use bytes::Bytes;
use posthaste_core::{
    DeliveryKey, EventBody, Health, Secret, SigningSecrets, Subscription, UnixMs, WebhookNo, WebhookState,
};

use super::*;

pub(in super::super) fn event(
    seq: i64,
    audience: Audience,
    bytes: usize,
    account_at: Option<u32>,
) -> Arc<Event> {
    let body = EventBody { bytes: Bytes::from(vec![b' '; bytes]), data: 0..0, account_at };
    let (created_at, event_type) = (UnixMs(0), "a.b".into());
    Arc::new(Event {
        seq: Seq(seq),
        audience,
        event_type,
        created_at,
        send_at: None,
        body,
        watched: None,
        ordering_key: None,
    })
}

fn webhook(account: i64) -> Webhook {
    Webhook {
        no: WebhookNo(1),
        id: "wh_1".to_owned(),
        account: AccountNo(account),
        account_id: "acme".to_owned(),
        key: None,
        url: String::new(),
        canonical_url: String::new(),
        subscription: Subscription::All,
        state: WebhookState::Active,
        description: None,
        extension: BTreeMap::new(),
        secrets: SigningSecrets { current: Secret::from(String::new()), previous: Vec::new() },
        created_after: Seq(0),
        health: Health::default(),
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
        off_after: None,
        deleted: None,
        is_account_deleted: false,
    }
}

/// The body of an account's event.
pub(in super::super) fn body(seq: i64, account: i64, bytes: usize, bounds: &Bounds) -> Option<Body> {
    Body::of(&event(seq, Audience::Account(AccountNo(account)), bytes, None), &webhook(account), bounds)
}

#[test]
fn a_body_counts_once_unless_it_is_made_anew_and_is_charged_to_whom_it_belongs() {
    use Audience::{Account, Broadcast};
    let bounds = Bounds { light_body_bytes: 9, ..Bounds::default() };
    let acme = Account(AccountNo(1));
    // Whom for, its bytes, whether it names the account; then the bytes of three attempts for two accounts, and what
    // the account of two of them answers for.
    let table: &[(Audience, usize, Option<u32>, usize, usize)] = &[
        (acme, 9, None, 0, 0),
        (acme, 10, None, 10, 10),
        (Audience::Webhook(WebhookNo(1)), 10, None, 10, 10),
        (Broadcast, 9, None, 0, 0),
        (Broadcast, 10, None, 10, 0),
        (Broadcast, 10, Some(3), 30, 20),
        (Broadcast, 9, Some(3), 0, 0),
    ];
    for (audience, bytes, account_at, in_all, of_account) in table {
        let event = event(7, *audience, *bytes, *account_at);
        let other = if *audience == Broadcast { 2 } else { 1 };
        let bodies: Vec<Body> = [1, 1, other]
            .iter()
            .filter_map(|account| Body::of(&event, &webhook(*account), &bounds))
            .collect();
        let mut purse = Purse::default();
        bodies.iter().for_each(|body| purse.put(body));
        let charged = purse.by_account.get(&AccountNo(1)).copied().unwrap_or(0);
        assert_eq!((purse.bytes, charged), (*in_all, *of_account), "{audience:?} {bytes} {account_at:?}");
        bodies.iter().for_each(|body| purse.take_out(body));
        assert!(purse.bytes == 0 && purse.by_account.is_empty() && purse.shared.is_empty());
    }
    println!("counted | receivers | rows of bodies and whom they are charged to | {}", table.len());
}

#[test]
fn what_waits_counts_heavy_bodies_once_and_light_ones_each_time() {
    let bounds = Bounds { light_body_bytes: 9, ..Bounds::default() };
    for (bytes, of_three) in [(9, 27), (10, 10)] {
        let (event, mut waiting) = (event(7, Audience::Broadcast, bytes, None), Waiting::default());
        assert_eq!(waiting.cost(&event, &bounds), bytes);
        let key = DeliveryKey { event: event.seq, webhook: WebhookNo(1) };
        let jobs = [false, true, true].map(|is_written| Job {
            key,
            event: event.clone(),
            due_at: UnixMs(0),
            attempts: 0,
            is_written,
        });
        jobs.iter().for_each(|job| waiting.add(job, Source::Fresh, &bounds));
        assert_eq!((waiting.deliveries, waiting.bytes), (3, of_three));
        assert_eq!(waiting.heavy_written_bytes, if bytes > 9 { bytes } else { 0 });
        assert_eq!(waiting.cost(&event, &bounds) == 0, waiting.find(Seq(7)).is_some());
        jobs.iter().for_each(|job| waiting.remove(job, Source::Fresh, &bounds));
        assert_eq!((waiting.deliveries, waiting.bytes, waiting.heavy.len()), (0, 0, 0));
        assert_eq!(waiting.heavy_written_bytes, 0);
    }
}
