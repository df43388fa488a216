//! `Retry-After`: whatever it holds, the next attempt is neither before the schedule nor more than an hour away.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use posthaste_contract::Contract;
use posthaste_core::retry::{Next, RETRY_AFTER_MAX, after};
use posthaste_core::{DeliveryPolicy, Dice, Outcome, Response, UnixMs};

/// Never adds anything by chance.
struct Still;

impl Dice for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

const NOW: UnixMs = UnixMs(1_790_000_000_000);
const DELAY: Duration = Duration::from_secs(5);

static POLICY: LazyLock<DeliveryPolicy> = LazyLock::new(|| {
    let mut policy = Contract::builtin("standard").expect("it is built in").policy;
    policy.retry.delays = vec![DELAY];
    policy.retry.jitter = 0.0;
    policy.retry.honours_retry_after = true;
    policy
});

fuzz_target!(|input: (bool, Vec<&[u8]>)| {
    let (is_busy, values) = input;
    let headers = values.iter().map(|value| ("retry-after".to_owned(), value.to_vec())).collect();
    let status = if is_busy { 503 } else { 429 };
    let outcome = Outcome::Answered(Response { status, headers, ..Response::default() });
    let Next::RetryAt(at) = after(1, &outcome, NOW, &POLICY, &Still) else {
        panic!("there is another attempt")
    };
    assert!((DELAY..=RETRY_AFTER_MAX).contains(&at.since(NOW)));
});
