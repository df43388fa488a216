//! Runs worlds: `posthaste-sim SEED` prints one world's story, `posthaste-sim FIRST..LAST` runs many and counts.

use std::process::ExitCode;

use posthaste_sim::{Totals, Wishes, run, run_many};

const USAGE: &str = "usage: posthaste-sim SEED | FIRST..LAST [--jobs N] [--stop], with --clocks to set the wall clock in every world";

enum Wish {
    One(u64),
    Many(std::ops::Range<u64>, usize),
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let wishes = Wishes {
        is_traced: false,
        sets_clocks: take(&mut arguments, "--clocks"),
        stops: take(&mut arguments, "--stop"),
    };
    match wish(&arguments) {
        Some(Wish::One(seed)) => tell(seed, wishes),
        Some(Wish::Many(seeds, jobs)) => count(&run_many(seeds, jobs, wishes)),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Is this among the arguments? Then it is taken out.
fn take(arguments: &mut Vec<String>, flag: &str) -> bool {
    let given = arguments.len();
    arguments.retain(|argument| argument != flag);
    arguments.len() < given
}

fn wish(arguments: &[String]) -> Option<Wish> {
    let (seeds, jobs) = match arguments {
        [seeds] => (seeds, 1),
        [seeds, flag, jobs] if flag == "--jobs" => (seeds, jobs.parse().ok()?),
        _ => return None,
    };
    if let Ok(seed) = seeds.parse() {
        return Some(Wish::One(seed));
    }
    let (first, last) = seeds.split_once("..")?;
    Some(Wish::Many(first.parse().ok()?..last.parse().ok()?, jobs))
}

fn tell(seed: u64, wishes: Wishes) -> ExitCode {
    let report = run(seed, Wishes { is_traced: true, ..wishes });
    print!("{}", report.trace);
    report.violations.iter().for_each(|violation| println!("VIOLATION {violation}"));
    exit_code(report.violations.is_empty())
}

fn count(totals: &Totals) -> ExitCode {
    totals.failures().for_each(|line| println!("{line}"));
    totals.missing().for_each(|what| println!("there are no {what}: that proves nothing"));
    println!(
        "{} worlds: {} events, {} attempts, {} repeated after an end of the process, {} ends of processes, {} simulated hours; {} failed",
        totals.worlds,
        totals.events,
        totals.attempts,
        totals.repeated,
        totals.processes_ended,
        totals.hours(),
        totals.failed.len()
    );
    println!("{} faults:", totals.faults.total());
    totals.faults.kinds().for_each(|(kind, count)| println!("  {count:>9} {kind}"));
    exit_code(totals.failed.is_empty() && totals.missing().next().is_none())
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
