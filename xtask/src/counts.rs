//! What the tests counted while they ran.
//!
//! A test that goes through a table prints `counted | AREA | WHAT | NUMBER`. Those lines are collected here, printed
//! together at the end, and stand in `docs/reliability.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The document with the table, from the workspace's folder.
const DOCUMENT: &str = "docs/reliability.md";
/// What a test prints that could not run here; it is shown wherever it stands.
const SKIPPED: &str = "SKIPPED";
const BEGIN: &str = "<!-- counted: begin -->\n";
const END: &str = "<!-- counted: end -->\n";

/// Numbers by area and by what was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(String, String), u64>);

impl Counts {
    /// Takes a line in if it is one of ours. What several tests count under one name is added up, and so is what is
    /// counted for each contract, with its name in brackets at the end.
    pub fn take(&mut self, line: &str) {
        // After pytest's and libtest's own text on the same line.
        let Some(at) = line.find("counted | ") else { return };
        let cells: Vec<&str> = line[at..].split('|').map(str::trim).collect();
        if let [_, area, what, number] = cells[..]
            && let Ok(number) = number.parse::<u64>()
        {
            let what = what.split_once(" (").map_or(what, |(what, _)| what);
            *self.0.entry((area.to_owned(), what.to_owned())).or_default() += number;
        }
    }

    /// As a Markdown table.
    pub fn table(&self) -> String {
        let rows = self.0.iter().map(|((area, what), number)| format!("| {area} | {what} | {number} |\n"));
        format!("| area | counted | number |\n|---|---|---:|\n{}", rows.collect::<String>())
    }

    /// Sees to it that the document tells of everything that was counted, and of nothing else.
    ///
    /// Numbers that depend on chance or on the machine may differ from run to run; names may not.
    pub fn check(&self, root: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(root.join(DOCUMENT)).context(DOCUMENT)?;
        let (_, told, _) = parts(&text)?;
        let missing: Vec<String> = self.names().filter(|name| !told.contains(name.as_str())).collect();
        let left_over: Vec<&str> =
            told.lines().skip(2).filter(|line| !self.names().any(|name| line.contains(&name))).collect();
        // Outside CI some of it may have been skipped.
        ensure!(
            missing.is_empty() && (left_over.is_empty() || !crate::is_ci()),
            "{DOCUMENT} does not tell of {missing:?}, and tells of {left_over:?}; `cargo xtask counts` writes it"
        );
        Ok(())
    }

    /// Writes the table into the document.
    pub fn write(&self, root: &Path) -> anyhow::Result<()> {
        let file = root.join(DOCUMENT);
        let text = fs::read_to_string(&file).context(DOCUMENT)?;
        let (before, _, after) = parts(&text)?;
        fs::write(&file, format!("{before}{BEGIN}{}{END}{after}", self.table())).context(DOCUMENT)
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|(area, what)| format!("| {area} | {what} |"))
    }
}

/// What stands before, in, and after the table's place.
fn parts(text: &str) -> anyhow::Result<(&str, &str, &str)> {
    let split = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?)));
    let (before, (told, after)) =
        split.with_context(|| format!("{DOCUMENT}: the table's marks are missing"))?;
    Ok((before, told, after))
}

/// Runs a command of tests to its end, shows what it prints less the output of tests that passed, and takes in what
/// they counted.
pub fn collect(command: &mut Command, counts: &mut Counts) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {shown}"))?;
    let output = child.stdout.take().with_context(|| format!("no output of {shown}"))?;
    let mut is_shown = true;
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        counts.take(&line);
        is_shown = match line.trim_matches(['=', ' ']) {
            "successes:" | "PASSES" => false,
            "failures:" | "FAILURES" | "short test summary info" => true,
            other => is_shown || other.starts_with("test result:") || other.contains(" passed in "),
        };
        if is_shown || line.contains(SKIPPED) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_wherever_they_stand() {
        let mut counts = Counts::default();
        for line in [
            "counted | guard | url rows | 140",
            ".counted | guard | url rows (one contract) | 2",
            "counted | guard | no number | many",
            "counted things",
        ] {
            counts.take(line);
        }
        assert_eq!(
            counts.table(),
            "| area | counted | number |\n|---|---|---:|\n| guard | url rows | 142 |\n"
        );
    }
}
