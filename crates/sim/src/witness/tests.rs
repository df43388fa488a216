//! The witness objects: to what nobody is owed, and to what ends without a reason.

use std::time::Duration;

use posthaste_core::delivery::reasons;
use posthaste_core::policy::{DisableCount, DisableRule, QueuedOnDelete, StatusSet};
use posthaste_core::{
    AccountNo, Audience, DeliveryKey, DeliveryPolicy, RetrySchedule, Seq, Subscription, UnixMs, WebhookNo,
    WebhookState,
};
use posthaste_store::{RecordBatch, Spill, WebhookLimits};

use super::{Fact, Known, Witness};

const OWN: AccountNo = AccountNo(1);
const NO: WebhookNo = WebhookNo(1);
const KEY: DeliveryKey = DeliveryKey { event: Seq(1), webhook: NO };
/// When the webhook was made, the event accepted, the webhook changed, and a row of it written.
const MADE: UnixMs = UnixMs(1_000);
const ACCEPTED: UnixMs = UnixMs(2_000);
const CHANGED: UnixMs = UnixMs(3_000);
const WRITTEN: UnixMs = UnixMs(4_000);

type Change = fn(&mut Known);
/// A name, an event's audience and type, changes before and after it, and whether its row is right.
type Case = (&'static str, Audience, &'static str, Option<Change>, Change, bool);

fn policy() -> DeliveryPolicy {
    DeliveryPolicy {
        timeout: Duration::from_secs(10),
        success: StatusSet(vec![200..=299]),
        gone_disables: false,
        retry: RetrySchedule { delays: Vec::new(), jitter: 0.0, honours_retry_after: false },
        disable: DisableRule { after: None, count: DisableCount::Delivery },
        on_delete: QueuedOnDelete::Drop,
        rate: None,
    }
}

fn only(event_type: &str) -> Subscription {
    Subscription::Patterns(vec![event_type.to_owned()])
}

/// A webhook that wants `order.paid`, an event, and what became of the webhook before and after it.
fn witness(audience: Audience, event_type: &'static str, before: Option<Change>, after: Change) -> Witness {
    let mut witness = Witness::new(policy(), WebhookLimits { max: None, unique_url: false, per_key: false });
    witness
        .registry
        .add(NO, Known::new(OWN, "https://receiver.example/".to_owned(), only("order.paid"), MADE));
    if let Some(before) = before {
        change(&mut witness, before, MADE);
    }
    let fact = Fact {
        audience,
        event_type,
        send_at: None,
        due_at: None,
        ahead_ms: 0,
        chain: None,
        accepted_at: ACCEPTED,
        is_acknowledged: true,
    };
    let takers = witness.registry.takers(audience, event_type);
    assert!(witness.owed.stored(KEY.event, fact, &takers));
    change(&mut witness, after, CHANGED);
    witness
}

fn change(witness: &mut Witness, change: Change, at: UnixMs) {
    change(witness.registry.get_mut(NO).unwrap());
    witness.changed(NO, at);
}

#[test]
fn a_row_that_nobody_is_owed() {
    let (own, other) = (Audience::Account(OWN), Audience::Account(AccountNo(2)));
    let wants_all: Change = |known| known.subscription = Subscription::All;
    let off: Change = |known| known.state = WebhookState::Disabled;
    let on: Change = |known| known.state = WebhookState::Active;
    let cases: [Case; 9] = [
        ("owed", own, "order.paid", None, |_| {}, true),
        ("of another type", own, "stock.low", None, |_| {}, false),
        ("of another type, to all", Audience::Broadcast, "stock.low", None, |_| {}, false),
        ("of another account", other, "order.paid", None, |_| {}, false),
        ("of another account, and changed", other, "order.paid", None, wants_all, false),
        ("of another type, and paused", own, "stock.low", None, |it| it.state = WebhookState::Paused, false),
        ("of another type, and moved", own, "stock.low", None, |it| it.url.push('a'), false),
        ("of a type that it came to want", own, "stock.low", None, wants_all, true),
        ("off and switched on", own, "order.paid", Some(off), on, true),
    ];
    for (name, audience, event_type, before, after, is_right) in cases {
        let mut witness = witness(audience, event_type, before, after);
        let spills = vec![Spill { key: KEY, due_at: UnixMs(0), chain: None }];
        witness.recorded(&RecordBatch { spills, ..RecordBatch::default() }, WRITTEN);
        assert_eq!(witness.violations.is_empty(), is_right, "{name}: {:?}", witness.violations);
    }
}

#[test]
fn a_cancel_without_a_reason() {
    let cases: [(&str, Change, bool); 7] = [
        ("nothing happened", |_| {}, false),
        ("paused", |known| known.state = WebhookState::Paused, false),
        ("moved", |known| known.url.push('a'), false),
        ("another secret", |known| known.secret += 1, false),
        ("resubscribed", |known| known.subscription = only("stock.low"), false),
        ("deleted", |known| known.is_deleted = true, true),
        ("switched off", |known| known.state = WebhookState::Disabled, true),
    ];
    for (name, after, is_right) in cases {
        let mut witness = witness(Audience::Account(OWN), "order.paid", None, after);
        let cancels = vec![(KEY, reasons::WEBHOOK_DISABLED)];
        witness.recorded(&RecordBatch { cancels, ..RecordBatch::default() }, WRITTEN);
        assert_eq!(witness.violations.is_empty(), is_right, "{name}: {:?}", witness.violations);
        assert_eq!(witness.was_off(KEY), is_right, "{name}");
    }
}

#[test]
fn what_it_came_to_want_while_off_is_canceled_and_not_sent() {
    let off_and_wants: Change = |known| {
        (known.state, known.subscription) = (WebhookState::Disabled, Subscription::All);
    };
    let spill = Spill { key: KEY, due_at: UnixMs(0), chain: None };
    let canceled = RecordBatch { cancels: vec![(KEY, reasons::WEBHOOK_DISABLED)], ..RecordBatch::default() };
    let written = RecordBatch { spills: vec![spill], ..RecordBatch::default() };
    for (name, batch, is_right) in [("canceled", canceled, true), ("written", written, false)] {
        let mut witness = witness(Audience::Account(OWN), "stock.low", None, off_and_wants);
        witness.recorded(&batch, WRITTEN);
        assert_eq!(witness.violations.is_empty(), is_right, "{name}: {:?}", witness.violations);
    }
}

#[test]
fn off_before_the_event_is_no_reason() {
    let mut witness = Witness::new(policy(), WebhookLimits { max: None, unique_url: false, per_key: false });
    witness
        .registry
        .add(NO, Known::new(OWN, "https://receiver.example/".to_owned(), only("order.paid"), MADE));
    change(&mut witness, |known| known.state = WebhookState::Disabled, UnixMs(1_100));
    change(&mut witness, |known| known.state = WebhookState::Active, UnixMs(1_200));
    let known = witness.registry.get(NO).unwrap();
    assert!(known.history.was_off_since(UnixMs(1_150)));
    assert!(!known.history.was_off_since(ACCEPTED));
    assert!(!known.history.began_by(UnixMs(999)));
}
