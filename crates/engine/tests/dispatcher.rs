//! Stories of the dispatcher, told by hand: which attempts it starts, and what it wants remembered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use expect_test::{Expect, expect};
use posthaste_core::policy::{AttemptRate, DisableCount, DisableRule, QueuedOnDelete, StatusSet};
use posthaste_core::{
    AccountNo, Attempt, Audience, DeliveryKey, DeliveryPolicy, Dice, Event, EventBody, Fault, FaultKind,
    Health, OrderingKey, Outcome, Response, RetrySchedule, Secret, Seq, SigningSecrets, Subscription, UnixMs,
    Webhook, WebhookNo, WebhookState,
};
use posthaste_engine::bounds::Bounds;
use posthaste_engine::dispatcher::{Claim, Dispatcher, Effect, Input};
use posthaste_store::{Hint, PendingQuery, PendingRead, PendingRow, ReadRoom, Roster};

struct NoDice;
impl Dice for NoDice {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn policy() -> DeliveryPolicy {
    DeliveryPolicy {
        timeout: Duration::from_secs(10),
        success: StatusSet(vec![200..=299]),
        gone_disables: true,
        retry: RetrySchedule { delays: vec![Duration::from_secs(5)], jitter: 0.0, honours_retry_after: true },
        disable: DisableRule { after: Some(2), count: DisableCount::Delivery },
        on_delete: QueuedOnDelete::Drop,
        rate: None,
    }
}

fn webhook(no: i64, account: i64) -> Webhook {
    Webhook {
        no: WebhookNo(no),
        id: format!("wh_{no}"),
        account: AccountNo(account),
        account_id: format!("account-{account}"),
        key: None,
        url: "https://receiver.example/".into(),
        canonical_url: "https://receiver.example/".into(),
        subscription: Subscription::All,
        state: WebhookState::Active,
        description: None,
        extension: BTreeMap::new(),
        secrets: SigningSecrets { current: Secret::from("secret".to_owned()), previous: Vec::new() },
        created_after: Seq(0),
        health: Health::default(),
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
        off_after: None,
        deleted: None,
        is_account_deleted: false,
    }
}

/// A dispatcher with a roster, and a log of what it did.
struct Rig {
    dispatcher: Dispatcher,
    roster: Arc<Roster>,
    claims: Vec<Claim>,
    reads: Vec<PendingQuery>,
    last: Seq,
    now: UnixMs,
    log: String,
}

impl Rig {
    fn new(bounds: Bounds, webhooks: Vec<Webhook>) -> Self {
        Self::under(policy(), bounds, webhooks)
    }

    fn under(policy: DeliveryPolicy, bounds: Bounds, webhooks: Vec<Webhook>) -> Self {
        let roster = Arc::new(Roster::default());
        webhooks.into_iter().for_each(|webhook| roster.put(webhook));
        let dispatcher = Dispatcher::new(bounds, policy, roster.clone(), Arc::new(NoDice), Seq(0));
        let (claims, reads, log) = (Vec::new(), Vec::new(), String::new());
        let mut rig = Self { dispatcher, roster, claims, reads, last: Seq(0), now: UnixMs(0), log };
        rig.step();
        rig.tell(Input::EventsLoaded { events: Vec::new(), is_end: true });
        rig.log.clear();
        rig
    }

    fn tell(&mut self, input: Input) {
        self.dispatcher.handle(input);
        self.step();
    }

    fn step(&mut self) {
        loop {
            let step = self.dispatcher.step(self.now);
            for effect in step.effects {
                self.log(effect);
            }
            if !step.has_more {
                return;
            }
        }
    }

    fn log(&mut self, effect: Effect) {
        let log = &mut self.log;
        match effect {
            Effect::Attempt(claim) => {
                let _ = writeln!(
                    log,
                    "attempt {}#{} of event {}",
                    claim.webhook.id, claim.number, claim.key.event.0
                );
                self.claims.push(claim);
            }
            Effect::Record(batch) => {
                for recorded in &batch.attempts {
                    let (state, due) = (recorded.state.word(), recorded.next_attempt_at.map(|at| at.0));
                    let _ = writeln!(log, "record event {} {state} due {due:?}", recorded.key.event.0);
                }
                for spill in &batch.spills {
                    let _ = writeln!(log, "leave event {} to the store", spill.key.event.0);
                }
                for (key, reason) in &batch.cancels {
                    let _ = writeln!(log, "cancel event {} {reason}", key.event.0);
                }
                for (webhook, reason) in &batch.disable {
                    let _ = writeln!(log, "switch off {} {reason}", webhook.0);
                }
                if let Some(checkpoint) = batch.checkpoint {
                    let _ = writeln!(log, "checkpoint {}", checkpoint.0);
                }
            }
            Effect::LoadPending(query) => {
                let which = if query.newest { "newest rows" } else { "rows" };
                let _ = writeln!(log, "read {which} of {}", query.webhook.0);
                self.reads.push(query);
            }
            Effect::LoadEvents { after, .. } => {
                let _ = writeln!(log, "read events after {}", after.0);
            }
            Effect::LoadHeads => {}
        }
    }

    fn publish(&mut self, audience: Audience) -> Arc<Event> {
        self.publish_bytes(audience, b"{}")
    }

    fn publish_bytes(&mut self, audience: Audience, bytes: &'static [u8]) -> Arc<Event> {
        self.publish_one(audience, bytes, None)
    }

    fn publish_ordered(&mut self, key: &str) -> Arc<Event> {
        self.publish_one(ACCOUNT, b"{}", OrderingKey::new(key))
    }

    fn publish_one(
        &mut self,
        audience: Audience,
        bytes: &'static [u8],
        ordering_key: Option<OrderingKey>,
    ) -> Arc<Event> {
        let (after, seq) = (self.last, Seq(self.last.0 + 1));
        self.last = seq;
        let body = EventBody { bytes: Bytes::from_static(bytes), data: 1..1, account_at: None };
        let event = Event {
            seq,
            audience,
            event_type: "a.b".into(),
            created_at: self.now,
            send_at: None,
            body,
            watched: None,
            ordering_key,
        };
        let event = Arc::new(event);
        self.tell(Input::Hint(Hint::Events { after, events: vec![event.clone()] }));
        event
    }

    fn answer(&mut self, outcome: Outcome) {
        self.end(outcome);
        self.tell(Input::Recorded);
    }

    fn end(&mut self, outcome: Outcome) {
        let claim = self.claims.remove(0);
        let attempt = Attempt {
            number: claim.number,
            started_at: claim.at,
            duration: Duration::ZERO,
            outcome,
            signatures: Vec::new(),
        };
        self.tell(Input::Ended(claim, attempt));
    }

    fn change(&mut self, change: impl FnOnce(&mut Webhook)) {
        self.change_one(1, change);
    }

    fn change_one(&mut self, no: i64, change: impl FnOnce(&mut Webhook)) {
        let mut webhook = (*self.roster.get(WebhookNo(no)).expect("it is there")).clone();
        change(&mut webhook);
        self.roster.put(webhook);
    }

    fn expect(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.log));
    }
}

fn status(status: u16) -> Outcome {
    Outcome::Answered(Response { status, ..Response::default() })
}

fn silence() -> Outcome {
    Outcome::Failed(Fault { kind: FaultKind::Timeout, detail: String::new() })
}

fn pending(event: Arc<Event>) -> PendingRow {
    PendingRow {
        key: DeliveryKey { event: event.seq, webhook: WebhookNo(1) },
        event,
        attempts: 0,
        due_at: UnixMs(0),
    }
}

/// A read of a webhook's rows found these, and the first one left out due then.
fn loaded(no: i64, rows: Vec<PendingRow>, next: Option<UnixMs>) -> Input {
    let read = PendingRead { rows, passed_over: Vec::new(), next };
    Input::PendingLoaded { webhook: WebhookNo(no), read }
}

const ACCOUNT: Audience = Audience::Account(AccountNo(1));

#[test]
fn a_delivery_that_succeeds_costs_one_record() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.publish(ACCOUNT);
    rig.answer(status(200));
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 delivered due None
        checkpoint 1
    "#]]);
    assert!(rig.dispatcher.is_idle());
}

#[test]
fn a_retry_is_read_back_when_it_is_due() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.publish(ACCOUNT);
    rig.answer(silence());
    rig.now = UnixMs(4_999);
    rig.step();
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 pending due Some(5000)
        checkpoint 1
    "#]]);
    rig.now = UnixMs(5_000);
    rig.step();
    rig.expect(expect![[r#"
        read rows of 1
    "#]]);
}

#[test]
fn a_paused_webhooks_deliveries_are_left_to_the_store() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    rig.publish(ACCOUNT);
    rig.tell(Input::Recorded);
    rig.expect(expect![[r#"
        leave event 1 to the store
        checkpoint 1
    "#]]);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.expect(expect![[r#"
        read rows of 1
    "#]]);
}

#[test]
fn what_was_held_goes_out_one_by_one_oldest_first() {
    let bounds = Bounds { one_by_one_after_resume: 2, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pending(rig.publish(ACCOUNT)));
        rig.tell(Input::Recorded);
    }
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.tell(loaded(1, held, None));
    let mut under_way = Vec::new();
    for _ in 0..4 {
        under_way.push(rig.claims.iter().map(|claim| claim.key.event.0).collect::<Vec<_>>());
        rig.answer(status(200));
    }
    assert_eq!(under_way, [vec![1], vec![2], vec![3], vec![4, 5]], "then the window widens");
}

#[test]
fn what_waits_when_a_webhook_is_deleted_is_called_off_and_what_is_under_way_is_not_repeated() {
    let bounds = Bounds { in_flight: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1)]);
    rig.publish(ACCOUNT);
    rig.publish(ACCOUNT);
    rig.change(|webhook| webhook.deleted = Some((UnixMs(0), Seq(2))));
    rig.answer(status(500));
    rig.tell(Input::Recorded);
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 canceled due None
        cancel event 2 webhook_deleted
        checkpoint 2
    "#]]);
}

#[test]
fn nothing_more_is_sent_for_a_deleted_account_even_where_deleted_webhooks_drain() {
    let drains = DeliveryPolicy { on_delete: QueuedOnDelete::Drain, ..policy() };
    let mut rig = Rig::under(drains, Bounds { in_flight: 1, ..Bounds::default() }, vec![webhook(1, 1)]);
    (0..3).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.change(|webhook| webhook.deleted = Some((UnixMs(0), Seq(3))));
    rig.answer(status(200));
    rig.change(|webhook| webhook.is_account_deleted = true);
    rig.answer(status(500));
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        attempt wh_1#1 of event 2
        record event 1 delivered due None
        checkpoint 1
        record event 2 canceled due None
        cancel event 3 webhook_deleted
        checkpoint 3
    "#]]);
}

#[test]
fn what_was_owed_before_a_webhook_was_switched_off_is_written_as_canceled_and_nothing_after() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.change(|webhook| {
        webhook.state = WebhookState::Disabled;
        (webhook.created_after, webhook.off_after) = (Seq(1), Some(Seq(2)));
    });
    // The first was accepted before there was the webhook, the third while it was off.
    (0..3).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.change(|webhook| webhook.off_after = None);
    rig.publish(ACCOUNT);
    rig.expect(expect![[r#"
        checkpoint 1
        cancel event 2 webhook_disabled
        checkpoint 3
        checkpoint 4
    "#]]);
}

#[test]
fn two_failed_deliveries_switch_a_webhook_off_and_a_410_does_so_at_once() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    for _ in 0..2 {
        rig.publish(ACCOUNT);
        rig.claims[0].number = 2;
        rig.answer(status(500));
    }
    rig.publish(ACCOUNT);
    rig.answer(status(410));
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 failed due None
        checkpoint 1
        attempt wh_1#1 of event 2
        record event 2 failed due None
        switch off 1 attempts_exhausted
        checkpoint 2
        attempt wh_1#1 of event 3
        record event 3 failed due None
        switch off 1 gone
        checkpoint 3
    "#]]);
}

#[test]
fn a_webhook_that_was_switched_on_counts_anew_with_an_attempt_that_ends_before_anybody_hears_of_it() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.publish(ACCOUNT);
    rig.answer(status(200));
    // Two attempts are under way, the first of them fails, and the webhook is off and on again.
    rig.publish(ACCOUNT);
    rig.publish(ACCOUNT);
    rig.claims.iter_mut().for_each(|claim| claim.number = 2);
    rig.answer(status(500));
    rig.switch(WebhookState::Disabled);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.log.clear();
    rig.answer(status(500));
    rig.expect(expect![[r#"
        record event 3 failed due None
        checkpoint 3
        read rows of 1
    "#]]);
}

#[test]
fn accounts_take_turns_whatever_they_queue() {
    let bounds = Bounds { in_flight: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2)]);
    for _ in 0..3 {
        rig.publish(ACCOUNT);
    }
    rig.publish(Audience::Account(AccountNo(2)));
    for _ in 0..4 {
        rig.answer(status(200));
    }
    let order: Vec<&str> = rig.log.lines().filter(|line| line.starts_with("attempt")).collect();
    assert_eq!(
        order,
        [
            "attempt wh_1#1 of event 1",
            "attempt wh_1#1 of event 2",
            "attempt wh_2#1 of event 4",
            "attempt wh_1#1 of event 3"
        ]
    );
}

#[test]
fn webhooks_that_fail_leave_slots_to_those_that_do_not() {
    let bounds = Bounds { in_flight: 2, in_flight_failing: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2), webhook(3, 3)]);
    rig.publish(Audience::Account(AccountNo(3)));
    rig.answer(status(200));
    rig.tell(Input::Recorded);
    rig.log.clear();
    for account in [1, 2, 3] {
        rig.publish(Audience::Account(AccountNo(account)));
    }
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 2
        attempt wh_3#1 of event 4
    "#]]);
    rig.answer(silence());
    rig.expect(expect![[r#"
        attempt wh_2#1 of event 3
        record event 2 pending due Some(5000)
        checkpoint 2
    "#]]);
}

#[test]
fn what_hangs_gives_its_slot_to_others_before_it_ends() {
    let bounds = Bounds { in_flight: 1, in_flight_failing: 1, in_flight_slow: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2), webhook(3, 3)]);
    for account in [1, 2, 3] {
        rig.publish(Audience::Account(AccountNo(account)));
    }
    rig.now = rig.now.plus(bounds.slow_after);
    rig.step();
    rig.now = rig.now.plus(bounds.slow_after);
    rig.step();
    assert_eq!(rig.dispatcher.load(), (2, 1), "only one may be slow");
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        attempt wh_2#1 of event 2
    "#]]);
    rig.answer(silence());
    rig.expect(expect![[r#"
        attempt wh_3#1 of event 3
        record event 1 pending due Some(7000)
        checkpoint 1
    "#]]);
}

/// Bodies in here have two bytes: a webhook has two of them under way, its account two, and four make a purse full.
fn heavy() -> Bounds {
    Bounds {
        light_body_bytes: 1,
        in_flight_bytes: 8,
        in_flight_failing_bytes: 8,
        in_flight_slow_bytes: 8,
        in_flight_bytes_per_webhook: 4,
        accounts_sharing: 2,
        ..Bounds::default()
    }
}

impl Rig {
    /// Webhooks that have answered a few times, so that their windows are wide.
    fn doing_well(bounds: Bounds, webhooks: Vec<Webhook>) -> Self {
        let accounts: Vec<AccountNo> = webhooks.iter().map(|webhook| webhook.account).collect();
        let mut rig = Self::new(bounds, webhooks);
        for account in accounts.repeat(3) {
            rig.publish(Audience::Account(account));
            while !rig.claims.is_empty() {
                rig.answer(status(200));
            }
        }
        rig.tell(Input::Recorded);
        rig.log.clear();
        rig
    }

    /// Which webhooks have how many attempts under way.
    fn under_way(&self) -> BTreeMap<i64, usize> {
        let mut under_way = BTreeMap::new();
        for claim in &self.claims {
            *under_way.entry(claim.key.webhook.0).or_default() += 1;
        }
        under_way
    }
}

#[test]
fn webhooks_that_did_well_and_hang_with_large_bodies_stop_nobody_else() {
    let evil = [webhook(1, 1), webhook(2, 1), webhook(3, 1)];
    // Its account may have as much as there is: the bound of a webhook is enough.
    let bounds = Bounds { accounts_sharing: 1, ..heavy() };
    let mut rig = Rig::doing_well(bounds, [evil.to_vec(), vec![webhook(4, 2)]].concat());
    for _ in 0..20 {
        rig.publish(ACCOUNT);
    }
    let hung = rig.under_way();
    assert!(hung.values().all(|count| *count <= 2), "each webhook has its bound: {hung:?}");
    rig.publish(Audience::Account(AccountNo(2)));
    assert_eq!(rig.under_way().get(&4), Some(&1), "somebody else's goes out at once");
    rig.now = rig.now.plus(bounds.slow_after);
    rig.step();
    rig.publish(Audience::Account(AccountNo(2)));
    assert_eq!(rig.under_way().get(&4), Some(&2), "and again when they are slow");
    while let Some(at) = rig.claims.iter().position(|claim| claim.key.webhook.0 != 4) {
        rig.claims.rotate_left(at);
        rig.answer(silence());
    }
    assert_eq!(rig.claims.len(), 2, "all that hung were tried in their turn");
}

#[test]
fn what_fails_and_what_is_slow_takes_no_bytes_from_those_that_do_well() {
    let mut rig = Rig::doing_well(heavy(), vec![webhook(1, 1)]);
    (2..=20).for_each(|no| rig.roster.put(webhook(no, no)));
    for turn in 0..3 {
        for account in 2..=20 {
            rig.publish(Audience::Account(AccountNo(account)));
        }
        rig.now = rig.now.plus(heavy().slow_after);
        rig.step();
        rig.publish(ACCOUNT);
        assert_eq!(rig.under_way().get(&1), Some(&1), "turn {turn}");
        let at = rig.claims.iter().position(|claim| claim.key.webhook.0 == 1).unwrap();
        rig.claims.rotate_left(at);
        rig.answer(status(200));
    }
    assert_eq!(rig.claims.len(), 8, "both other purses are full");
}

#[test]
fn a_broadcast_counts_once_however_many_webhooks_hang_with_it() {
    let mut rig = Rig::new(heavy(), (1..=100).map(|no| webhook(no, no)).collect());
    rig.publish(Audience::Broadcast);
    assert_eq!(rig.dispatcher.load(), (100, 0));
    rig.roster.put(webhook(101, 101));
    rig.publish(Audience::Account(AccountNo(101)));
    assert_eq!(rig.under_way().get(&101), Some(&1), "a new webhook has its first attempt at once");
    for _ in 0..100 {
        rig.answer(silence());
    }
    rig.tell(Input::Recorded);
    assert_eq!(rig.dispatcher.load(), (1, 0));
}

#[test]
fn rows_read_back_for_many_webhooks_share_one_body_again() {
    let mut rig = Rig::new(heavy(), (1..=3).map(|no| webhook(no, no)).collect());
    let event = rig.publish(Audience::Broadcast);
    for _ in 0..3 {
        rig.answer(silence());
    }
    rig.tell(Input::Recorded);
    rig.now = rig.now.plus(Duration::from_secs(5));
    rig.step();
    for no in 1..=3 {
        let key = DeliveryKey { event: event.seq, webhook: WebhookNo(no) };
        let row = PendingRow { key, event: Arc::new((*event).clone()), attempts: 1, due_at: rig.now };
        rig.tell(loaded(no, vec![row], None));
    }
    assert_eq!(rig.claims.len(), 3);
    assert!(rig.claims.iter().all(|claim| Arc::ptr_eq(&claim.event, &rig.claims[0].event)));
}

#[test]
fn light_bodies_pass_heavy_ones_that_wait() {
    let none = Bounds { in_flight_slow: 0, ..heavy() };
    let mut rig = Rig::new(none, (1..=6).map(|no| webhook(no, no)).collect());
    for account in 1..=5 {
        rig.publish(Audience::Account(AccountNo(account)));
    }
    assert_eq!(rig.dispatcher.load(), (4, 1), "four bodies of two bytes make eight");
    rig.publish_bytes(Audience::Account(AccountNo(6)), b" ");
    assert_eq!(rig.under_way().get(&6), Some(&1));
    rig.log.clear();
    rig.answer(status(200));
    rig.expect(expect![[r#"
        attempt wh_5#1 of event 5
        record event 1 delivered due None
        checkpoint 1
    "#]]);
}

#[test]
fn a_lost_hint_is_made_good_by_the_next_look() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.last = Seq(7);
    rig.publish(ACCOUNT);
    rig.expect(expect![[r#"
        read events after 0
    "#]]);
}

#[test]
fn a_full_lane_overflows_into_the_store() {
    let bounds = Bounds { in_flight: 1, lane: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1)]);
    for _ in 0..3 {
        rig.publish(ACCOUNT);
    }
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        leave event 3 to the store
    "#]]);
}

#[test]
fn rows_recorded_while_a_read_waits_for_its_turn_are_taken_up_by_it() {
    let bounds = Bounds { in_flight: 1, lane: 1, loads_in_flight: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2)]);
    rig.tell(Input::HeadsLoaded(vec![(WebhookNo(2), UnixMs(0))]));
    let rows: Vec<PendingRow> = (1..=4).map(|_| rig.publish(ACCOUNT)).skip(2).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.answer(status(200));
    rig.tell(loaded(2, Vec::new(), None));
    rig.tell(loaded(1, rows, None));
    rig.answer(status(200));
    rig.answer(status(200));
    rig.expect(expect![[r#"
        read rows of 2
        attempt wh_1#1 of event 1
        leave event 3 to the store
        leave event 4 to the store
        attempt wh_1#1 of event 2
        record event 1 delivered due None
        checkpoint 1
        read rows of 1
        attempt wh_1#1 of event 3
        record event 2 delivered due None
        checkpoint 4
        read rows of 1
        record event 3 delivered due None
    "#]]);
}

#[test]
fn rows_that_are_too_much_for_memory_stay_in_the_store() {
    let bounds = Bounds { in_flight: 1, waiting_bytes: 16, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    let rows: Vec<PendingRow> = (1..=9).map(|_| rig.publish(ACCOUNT)).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.log.clear();
    rig.tell(loaded(1, rows, None));
    assert_eq!(rig.dispatcher.load(), (1, 1), "two bodies are four bytes, a quarter of all");
    rig.answer(status(200));
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        read rows of 1
        attempt wh_1#1 of event 2
        record event 1 delivered due None
    "#]]);
}

#[test]
fn what_cannot_start_leaves_room_to_what_can() {
    // Up to four bytes are read in advance, and up to eight for those that can start at once.
    let bounds = Bounds { waiting_bytes: 16, one_by_one_after_resume: 0, ..heavy() };
    let mut rig = Rig::new(bounds, (1..=4).map(|no| webhook(no, no)).collect());
    let mut rows = BTreeMap::<i64, Vec<PendingRow>>::new();
    for no in 1..=4 {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Paused);
        for _ in 0..3 {
            let event = rig.publish_bytes(Audience::Account(AccountNo(no)), b"{}");
            let key = DeliveryKey { event: event.seq, webhook: WebhookNo(no) };
            rows.entry(no).or_default().push(PendingRow { key, ..pending(event) });
            rig.tell(Input::Recorded);
        }
        rig.tell(Input::Recorded);
    }
    // All of them hang. Each has its first attempt, however often the others are read for.
    for no in 1..=4 {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Active);
        rig.tell(Input::Hint(Hint::Webhook(WebhookNo(no))));
        for _ in 0..4 {
            for query in std::mem::take(&mut rig.reads) {
                let mut found = rows[&query.webhook.0].clone();
                found.retain(|row| !query.known.contains(&row.key.event));
                found.truncate(query.room.rows);
                rig.tell(loaded(query.webhook.0, found, None));
            }
        }
    }
    let attempted: Vec<i64> = rig.claims.iter().map(|claim| claim.webhook.no.0).collect();
    assert_eq!(attempted, [1, 2, 3, 4]);
}

#[test]
fn a_lane_that_fails_gives_its_rows_back_to_the_store() {
    let bounds = Bounds {
        in_flight_per_webhook: 2,
        one_by_one_after_resume: 0,
        lane: 16,
        failing_lane: 1,
        load: 16,
        ..Bounds::default()
    };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    let rows: Vec<PendingRow> = (1..=16).map(|_| rig.publish(ACCOUNT)).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.tell(loaded(1, rows, None));
    assert_eq!(rig.dispatcher.load(), (1, 15), "nobody knows yet how it does");
    rig.answer(status(200));
    assert_eq!(rig.dispatcher.load(), (2, 6));
    rig.answer(silence());
    assert_eq!(rig.dispatcher.load(), (1, 4), "half the window, half the lane");
}

#[test]
fn a_delivery_resent_while_its_record_and_a_read_cross_is_read_again() {
    for is_passed_over in [false, true] {
        let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
        let event = rig.publish(ACCOUNT);
        rig.end(status(200));
        rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
        assert!(rig.reads[0].known.contains(&event.seq), "it is not recorded yet");
        rig.tell(Input::Recorded);
        rig.log.clear();
        let row = PendingRow { attempts: 1, ..pending(event) };
        let read = match is_passed_over {
            true => PendingRead { passed_over: vec![(row.key.event, row.due_at)], ..PendingRead::default() },
            false => PendingRead { rows: vec![row], ..PendingRead::default() },
        };
        rig.tell(Input::PendingLoaded { webhook: WebhookNo(1), read });
        rig.expect(expect![[r#"
            read rows of 1
        "#]]);
    }
}

#[test]
fn a_read_names_what_is_in_memory_and_how_many_bytes_there_is_room_for() {
    let bounds = Bounds { lane: 4, failing_lane: 4, load_bytes: 7, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    (0..4).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.end(status(200));
    rig.step();
    // The first is being recorded, the fourth under way; the others wait, or are being left to the store.
    let query = rig.reads.last().expect("the newest are read");
    assert_eq!(query.known, (1..=7).map(Seq).collect());
    assert_eq!(query.room, ReadRoom { rows: 1, body_bytes: 7 });
}

#[test]
fn what_a_read_had_no_room_for_is_read_next() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    let mut rows: Vec<PendingRow> = (1..=3).map(|_| rig.publish(ACCOUNT)).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.log.clear();
    for known in 1..=3 {
        rig.tell(loaded(1, vec![rows.remove(0)], (known < 3).then_some(UnixMs(0))));
        assert_eq!(rig.dispatcher.load(), (1, known - 1));
    }
    rig.expect(expect![[r#"
        read rows of 1
        attempt wh_1#1 of event 1
        read rows of 1
    "#]]);
}

#[test]
fn a_test_goes_even_to_a_paused_webhook_and_only_once() {
    let mut rig = Rig::new(Bounds::default(), vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    rig.publish(Audience::Webhook(WebhookNo(1)));
    rig.answer(status(500));
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 failed due None
        checkpoint 1
    "#]]);
}

#[test]
fn a_test_of_a_paused_webhook_is_not_held_when_it_waits_long_for_a_slot() {
    let bounds = Bounds { in_flight: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    rig.publish(Audience::Account(AccountNo(2)));
    rig.publish(Audience::Webhook(WebhookNo(1)));
    rig.now = UnixMs(9_000);
    rig.step();
    rig.answer(status(200));
    rig.expect(expect![[r#"
        attempt wh_2#1 of event 1
        attempt wh_1#1 of event 2
        record event 1 delivered due None
        checkpoint 1
    "#]]);
}

#[test]
fn draining_starts_nothing_and_waits_for_the_record() {
    let mut rig = Rig::new(Bounds { in_flight: 1, ..Bounds::default() }, vec![webhook(1, 1)]);
    rig.publish(ACCOUNT);
    rig.publish(ACCOUNT);
    rig.dispatcher.drain();
    assert!(!rig.dispatcher.is_drained());
    rig.answer(status(200));
    assert!(rig.dispatcher.is_drained());
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 1
        record event 1 delivered due None
        checkpoint 1
    "#]]);
}

#[test]
fn attempts_to_a_webhook_are_spaced_as_the_contract_says() {
    let rate = AttemptRate { attempts: 2, window: Duration::from_secs(1) };
    let paced = DeliveryPolicy { rate: Some(rate), ..policy() };
    let mut rig = Rig::under(paced, Bounds::default(), vec![webhook(1, 1), webhook(2, 2)]);
    rig.now = UnixMs(1_000);
    for account in [1, 1, 1, 2] {
        rig.publish(Audience::Account(AccountNo(account)));
    }
    assert_eq!(rig.under_way(), BTreeMap::from([(1, 1), (2, 1)]), "others do not wait");
    let mut started_at = Vec::new();
    while started_at.len() < 4 {
        while !rig.claims.is_empty() {
            started_at.push(rig.now.0);
            rig.answer(status(200));
        }
        rig.now = rig.dispatcher.step(rig.now).next_due.expect("somebody waits");
        rig.step();
    }
    assert_eq!(started_at, [1_000, 1_000, 1_500, 2_000]);
}

/// A webhook that is sent one at a time, and had so many deliveries when the process started. All of them were read.
fn with_backlog(bounds: Bounds, backlog: i64) -> Rig {
    let mut rig = Rig::new(Bounds { in_flight_per_webhook: 1, ..bounds }, vec![webhook(1, 1)]);
    rig.change(|webhook| webhook.state = WebhookState::Paused);
    let rows: Vec<PendingRow> = (0..backlog).map(|_| rig.publish(ACCOUNT)).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.change(|webhook| webhook.state = WebhookState::Active);
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    rig.tell(loaded(1, rows, Some(UnixMs(0))));
    rig.log.clear();
    rig
}

impl Rig {
    /// Which events go out next, each when the one before has succeeded.
    fn next_events(&mut self, count: usize) -> Vec<i64> {
        let next = |rig: &mut Self| {
            let event = rig.claims.first().map_or(0, |claim| claim.key.event.0);
            rig.answer(status(200));
            event
        };
        (0..count).map(|_| next(self)).collect()
    }
}

#[test]
fn fresh_deliveries_and_the_backlog_of_a_webhook_take_turns() {
    let mut rig = with_backlog(Bounds::default(), 5);
    for _ in 0..3 {
        rig.publish(ACCOUNT);
    }
    assert_eq!(rig.next_events(8), [1, 6, 2, 7, 3, 8, 4, 5]);
}

#[test]
fn a_backlog_takes_no_memory_from_fresh_deliveries() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    rig.publish(ACCOUNT);
    rig.publish(ACCOUNT);
    rig.expect(expect![[""]]);
    rig.publish(ACCOUNT);
    rig.expect(expect![[r#"
        leave event 6 to the store
    "#]]);
}

#[test]
fn fresh_deliveries_without_room_are_read_back_before_the_backlog_is_through() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    let fresh: Vec<Arc<Event>> = (0..4).map(|_| rig.publish(ACCOUNT)).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.log.clear();
    rig.next_events(3);
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 4
        record event 1 delivered due None
        read newest rows of 1
        attempt wh_1#1 of event 2
        record event 4 delivered due None
        checkpoint 4
        attempt wh_1#1 of event 5
        record event 2 delivered due None
    "#]]);
    let newest = fresh.iter().skip(2).rev().cloned().map(pending).collect();
    rig.tell(loaded(1, newest, None));
    rig.next_events(4);
    rig.expect(expect![[r#"
        read rows of 1
        attempt wh_1#1 of event 3
        record event 5 delivered due None
        checkpoint 7
        attempt wh_1#1 of event 6
        record event 3 delivered due None
        attempt wh_1#1 of event 7
        record event 6 delivered due None
        record event 7 delivered due None
    "#]]);
}

#[test]
fn what_is_older_takes_no_place_of_fresh_deliveries_that_are_being_written() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    let fresh: Vec<Arc<Event>> = (0..4).map(|_| rig.publish(ACCOUNT)).collect();
    rig.next_events(1);
    assert!(rig.reads.last().is_some_and(|query| query.newest), "the newest are read");
    // The last ones are not durable yet: the newest rows that there are belong to the backlog.
    let older = (0..10).map(|age| Arc::new(Event { seq: Seq(-age), ..Event::clone(&fresh[0]) }));
    let older = older.map(|event| PendingRow { due_at: UnixMs(-1), ..pending(event) });
    rig.tell(loaded(1, older.collect(), None));
    assert_eq!(rig.next_events(4), [4, 2, 5, 3]);
    assert!(rig.claims.is_empty(), "what is older waits for a read of the oldest");
}

#[test]
fn fresh_deliveries_are_not_forgotten_where_they_are_recorded_during_a_read() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    (0..4).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.end(status(200));
    rig.step();
    let passes_over = |query: &PendingQuery| query.newest && query.known.contains(&Seq(7));
    assert!(rig.reads.last().is_some_and(passes_over), "{:?}", rig.reads);
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.reads.clear();
    rig.tell(loaded(1, Vec::new(), None));
    assert!(rig.reads.iter().any(|query| query.newest), "{}", rig.log);
}

#[test]
fn a_read_of_the_newest_ends_with_what_is_older_and_not_where_it_was_full() {
    let table = [(false, Some(0), true), (false, None, false), (true, None, false), (true, Some(-2), false)];
    for (meets_older, next, is_read_again) in table {
        let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
        let mut rig = with_backlog(bounds, 3);
        let fresh: Vec<Arc<Event>> = (0..4).map(|_| rig.publish(ACCOUNT)).collect();
        rig.tell(Input::Recorded);
        rig.tell(Input::Recorded);
        rig.next_events(1);
        assert!(rig.reads.last().is_some_and(|query| query.newest), "{:?}", rig.reads);
        let older = Arc::new(Event { seq: Seq(-1), ..Event::clone(&fresh[0]) });
        let older = PendingRow { due_at: UnixMs(-1), ..pending(older) };
        rig.reads.clear();
        rig.tell(loaded(1, Vec::from_iter(meets_older.then_some(older)), next.map(UnixMs)));
        // The oldest are read in turn with the newest.
        for answered in 0..3 {
            rig.next_events(1);
            if rig.reads.len() > answered {
                rig.tell(loaded(1, Vec::new(), Some(UnixMs(0))));
            }
        }
        let again = rig.reads.iter().any(|query| query.newest);
        assert_eq!(again, is_read_again, "{meets_older} {next:?}: {}", rig.log);
    }
}

#[test]
fn fresh_deliveries_stay_fresh_where_their_webhook_is_changed() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    let fresh: Vec<Arc<Event>> = (0..4).map(|_| rig.publish(ACCOUNT)).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.next_events(3);
    rig.tell(loaded(1, fresh.iter().skip(2).rev().cloned().map(pending).collect(), None));
    rig.tell(loaded(1, Vec::new(), Some(UnixMs(0))));
    rig.tell(loaded(1, Vec::new(), None));
    rig.reads.clear();
    rig.change(|webhook| webhook.updated_at = UnixMs(9));
    rig.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    for _ in 0..2 {
        rig.tell(loaded(1, Vec::new(), Some(UnixMs(0))));
    }
    assert!(rig.reads.iter().any(|query| query.newest), "{} {:?}", rig.log, rig.reads);
}

#[test]
fn fresh_deliveries_are_not_forgotten_where_a_read_finds_only_what_was_recorded_meanwhile() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    (0..4).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.next_events(1);
    assert!(rig.reads.last().is_some_and(|query| query.newest && query.room.rows == 1), "{:?}", rig.reads);
    // The first of these has a place in memory, and the read finds the last alone.
    let latest: Vec<PendingRow> = (0..3).map(|_| rig.publish(ACCOUNT)).skip(2).map(pending).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    rig.reads.clear();
    rig.tell(loaded(1, latest, None));
    // The oldest are read in turn with the newest.
    for _ in 0..2 {
        rig.next_events(2);
        rig.tell(loaded(1, Vec::new(), Some(UnixMs(0))));
    }
    assert!(rig.reads.iter().any(|query| query.newest), "{}", rig.log);
}

#[test]
fn of_the_newest_only_what_has_room_is_taken_up_and_the_latest_first() {
    let bounds = Bounds { lane: 8, failing_lane: 8, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 5);
    let fresh: Vec<Arc<Event>> = (0..8).map(|_| rig.publish(ACCOUNT)).collect();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    assert_eq!(rig.next_events(3), [1, 6, 2]);
    let query = rig.reads.last().expect("the newest are read where half of the fresh ones are gone");
    assert!(query.newest && query.room.rows == 2, "{query:?}");
    // Two that are published meanwhile leave room to one.
    assert_eq!([rig.publish(ACCOUNT).seq, rig.publish(ACCOUNT).seq], [Seq(14), Seq(15)]);
    rig.reads.clear();
    rig.tell(loaded(1, fresh.iter().skip(6).rev().cloned().map(pending).collect(), Some(UnixMs(0))));
    assert_eq!(rig.next_events(8), [7, 3, 8, 4, 9, 5, 14, 15]);
    assert_eq!(rig.next_events(1), [13]);
    // The oldest are read in turn with the newest.
    rig.tell(loaded(1, Vec::new(), Some(UnixMs(0))));
    assert!(rig.reads.iter().any(|query| query.newest), "the others are read again: {:?}", rig.reads);
}

#[test]
fn a_read_that_finds_nothing_new_is_not_repeated_before_the_record_it_waits_for() {
    let bounds = Bounds { lane: 4, failing_lane: 4, ..Bounds::default() };
    let mut rig = with_backlog(bounds, 3);
    (0..4).for_each(|_| _ = rig.publish(ACCOUNT));
    rig.log.clear();
    rig.end(status(200));
    rig.step();
    rig.expect(expect![[r#"
        attempt wh_1#1 of event 4
        read newest rows of 1
    "#]]);
    rig.tell(loaded(1, Vec::new(), None));
    rig.expect(expect![[r#""#]]);
    rig.tell(Input::Recorded);
    rig.expect(expect![[r#"
        read newest rows of 1
        record event 1 delivered due None
        leave event 7 to the store
    "#]]);
}

#[test]
fn a_long_row_of_broadcasts_to_paused_webhooks_holds_up_no_attempt() {
    let bounds = Bounds { record: 8, fan_out: 2, in_flight_per_webhook: 1, ..Bounds::default() };
    let mut rig = Rig::new(bounds, (1..=40).map(|no| webhook(no, no)).collect());
    (2..=40).for_each(|no| rig.change_one(no, |webhook| webhook.state = WebhookState::Paused));
    (0..6).for_each(|_| _ = rig.publish(ACCOUNT));
    (0..20).for_each(|_| _ = rig.publish(Audience::Broadcast));
    // Attempts start before the record under way is durable, and after each one.
    rig.end(status(200));
    assert_eq!(rig.next_events(2), [2, 3]);
    rig.now = rig.now.plus(bounds.unwritten_for);
    rig.log.clear();
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    assert!(rig.log.contains("leave event 6 to the store"), "what waited for long is written:\n{}", rig.log);
    for _ in 0..1_000 {
        rig.tell(Input::Recorded);
    }
    let broadcast = rig.log.matches("leave event 26 to the store").count();
    assert_eq!(broadcast, 39, "the last broadcast has its rows");
}

#[test]
fn fresh_deliveries_do_not_wait_where_backlogs_have_no_slot() {
    let bounds = Bounds { in_flight: 2, one_by_one_after_resume: 0, ..Bounds::default() };
    let mut rig = Rig::new(bounds, vec![webhook(1, 1), webhook(2, 2)]);
    let held = [1, 2].map(|no| {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Paused);
        let event = rig.publish(Audience::Account(AccountNo(no)));
        (no, PendingRow { key: DeliveryKey { event: event.seq, webhook: WebhookNo(no) }, ..pending(event) })
    });
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    for (no, row) in held {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Active);
        rig.tell(Input::Hint(Hint::Webhook(WebhookNo(no))));
        rig.tell(loaded(no, vec![row], None));
    }
    for _ in 0..3 {
        assert_eq!(rig.under_way(), BTreeMap::from([(1, 1)]), "the one slot for backlogs");
        rig.publish(Audience::Account(AccountNo(2)));
        assert_eq!(rig.under_way(), BTreeMap::from([(1, 1), (2, 1)]));
        rig.claims.rotate_left(1);
        rig.answer(status(200));
    }
}

#[test]
fn what_has_an_ordering_key_waits_in_the_store_and_goes_one_by_one() {
    let mut rig = Rig::new(Bounds { in_flight_per_webhook: 8, ..Bounds::default() }, vec![webhook(1, 1)]);
    let events = [rig.publish_ordered("a"), rig.publish_ordered("a"), rig.publish_ordered("a")];
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    let load = |rig: &mut Rig, at: usize| {
        let rows = vec![pending(events[at].clone())];
        rig.tell(loaded(1, rows, None));
    };
    load(&mut rig, 0);
    rig.answer(status(200));
    load(&mut rig, 1);
    rig.tell(Input::HeadsLoaded(vec![(WebhookNo(1), UnixMs(0))]));
    rig.expect(expect![[r#"
        leave event 1 to the store
        checkpoint 1
        read rows of 1
        leave event 2 to the store
        leave event 3 to the store
        checkpoint 3
        read rows of 1
        attempt wh_1#1 of event 1
        record event 1 delivered due None
        read rows of 1
        attempt wh_1#1 of event 2
    "#]]);
    // Somebody cancelled the second while it was under way, and the third is due: it is not started beside it.
    load(&mut rig, 2);
    rig.expect(expect![[r#"
        read rows of 1
    "#]]);
    rig.answer(status(200));
    load(&mut rig, 2);
    rig.expect(expect![[r#"
        record event 2 delivered due None
        read rows of 1
        attempt wh_1#1 of event 3
    "#]]);
}

impl Rig {
    /// Something changes the webhook and the dispatcher hears of it.
    fn switch(&mut self, state: WebhookState) {
        self.change(|webhook| webhook.state = state);
        self.tell(Input::Hint(Hint::Webhook(WebhookNo(1))));
    }

    /// What is under way ends well, and so does what follows.
    fn events_to_the_end(&mut self) -> Vec<i64> {
        let mut events = Vec::new();
        while let Some(claim) = self.claims.first() {
            events.push(claim.key.event.0);
            self.answer(status(200));
        }
        events
    }
}

#[test]
fn what_was_canceled_while_a_webhook_was_off_and_an_attempt_hung_is_not_sent() {
    let mut rig = with_backlog(Bounds::default(), 3);
    rig.tell(loaded(1, Vec::new(), None));
    let fresh = rig.publish(ACCOUNT);
    rig.switch(WebhookState::Disabled);
    rig.switch(WebhookState::Active);
    rig.expect(expect![[r#"
        read rows of 1
    "#]]);
    assert_eq!(rig.dispatcher.load(), (1, 1), "what has no row is owed, and nobody canceled it");
    // Of the second and the third, the store canceled the second.
    assert_eq!(rig.reads.last().map(|query| &query.known), Some(&[Seq(1), fresh.seq].into()));
    let third = Event { seq: Seq(3), ..(*fresh).clone() };
    rig.tell(loaded(1, vec![pending(Arc::new(third))], None));
    assert_eq!(rig.events_to_the_end(), [1, 4, 3]);
}

#[test]
fn rows_read_before_a_webhook_was_off_are_read_again() {
    for hears_of_both in [true, false] {
        let mut rig = with_backlog(Bounds::default(), 1);
        let event = rig.publish(ACCOUNT);
        // A read is under way.
        if hears_of_both {
            rig.switch(WebhookState::Disabled);
        }
        rig.change(|webhook| webhook.updated_at = UnixMs(7));
        rig.switch(WebhookState::Active);
        rig.log.clear();
        let canceled = Event { seq: Seq(9), ..(*event).clone() };
        rig.tell(loaded(1, vec![pending(Arc::new(canceled))], None));
        rig.expect(expect![[r#"
            read rows of 1
        "#]]);
        rig.tell(loaded(1, Vec::new(), None));
        assert_eq!(rig.events_to_the_end(), [1, 2]);
    }
}

#[test]
fn heavy_rows_of_many_webhooks_that_hang_wait_in_the_store_and_light_ones_do_not() {
    // Two bodies of two bytes have room, and one more of a webhook that does well.
    let bounds = Bounds { in_flight_failing: 1, waiting_bytes: 8, ..heavy() };
    let mut rig = Rig::new(bounds, (1..=6).map(|no| webhook(no, no)).collect());
    let rows = [(1, "{}"), (2, "{}"), (3, "{}"), (4, "{}"), (5, "{}"), (6, "1")].map(|(no, body)| {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Paused);
        let event = rig.publish_bytes(Audience::Account(AccountNo(no)), body.as_bytes());
        (no, PendingRow { key: DeliveryKey { event: event.seq, webhook: WebhookNo(no) }, ..pending(event) })
    });
    rig.tell(Input::Recorded);
    rig.tell(Input::Recorded);
    for (no, row) in rows.clone() {
        rig.change_one(no, |webhook| webhook.state = WebhookState::Active);
        rig.tell(Input::Hint(Hint::Webhook(WebhookNo(no))));
        rig.tell(loaded(no, vec![row], None));
    }
    assert_eq!(
        rig.dispatcher.load(),
        (1, 3),
        "of the heavy ones the fourth and the fifth stay where they are"
    );
    assert!(!rig.dispatcher.is_idle());
    rig.reads.clear();
    let (mut read_for, mut attempted) = (Vec::new(), Vec::new());
    while let Some(claim) = rig.claims.first() {
        attempted.push(claim.key.event.0);
        rig.answer(silence());
        for query in std::mem::take(&mut rig.reads) {
            read_for.push(query.webhook.0);
            let row = rows.iter().find(|(no, _)| *no == query.webhook.0).map(|(_, row)| row.clone());
            rig.tell(loaded(query.webhook.0, row.into_iter().collect(), None));
        }
    }
    attempted.sort_unstable();
    assert_eq!(attempted, [1, 2, 3, 4, 5, 6]);
    assert_eq!(read_for, [4, 5, 5], "room for one is asked for by both");
}
