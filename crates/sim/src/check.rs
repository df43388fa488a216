//! What must hold when a world has come to rest, whatever happened.

use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{DeliveryKey, DeliveryState, Seq, WebhookNo, WebhookState};

use crate::world::World;

/// Looks at the world when it has come to rest.
pub fn check(world: &mut World) {
    let acknowledged = world.witness.acknowledged.clone();
    for (seq, owed) in acknowledged {
        if !matches!(world.store.event(seq), Ok(Some(_))) && !may_be_expired(world, seq) {
            world.witness.object(&format!("{seq:?} was acknowledged and is not stored"));
        }
        for no in owed {
            check_owed(world, DeliveryKey { event: seq, webhook: no });
        }
    }
    for no in world.webhooks.clone() {
        check_health(world, no);
    }
}

/// Every delivery that was owed has ended, and delivered ones have been received.
fn check_owed(world: &mut World, key: DeliveryKey) {
    let row = world.store.delivery(key).expect("the store answers");
    let Some((delivery, _, attempts)) = row else {
        let is_dropped = world.witness.deleted.contains(&key.webhook)
            && world.script.policy.on_delete == QueuedOnDelete::Drop;
        let is_forgotten = world.witness.ended.contains_key(&key) && may_be_expired(world, key.event);
        if !is_dropped && !is_forgotten && !world.witness.changed.contains(&key.webhook) {
            world.witness.object(&format!("{key:?} was owed and is unaccounted for"));
        }
        return;
    };
    if delivery.state == DeliveryState::Pending {
        world.witness.object(&format!("{key:?} is still pending"));
    }
    if delivery.state == DeliveryState::Delivered && world.seen.count(key) == 0 {
        world.witness.object(&format!("{key:?} is called delivered and was never received"));
    }
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    if numbers != (1..=delivery.attempts).collect::<Vec<_>>() {
        world.witness.object(&format!("{key:?} has attempts {numbers:?} and counts {}", delivery.attempts));
    }
    let lost = world.witness.lost_attempts.get(&key).copied().unwrap_or(0);
    if world.seen.count(key) > delivery.attempts + lost + unrecorded(world, key, delivery.attempts) {
        world.witness.object(&format!("{key:?} was received more often than it was sent"));
    }
}

/// Is the event older than what housekeeping keeps?
fn may_be_expired(world: &World, seq: Seq) -> bool {
    world.script.retention.is_some_and(|kept| seq < Seq::first_of(world.now.minus(kept)))
}

/// Attempts that ended and were lost in a crash before they were recorded: at most one for each crash.
fn unrecorded(world: &World, key: DeliveryKey, recorded: u32) -> u32 {
    let started = world.witness.started.get(&key).copied().unwrap_or(0);
    world.script.crashes.unsigned_abs() as u32 + started.saturating_sub(recorded)
}

/// The running record equals the one recomputed, and only exhausted webhooks are off.
fn check_health(world: &mut World, no: WebhookNo) {
    let Some(webhook) = world.store.roster().get(no) else { return };
    if world.witness.meddled.contains_key(&no) {
        return;
    }
    let expected = world.witness.health.get(&no).copied().unwrap_or_default();
    let stored = world.store.webhook(webhook.account, None, &webhook.id).expect("the store answers");
    let stored = stored.map(|webhook| webhook.health);
    if stored != Some(expected) {
        world.witness.object(&format!("{no:?} has {stored:?}, recomputed {expected:?}"));
    }
    let is_off = webhook.state == WebhookState::Disabled;
    if is_off && world.witness.policy.disable.after.is_none() && !world.witness.policy.gone_disables {
        world.witness.object(&format!("{no:?} was switched off against the contract"));
    }
}
