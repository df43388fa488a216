//! A thousand worlds, in quarters that run side by side; and fifty of them twice.

use posthaste_sim::run;

/// Seeds that once found a fault. They stay for ever.
const FOUND: &[u64] = &[];

fn worlds(seeds: impl Iterator<Item = u64>) {
    let (mut events, mut attempts, mut crashes, mut broken) = (0, 0, 0, Vec::new());
    for seed in seeds {
        let report = run(seed);
        events += report.events;
        attempts += report.attempts;
        crashes += report.crashes;
        for violation in report.violations {
            broken
                .push(format!("seed {seed}: {violation}; repeat with: cargo run -p posthaste-sim -- {seed}"));
        }
    }
    println!("{events} events, {attempts} attempts, {crashes} crashes");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(events == 0 || attempts > 0, "worlds in which nothing happens prove nothing");
}

#[test]
fn first_quarter() {
    worlds(0..250);
}

#[test]
fn second_quarter() {
    worlds(250..500);
}

#[test]
fn third_quarter() {
    worlds(500..750);
}

#[test]
fn fourth_quarter() {
    worlds(750..1_000);
}

#[test]
fn seeds_that_found_something() {
    worlds(FOUND.iter().copied());
}

#[test]
fn a_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..50 {
        let (first, second) = (run(seed), run(seed));
        assert!(first.trace.lines().count() > 3, "seed {seed} has no story");
        if first.trace != second.trace {
            let differs = first.trace.lines().zip(second.trace.lines()).position(|(one, other)| one != other);
            panic!("seed {seed} differs from line {differs:?} on");
        }
    }
}
