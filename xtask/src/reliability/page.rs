//! The figures in the documents: `docs/reliability.json` for programs, a table in `docs/reliability.md` for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// The figures of the last run of each kind.
const FIGURES: &str = "docs/reliability.json";
/// The document with the table.
const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- reliability: begin -->\n";
const END: &str = "<!-- reliability: end -->\n";
/// At which commit bugs were switched on, where that was not in the run whose figures stand beside them.
const BUGS_AT: &str = "bugs_at";
/// The kinds of runs, as they are called in the figures and in the table.
const KINDS: [(&str, &str); 2] = [("every_change", "with every change"), ("long", "long run")];

/// Keeps what a run found in both documents. If it switched no bugs on, those that the last one of its kind did are kept too.
pub fn keep(root: &Path, found: &Value) -> anyhow::Result<()> {
    let mut kept = known(root);
    let is_long = found["rounds"].as_u64() > Some(1);
    let (kind, _) = KINDS[usize::from(is_long)];
    let mut found = found.clone();
    if let (true, Some(bugs)) = (found["bugs"].is_null(), kept.get(kind).and_then(|last| last.get("bugs"))) {
        found["bugs"] = bugs.clone();
        found[BUGS_AT] = kept[kind].get(BUGS_AT).unwrap_or(&kept[kind]["commit"]).clone();
    }
    kept.insert(kind.to_owned(), found);
    write(root, &Value::Object(kept))
}

/// Keeps which bugs were noticed in both documents.
pub fn keep_bugs(root: &Path, bugs: Value) -> anyhow::Result<()> {
    let mut kept = known(root);
    let (kind, _) = KINDS[0];
    let run = kept.entry(kind).or_insert_with(|| json!({}));
    run["bugs"] = bugs;
    run[BUGS_AT] = head(root)?.into();
    write(root, &Value::Object(kept))
}

/// The commit that is checked out.
fn head(root: &Path) -> anyhow::Result<String> {
    let asked = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output()?;
    Ok(String::from_utf8(asked.stdout)?.trim().to_owned())
}

fn known(root: &Path) -> Map<String, Value> {
    let text = fs::read_to_string(root.join(FIGURES)).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn write(root: &Path, kept: &Value) -> anyhow::Result<()> {
    let file = root.join(FIGURES);
    fs::write(&file, serde_json::to_string_pretty(kept)? + "\n").context(FIGURES)?;
    let page = root.join(PAGE);
    let text = fs::read_to_string(&page).context(PAGE)?;
    let (before, rest) = text.split_once(BEGIN).context("the page has no place for the figures")?;
    let (_, after) = rest.split_once(END).context("the page's place for the figures has no end")?;
    fs::write(&page, format!("{before}{BEGIN}{}{END}{after}", tables(kept))).context(PAGE)
}

fn tables(kept: &Value) -> String {
    let mut text = String::new();
    for (kind, name) in KINDS {
        let run = &kept[kind];
        if let Some(seconds) = run["seconds"].as_u64() {
            let _ = writeln!(
                text,
                "- {name}: {}, {} min on {} processors, Linux {}, commit `{:.10}`",
                run["date"].as_str().unwrap_or_default(),
                seconds.div_ceil(60),
                run["machine"]["processors"],
                run["machine"]["kernel"].as_str().unwrap_or_default(),
                run["commit"].as_str().unwrap_or_default(),
            );
        }
    }
    for what in KINDS.iter().filter_map(|(kind, _)| kept[kind]["skipped"].as_array()).flatten() {
        let _ = writeln!(text, "- **skipped**: {}", what.as_str().unwrap_or_default());
    }
    for (kind, name) in KINDS {
        text.push_str(&objections(name, &kept[kind]));
    }
    text.push_str(&parts(kept));
    text.push_str("\n| what | with every change | long run | must be |\n|---|---:|---:|---|\n");
    for figure in figures(kept) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            figure["says"].as_str().unwrap_or_default(),
            value(&kept["every_change"], figure),
            value(&kept["long"], figure),
            bound(figure)
        );
    }
    text + &bugs(kept)
}

/// What a run objected to, as far as it fits: the rest stands in the figures.
fn objections(name: &str, run: &Value) -> String {
    const MOST: usize = 10;
    let mut text = String::new();
    for objection in run["objections"].as_array().into_iter().flatten().take(MOST) {
        let word = |member: &str| objection[member].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "- **objection** ({name}, part {}, seed {}): {}",
            word("part"),
            objection["seed"],
            word("what").replace('\n', " ")
        );
    }
    text
}

/// What was tried, and how long each part takes with every change.
fn parts(kept: &Value) -> String {
    let run = KINDS.iter().map(|(kind, _)| &kept[kind]["parts"]).find(|parts| parts.is_array());
    let mut text = String::from("\n| part | tries | seconds |\n|---|---|---:|\n");
    for part in run.and_then(Value::as_array).into_iter().flatten() {
        let word = |member: &str| part[member].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {} | {} |", word("part"), word("says"), part["seconds"]);
    }
    text
}

/// The figures of both runs, each once.
fn figures(kept: &Value) -> Vec<&Value> {
    let all = KINDS.iter().filter_map(|(kind, _)| kept[kind]["figures"].as_array()).flatten();
    let mut known = BTreeSet::new();
    all.filter(|figure| known.insert(figure["id"].as_str())).collect()
}

/// What a run says about a figure.
fn value(run: &Value, figure: &Value) -> String {
    let of_run = run["figures"].as_array().into_iter().flatten().find(|other| other["id"] == figure["id"]);
    let Some(number) = of_run.and_then(|other| other["value"].as_f64()) else {
        return "not measured".to_owned();
    };
    let missed = if of_run.is_some_and(|other| other["is_met"] == false) { " **missed**" } else { "" };
    with_unit(number, figure) + missed
}

fn bound(figure: &Value) -> String {
    let bound = &figure["bound"];
    match (bound["at_most"].as_f64(), bound["at_least"].as_f64()) {
        (Some(0.0), _) => "0".to_owned(),
        (Some(most), _) => format!("at most {}", with_unit(most, figure)),
        (None, Some(least)) => format!("at least {}", with_unit(least, figure)),
        (None, None) => String::new(),
    }
}

fn with_unit(number: f64, figure: &Value) -> String {
    let digits = match number {
        whole if whole.fract() == 0.0 => format!("{whole:.0}"),
        // Zero is added for its sign: a difference may be a little below it.
        part if part.abs() < 1.0 => ((part * 1e3).round() / 1e3 + 0.0).to_string(),
        other => format!("{other:.1}"),
    };
    format!("{digits} {}", figure["unit"].as_str().unwrap_or_default()).trim_end().to_owned()
}

fn bugs(kept: &Value) -> String {
    let ran =
        KINDS.iter().find_map(|(kind, name)| Some((&kept[kind], *name, kept[kind]["bugs"].as_array()?)));
    let Some((run, name, bugs)) = ran else {
        return String::from("\n**Bugs** were switched on in neither run.\n");
    };
    let at = run[BUGS_AT].as_str().map_or_else(|| name.to_owned(), |commit| format!("commit `{commit:.10}`"));
    let mut text = format!("\n| bug switched on ({at}) | noticed by |\n|---|---|\n");
    for bug in bugs {
        let part = |member: &str| bug[member].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{}`: {} | {} |", part("name"), part("says"), part("caught_by"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_says_so() {
        let figure = |value: Value, is_met: bool| {
            let bound = json!({"at_most": 0.0});
            json!({"id": "kill.lost", "says": "lost", "unit": "", "value": value, "bound": bound, "is_met": is_met})
        };
        let kept = json!({
            "every_change": {
                "figures": [figure(json!(2), false)],
                "objections": [{"part": "kill", "seed": 7, "what": "2 are\nlost"}],
            },
            "long": {"figures": [figure(json!("not measured"), true)]},
        });
        let page = tables(&kept);
        assert!(page.contains("| lost | 2 **missed** | not measured | 0 |"), "{page}");
        assert!(
            page.contains("- **objection** (with every change, part kill, seed 7): 2 are lost\n"),
            "{page}"
        );
        assert!(page.ends_with("switched on in neither run.\n"), "{page}");
    }

    #[test]
    fn a_bound_is_printed_as_it_is() {
        let table = [
            (0.45, "0.45"),
            (0.503, "0.503"),
            (0.5, "0.5"),
            (0.0001, "0"),
            (-0.0003, "0"),
            (1.0, "1"),
            (12.34, "12.3"),
        ];
        for (number, printed) in table {
            assert_eq!(with_unit(number, &json!({})), printed);
        }
    }
}
