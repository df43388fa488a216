//! Every bound of the engine, in one place.

use std::time::Duration;

/// How much the engine takes on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Attempts under way at one time, but for those that take long.
    pub in_flight: usize,
    /// The same to webhooks whose latest attempts failed, or that have had none since the start: those that may hang
    /// leave slots to those that do not.
    pub in_flight_failing: usize,
    /// Attempts of the backlogs of all webhooks under way at one time, at the start. It grows by one with each that ends
    /// or takes long; backlogs never have more than half of the slots of either kind.
    pub backlog_at_start: usize,
    /// How long an attempt may take before others need not wait for it.
    pub slow_after: Duration,
    /// Attempts that take longer and are under way at one time; further ones are waited for.
    pub in_flight_slow: usize,
    /// Bodies up to this size are bounded by the number of attempts alone; the bytes of the others are counted, each
    /// body once however many attempts share it.
    pub light_body_bytes: usize,
    /// Bytes of heavy bodies of attempts under way to webhooks that do well. One body may exceed this and each of the
    /// next three.
    pub in_flight_bytes: usize,
    /// The same to webhooks that fail, or that have had no attempt since the start.
    pub in_flight_failing_bytes: usize,
    /// The same of attempts that take long. What does not fit stays where it was.
    pub in_flight_slow_bytes: usize,
    /// The same of one webhook, whatever the state of its attempts.
    pub in_flight_bytes_per_webhook: usize,
    /// How many accounts share each of the first three: none has more than that part of it.
    pub accounts_sharing: usize,
    /// Attempts under way at one time to one webhook.
    pub in_flight_per_webhook: usize,
    /// Attempts that go one after the other when a webhook is resumed, before the window widens.
    pub one_by_one_after_resume: usize,
    /// Deliveries waiting in memory for one webhook that does well, at most half of them of its backlog. The number
    /// shrinks with the webhook's window.
    pub lane: usize,
    /// What it never shrinks below.
    pub failing_lane: usize,
    /// Deliveries waiting in memory for all webhooks, at most half of them of backlogs.
    pub waiting: usize,
    /// Bytes of event bodies waiting in memory; a heavy one is counted once, a light one for every delivery.
    pub waiting_bytes: usize,
    /// Accepted events held in memory before they are fanned out; beyond that they are read from the store.
    pub fresh_events: usize,
    /// Bytes of their bodies.
    pub fresh_bytes: usize,
    /// Webhooks looked at in one go when an event is fanned out.
    pub fan_out: usize,
    /// Changes collected for one record; while there are more no attempt starts. At most half of them are deliveries that
    /// fan-out leaves to the store, and three quarters those and the ones that waited in memory for long, but for what
    /// one go of `fan_out` adds.
    pub record: usize,
    /// Pending rows of one webhook read from the store in one go.
    pub load: usize,
    /// Bytes of the bodies of their events. The last one read may go beyond it.
    pub load_bytes: usize,
    /// Events read from the store in one go, with bodies of `fresh_bytes` in all. The last one read may go beyond that.
    pub load_events: usize,
    /// Reads of pending rows under way at one time.
    pub loads_in_flight: usize,
    /// How long a delivery may wait in memory without a row of its own. It bounds what a restart has to look through.
    pub unwritten_for: Duration,
    /// How often the store is asked for anything that hints did not tell.
    pub look_around_every: Duration,
}

impl Bounds {
    /// What one account may have of so many bytes.
    #[must_use]
    pub fn share_of(&self, bytes: usize) -> usize {
        bytes / self.accounts_sharing.max(1)
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            in_flight: 1_024,
            in_flight_failing: 512,
            backlog_at_start: 32,
            slow_after: Duration::from_secs(1),
            in_flight_slow: 4_096,
            light_body_bytes: 4 * 1024,
            in_flight_bytes: 32 * 1024 * 1024,
            in_flight_failing_bytes: 16 * 1024 * 1024,
            in_flight_slow_bytes: 48 * 1024 * 1024,
            in_flight_bytes_per_webhook: 1024 * 1024,
            accounts_sharing: 8,
            in_flight_per_webhook: 64,
            one_by_one_after_resume: 100,
            lane: 256,
            failing_lane: 8,
            waiting: 65_536,
            waiting_bytes: 32 * 1024 * 1024,
            fresh_events: 8_192,
            fresh_bytes: 32 * 1024 * 1024,
            fan_out: 256,
            record: 4_096,
            load: 128,
            load_bytes: 1024 * 1024,
            load_events: 512,
            loads_in_flight: 16,
            unwritten_for: Duration::from_secs(5),
            look_around_every: Duration::from_secs(30),
        }
    }
}
