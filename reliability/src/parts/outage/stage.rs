//! A server with webhooks at doors, and what fresh events take beside everything else.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::door::{Door, Knock, Webhook};
use crate::context::Context;
use crate::rig::contract::Contract;
use crate::rig::ledger::Ledger;
use crate::rig::server::{Plan, Server};

/// Fresh events have numbers from here on.
pub const FRESH: u64 = 1_000_000_000;
/// Registrations at one time.
const AT_ONE_TIME: usize = 16;

/// The program under a contract.
pub fn under(context: &Context, folder: &Path, contract: &Contract) -> anyhow::Result<Plan> {
    Plan::of(context, folder).contract(contract)
}

/// Registers webhooks with these numbers for an account, each at its own path of a door.
pub async fn register(
    server: &Server,
    account: &str,
    door: &Door,
    numbers: std::ops::Range<Webhook>,
) -> anyhow::Result<()> {
    let key = server.account(account).await?;
    let register = |number| {
        let (key, url) = (&key, door.url(number));
        async move { server.webhook(key, &url).await.map(|_| ()) }
    };
    futures_util::stream::iter(numbers).map(register).buffer_unordered(AT_ONE_TIME).try_collect().await
}

/// Publishes fresh events with these numbers for an account, one every `every`, and answers when each was begun.
pub async fn publish(
    server: &Server,
    account: &str,
    numbers: std::ops::Range<u64>,
    every: Duration,
) -> anyhow::Result<HashMap<u64, Instant>> {
    let (product, ledger) = (server.product(account)?, Ledger::default());
    let mut begun = HashMap::new();
    for number in numbers {
        begun.insert(number, Instant::now());
        ensure!(product.publish(number, &ledger).await.is_accepted(), "event {number} is refused");
        tokio::time::sleep(every).await;
    }
    Ok(begun)
}

/// How long each fresh event took until it was at each of so many webhooks, shortest first, in milliseconds. One that
/// never came counts as if it came now.
pub fn delays_ms(begun: &HashMap<u64, Instant>, knocks: &[Knock], webhooks: usize) -> Vec<f64> {
    let mut first = HashMap::new();
    for knock in knocks.iter().filter(|knock| begun.contains_key(&knock.number)) {
        first.entry((knock.number, knock.webhook)).or_insert(knock.at);
    }
    let took = |at: Instant, number| at.duration_since(begun[number]).as_secs_f64() * 1e3;
    let mut delays: Vec<f64> = first.iter().map(|((number, _), at)| took(*at, number)).collect();
    for (number, since) in begun {
        let came = first.keys().filter(|(came, _)| came == number).count();
        let missing = webhooks.saturating_sub(came);
        delays.extend(std::iter::repeat_n(since.elapsed().as_secs_f64() * 1e3, missing));
    }
    delays.sort_by(f64::total_cmp);
    delays
}

/// What 99 of 100 are not above; 0 of none.
pub fn p99(sorted: &[f64]) -> f64 {
    let place = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

/// The most in any second.
pub fn peak_per_second(knocks: &[Knock]) -> usize {
    let mut first = 0;
    let mut peak = 0;
    for (at, knock) in knocks.iter().enumerate() {
        while knock.at.duration_since(knocks[first].at) >= Duration::from_secs(1) {
            first += 1;
        }
        peak = peak.max(at - first + 1);
    }
    peak
}

/// Requests that came while more were under way to their webhook than successes allowed: one at first, twice as many
/// with each, at most 64.
pub fn too_many_at_once(knocks: &[Knock]) -> usize {
    let allowed = |taken: usize| 1_usize << taken.min(6);
    knocks.iter().filter(|knock| knock.at_one_time > allowed(knock.taken_before)).count()
}
