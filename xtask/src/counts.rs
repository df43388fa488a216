//! What the tests counted while they ran.
//!
//! A test that goes through a table prints `counted | AREA | WHAT | NUMBER`. Those lines are collected here, printed
//! together at the end, and stand in `docs/reliability.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// The document with the table, from the workspace's folder.
const DOCUMENT: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- counted: begin -->\n";
const END: &str = "<!-- counted: end -->\n";

/// Numbers by area and by what was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(String, String), u64>);

impl Counts {
    /// Takes a line in if it is one of ours. What several tests count under one name is added up.
    pub fn take(&mut self, line: &str) {
        // After pytest's and libtest's own text on the same line.
        let Some(at) = line.find("counted | ") else { return };
        let cells: Vec<&str> = line[at..].split('|').map(str::trim).collect();
        if let [_, area, what, number] = cells[..]
            && let Ok(number) = number.parse::<u64>()
        {
            *self.0.entry((area.to_owned(), what.to_owned())).or_default() += number;
        }
    }

    /// As a Markdown table.
    pub fn table(&self) -> String {
        let rows = self.0.iter().map(|((area, what), number)| format!("| {area} | {what} | {number} |\n"));
        format!("| area | counted | number |\n|---|---|---:|\n{}", rows.collect::<String>())
    }

    /// Writes the table into the document.
    pub fn write(&self, root: &Path) -> anyhow::Result<()> {
        let file = root.join(DOCUMENT);
        let text = fs::read_to_string(&file).context(DOCUMENT)?;
        let (before, _, after) = parts(&text)?;
        fs::write(&file, format!("{before}{BEGIN}{}{END}{after}", self.table())).context(DOCUMENT)
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
        if is_shown {
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
            ".counted | guard | url rows | 2",
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
