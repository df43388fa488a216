//! Runs worlds: `posthaste-sim SEED` prints one world's trace, `posthaste-sim FIRST..LAST` runs many and counts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        eprintln!("usage: posthaste-sim SEED | FIRST..LAST");
        return ExitCode::from(2);
    };
    if let Ok(seed) = wanted.parse() {
        let report = posthaste_sim::run(seed);
        print!("{}", report.trace);
        report.violations.iter().for_each(|violation| println!("VIOLATION {violation}"));
        return if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let range =
        wanted.split_once("..").and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let Some((first, last)) = range else {
        eprintln!("neither a seed nor a range: {wanted}");
        return ExitCode::from(2);
    };
    run_many(first, last)
}

fn run_many(first: u64, last: u64) -> ExitCode {
    let (mut events, mut attempts, mut crashes, mut seconds, mut failed) = (0, 0, 0, 0, 0);
    for seed in first..last {
        let report = posthaste_sim::run(seed);
        events += report.events;
        attempts += report.attempts;
        crashes += report.crashes;
        seconds += report.lasted.as_secs();
        for violation in &report.violations {
            println!("seed {seed}: {violation}");
        }
        failed += u32::from(!report.violations.is_empty());
    }
    println!(
        "{} worlds: {events} events, {attempts} attempts, {crashes} crashes, {} simulated hours; {failed} failed",
        last - first,
        seconds / 3600
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
