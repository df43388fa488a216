//! Bounds of the engine, small, so that overflow is the rule.

use std::time::Duration;

use posthaste_engine::bounds::Bounds;

use crate::dice::SeededDice;

/// Other bounds for every world; some have room for everything.
pub fn bounds(dice: &SeededDice) -> Bounds {
    Bounds {
        in_flight: dice.between(1, 32) as usize,
        in_flight_failing: dice.between(1, 4) as usize,
        in_flight_per_webhook: dice.between(1, 8) as usize,
        lane: dice.between(2, 16) as usize,
        failing_lane: dice.between(1, 4) as usize,
        waiting: dice.between(4, 64) as usize,
        waiting_bytes: *dice.pick(&[1_000, 64_000]),
        fresh_events: *dice.pick(&[0, 4, 64]),
        fresh_bytes: *dice.pick(&[100, 64_000]),
        fan_out: dice.between(1, 8) as usize,
        record: dice.between(4, 64) as usize,
        slow_after: Duration::from_millis(*dice.pick(&[100, 1_000])),
        in_flight_slow: dice.between(0, 4) as usize,
        load: dice.between(1, 8) as usize,
        load_bytes: *dice.pick(&[0, 200, 64_000]),
        load_events: dice.between(1, 16) as usize,
        loads_in_flight: dice.between(1, 4) as usize,
        in_flight_bytes: *dice.pick(&[200, 64_000]),
        in_flight_failing_bytes: *dice.pick(&[100, 64_000]),
        in_flight_slow_bytes: *dice.pick(&[0, 200, 64_000]),
        light_body_bytes: *dice.pick(&[0, 64, 4_096]),
        in_flight_bytes_per_webhook: *dice.pick(&[100, 64_000]),
        accounts_sharing: dice.between(1, 4) as usize,
        one_by_one_after_resume: *dice.pick(&[0, 3, 100]),
        ..Bounds::default()
    }
}
