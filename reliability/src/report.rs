//! What a run found, as a table and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::figures::{Bound, Figure, Figures};

/// What stands where there is no value.
const NOT_MEASURED: &str = "not measured";

/// A part that was run.
pub struct Ran {
    /// Its name.
    pub part: &'static str,
    /// What it tried.
    pub says: &'static str,
    /// The seed it decided by.
    pub seed: u64,
    /// How much it did.
    pub effort: f64,
    /// The bug that the program had.
    pub bug: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// What should not have happened.
    pub objections: Vec<String>,
    /// What could not be tried on this machine.
    pub skipped: Vec<String>,
}

impl Ran {
    /// In a line, with what should not have happened below it and how to see it again.
    pub fn line(&self) -> String {
        let mut line = format!("{} (seed {}): {:.1} s", self.part, self.seed, self.took.as_secs_f64());
        for objection in &self.objections {
            let _ = write!(line, "\n  FAILED: {objection}");
        }
        if !self.objections.is_empty() {
            let _ = write!(line, "\n  repeat with: {}", self.again());
        }
        line
    }

    /// The command that runs the same again.
    fn again(&self) -> String {
        let mut again = format!("cargo xtask reliability {} --seed {}", self.part, self.seed);
        if self.effort != 1.0 {
            let _ = write!(again, " --effort {}", self.effort);
        }
        if let Some(bug) = &self.bug {
            let _ = write!(again, " --bug {bug}");
        }
        again
    }
}

/// All that a run found.
pub struct Report {
    rows: Vec<(Figure, Option<f64>)>,
    ran: Vec<Ran>,
    took: Duration,
    rounds: u64,
}

impl Report {
    /// Puts together what a run found.
    pub fn of(all: &[Figure], figures: &Figures, ran: Vec<Ran>, took: Duration, rounds: u64) -> Self {
        let rows = all.iter().map(|figure| (*figure, figures.value(figure.id))).collect();
        Self { rows, ran, took, rounds }
    }

    /// Did all parts come to their end, and does every figure that there is keep to its bound?
    pub fn is_good(&self) -> bool {
        let is_kept =
            |(figure, value): &(Figure, Option<f64>)| value.is_none_or(|value| figure.bound.is_met(value));
        self.rows.iter().all(is_kept) && self.ran.iter().all(|ran| ran.objections.is_empty())
    }

    /// As a Markdown table.
    pub fn table(&self) -> String {
        let mut table = String::from("| what | figure | must be |\n|---|---:|---|\n");
        for (figure, value) in &self.rows {
            let (value, bound) = (shown_value(figure, *value), shown_bound(figure));
            let _ = writeln!(table, "| {} | {value} | {bound} |", figure.says);
        }
        table
    }

    /// Each part with what it tries and how long it took at most, in seconds.
    fn parts(&self) -> Vec<Value> {
        let mut parts: Vec<(&str, &str, Duration)> = Vec::new();
        for ran in &self.ran {
            match parts.iter_mut().find(|(part, ..)| *part == ran.part) {
                Some((_, _, longest)) => *longest = ran.took.max(*longest),
                None => parts.push((ran.part, ran.says, ran.took)),
            }
        }
        let part = |(part, says, longest): (_, _, Duration)| json!({"part": part, "says": says, "seconds": longest.as_secs()});
        parts.into_iter().map(part).collect()
    }

    /// As JSON.
    pub fn json(&self) -> anyhow::Result<String> {
        let figures: Vec<Value> =
            self.rows.iter().map(|(figure, value)| figure_json(figure, *value)).collect();
        let objections: Vec<Value> = self
            .ran
            .iter()
            .flat_map(|ran| {
                ran.objections.iter().map(|what| json!({"part": ran.part, "seed": ran.seed, "what": what}))
            })
            .collect();
        let report = json!({
            "commit": output_of("git", &["rev-parse", "HEAD"]),
            "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            "machine": machine(),
            "seconds": self.took.as_secs(),
            "rounds": self.rounds,
            "is_good": self.is_good(),
            "parts": self.parts(),
            "figures": figures,
            "objections": objections,
            "skipped": self.ran.iter().flat_map(|ran| &ran.skipped).collect::<BTreeSet<_>>(),
        });
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }
}

fn figure_json(figure: &Figure, value: Option<f64>) -> Value {
    let bound = match figure.bound {
        Bound::None => Value::Null,
        Bound::AtMost(most) => json!({"at_most": most}),
        Bound::AtLeast(least) => json!({"at_least": least}),
    };
    let is_met = value.is_none_or(|value| figure.bound.is_met(value));
    let value = value.map_or_else(|| json!(NOT_MEASURED), |value| json!(value));
    json!({
        "id": figure.id,
        "says": figure.says,
        "unit": figure.unit,
        "value": value,
        "bound": bound,
        "is_met": is_met,
    })
}

fn shown_value(figure: &Figure, value: Option<f64>) -> String {
    let Some(value) = value else { return NOT_MEASURED.to_owned() };
    with_unit(value, figure.unit) + if figure.bound.is_met(value) { "" } else { " **missed**" }
}

fn shown_bound(figure: &Figure) -> String {
    match figure.bound {
        Bound::None => String::new(),
        Bound::AtMost(0.0) => "0".to_owned(),
        Bound::AtMost(most) => format!("at most {}", with_unit(most, figure.unit)),
        Bound::AtLeast(least) => format!("at least {}", with_unit(least, figure.unit)),
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if unit.is_empty() { digits } else { format!("{digits} {unit}") }
}

fn machine() -> Value {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({"processors": processors, "memory_kib": memory_kib(), "kernel": release})
}

fn memory_kib() -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").parse().ok())
}

fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
