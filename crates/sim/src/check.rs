//! What must hold whenever a process starts, and when a world has come to rest.

use std::collections::BTreeSet;

use posthaste_core::{DeliveryKey, DeliveryState, Seq, UnixMs, WebhookNo};

use crate::witness::{Owed, Stand};
use crate::words;
use crate::world::World;

/// What a process that starts must find: each obligation has a row, or is above the checkpoint and will get one.
#[expect(clippy::expect_used, reason = "reading a store in memory works, or the store is broken")]
pub fn check_recovery(world: &mut World) {
    let checkpoint = world.store.checkpoint().expect("the store answers");
    let (mut event, mut written) = (Seq(-1), BTreeSet::new());
    let mut missing = Vec::new();
    for (key, owed) in world.witness.owed.all() {
        if key.event != event {
            event = key.event;
            written = world.store.written(event).expect("the store answers").into_iter().collect();
        }
        let has_row = written.contains(&key.webhook);
        if !has_row && key.event <= checkpoint && !is_excused(world, key, owed) {
            missing.push(key);
        }
        if has_row != owed.is_written && !is_excused(world, key, owed) {
            missing.push(key);
        }
    }
    for key in missing {
        world.witness.object(format!("{key:?} is owed, and the next process does not know"));
    }
    check_webhooks(world);
}

/// Looks at the world when it has come to rest.
pub fn check(world: &mut World) {
    let owed: Vec<(DeliveryKey, Owed)> =
        world.witness.owed.all().map(|(key, it)| (key, it.clone())).collect();
    check_events(world);
    for (key, owed) in &owed {
        check_owed(world, *key, owed);
    }
    check_webhooks(world);
    for no in world.witness.registry.numbers() {
        check_sum(world, no, &owed);
    }
    let load = world.engine.as_ref().map(|engine| engine.dispatcher.load());
    if load != Some((0, 0)) {
        world.witness.object(format!("at rest the engine still holds {load:?}"));
    }
}

/// What was acknowledged is stored, unless it is older than what is kept.
fn check_events(world: &mut World) {
    let acknowledged: Vec<Seq> = world
        .witness
        .owed
        .events
        .iter()
        .filter(|(_, fact)| fact.is_acknowledged)
        .map(|(seq, _)| *seq)
        .collect();
    for seq in acknowledged {
        let is_stored = matches!(world.store.event(seq), Ok(Some(_)));
        if !is_stored && seq >= Seq::first_of(world.witness.expired_before) {
            world.witness.object(format!("{seq:?} was acknowledged and is not stored"));
        }
    }
}

/// Every obligation has ended as it is recorded, and what is called delivered was received.
#[expect(clippy::expect_used, reason = "reading a store in memory works, or the store is broken")]
fn check_owed(world: &mut World, key: DeliveryKey, owed: &Owed) {
    let row = world.store.delivery(key).expect("the store answers");
    let seen = world.seen.count(key);
    if owed.started != owed.recorded + owed.lost || seen > owed.started {
        world.witness.object(format!("{key:?} arrived {seen} times: {owed:?}"));
    }
    let Some((delivery, event, attempts)) = row else {
        if !is_excused(world, key, owed) {
            world.witness.object(format!("{key:?} was owed and is unaccounted for: {owed:?}"));
        }
        return;
    };
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    if numbers != (1..=owed.recorded).collect::<Vec<_>>() || delivery.attempts != owed.recorded {
        world.witness.object(format!("{key:?} has attempts {numbers:?}: {owed:?}"));
    }
    let is_canceled_since = owed.stand == Stand::Open && delivery.state == DeliveryState::Canceled;
    if stand(delivery.state) != owed.stand && !is_canceled_since {
        world.witness.object(format!("{key:?} is {:?}: {owed:?}", delivery.state));
    }
    if delivery.state == DeliveryState::Pending {
        world.witness.object(format!("{key:?} is still pending: {delivery:?}"));
    }
    if delivery.state == DeliveryState::Canceled && !world.witness.was_off(key) {
        world.witness.object(format!("{key:?} was canceled and its webhook was never off"));
    }
    if delivery.state == DeliveryState::Delivered && seen == 0 {
        world.witness.object(format!("{key:?} is called delivered and was never received"));
    }
    if event.body != words::body(0, key.event, event.created_at) {
        world.witness.object(format!("{key:?} is stored with another body"));
    }
}

fn stand(state: DeliveryState) -> Stand {
    match state {
        DeliveryState::Pending => Stand::Open,
        DeliveryState::Delivered => Stand::Delivered,
        DeliveryState::Failed => Stand::Failed,
        DeliveryState::Canceled => Stand::Canceled,
    }
}

/// May an obligation have no row? Either nobody may rely on it, or it ended so long ago that it is forgotten.
fn is_excused(world: &World, key: DeliveryKey, owed: &Owed) -> bool {
    let expired_before = world.witness.expired_before;
    let is_place_old = key.event < Seq::first_of(expired_before);
    let is_old = owed.is_old(key, expired_before) || (is_place_old && world.witness.is_clock_wrong);
    // Housekeeping ends what waits for a webhook that is off, and keeps it for as long as what ended otherwise.
    let off_before = if world.witness.is_clock_wrong { UnixMs(i64::MAX) } else { expired_before };
    let has_ended = owed.stand != Stand::Open || world.witness.was_off_before(key, off_before);
    owed.is_uncertain || owed.is_forgotten || (is_old && has_ended)
}

/// Webhooks are as people left them, and do as they did.
#[expect(clippy::expect_used, reason = "reading a store in memory works, or the store is broken")]
fn check_webhooks(world: &mut World) {
    for no in world.witness.registry.numbers() {
        let stored = world.store.webhook_by_no(no).expect("the store answers");
        let (Some(stored), Some(known)) = (stored, world.witness.registry.get(no)) else {
            world.witness.object(format!("{no:?} is gone"));
            continue;
        };
        let is_same = stored.state == known.state
            && stored.subscription == known.subscription
            && stored.url == known.url
            && stored.deleted.is_some() == known.is_deleted
            && stored.secrets.current.expose() == words::secret(known.secret).expose();
        if !is_same {
            world.witness.object(format!("{no:?} is {:?} and not as it was left: {known:?}", stored.state));
        }
        world.witness.check_health(no, stored.health);
    }
}

/// What was accepted for a webhook is pending, delivered, failed, canceled or forgotten, and nothing is left over.
#[expect(clippy::expect_used, reason = "reading a store in memory works, or the store is broken")]
fn check_sum(world: &mut World, no: WebhookNo, owed: &[(DeliveryKey, Owed)]) {
    let theirs = owed.iter().filter(|(key, _)| key.webhook == no);
    let kept = theirs.filter(|(key, _)| world.store.delivery(*key).is_ok_and(|row| row.is_some())).count();
    let counted = world.store.delivery_count(no).expect("the store answers");
    if counted != kept as u64 {
        world.witness.object(format!("{no:?} has {kept} deliveries, and counts {counted}"));
    }
}
