//! A thousand worlds, in quarters that run side by side; and fifty of them twice. More of them run in `reliability`.

use posthaste_sim::{Wishes, run, run_many};

/// Seeds that once found a fault. They stay for ever.
const FOUND: &[u64] = &[16, 74, 425, 7246, 40_071_648, 49_990_031, 60_070_020, 70_008_857];

const TRACED: Wishes = Wishes { is_traced: true, sets_clocks: false, stops: false };

fn worlds(seeds: std::ops::Range<u64>) {
    let totals = run_many(seeds, 1, Wishes::default());
    println!("counted | simulation | worlds | {}", totals.worlds);
    println!("counted | simulation | attempts in them | {}", totals.attempts);
    println!("counted | simulation | faults in them | {}", totals.faults.total());
    let failures: Vec<String> = totals.failures().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let missing: Vec<&str> = totals.missing().collect();
    assert!(missing.is_empty(), "there are no {missing:?}: that proves nothing");
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
    for seed in FOUND {
        let violations = run(*seed, Wishes::default()).violations;
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
    }
}

#[test]
fn a_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..50 {
        let first = run(seed, TRACED);
        // A thread of its own has a store of its own, in which no world was before.
        let second = std::thread::spawn(move || run(seed, TRACED)).join().unwrap();
        assert!(first.trace.lines().count() > 3, "seed {seed} has no story");
        if first.trace != second.trace {
            let differs = first.trace.lines().zip(second.trace.lines()).position(|(one, other)| one != other);
            panic!("seed {seed} differs from line {differs:?} on");
        }
    }
}
