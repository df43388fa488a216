//! Kept figures beside counted ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Instructions for one delivery, by part of the hot path.
pub type Figures = BTreeMap<String, u64>;

/// How far a figure may move, in percent of the kept one.
const MOST_PERCENT: u64 = 3;

/// How a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within the bounds.
    Holds,
    /// It takes more.
    Above,
    /// It takes fewer: good, but the next regression would hide in the difference.
    Below,
    /// There is no kept figure.
    New,
    /// It is not counted any more.
    Gone,
}

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub part: String,
    /// As kept.
    pub kept: Option<u64>,
    /// As counted now.
    pub counted: Option<u64>,
    /// What to make of it.
    pub verdict: Verdict,
}

impl Line {
    /// Is the part as it was?
    pub fn holds(&self) -> bool {
        self.verdict == Verdict::Holds
    }
}

/// Of several counts the middle one of each part.
pub fn medians(counts: &[Figures]) -> Figures {
    let mut by_part: BTreeMap<&String, Vec<u64>> = BTreeMap::new();
    for (part, instructions) in counts.iter().flatten() {
        by_part.entry(part).or_default().push(*instructions);
    }
    let median = |mut counted: Vec<u64>| {
        counted.sort_unstable();
        counted[counted.len() / 2]
    };
    by_part.into_iter().map(|(part, counted)| (part.clone(), median(counted))).collect()
}

/// Every part that is kept or counted.
pub fn lines(kept: &Figures, counted: &Figures) -> Vec<Line> {
    let mut parts: Vec<&String> = kept.keys().chain(counted.keys()).collect();
    parts.sort_unstable();
    parts.dedup();
    let line = |part: &String| {
        let (kept, counted) = (kept.get(part).copied(), counted.get(part).copied());
        Line { part: part.clone(), kept, counted, verdict: verdict(kept, counted) }
    };
    parts.into_iter().map(line).collect()
}

fn verdict(kept: Option<u64>, counted: Option<u64>) -> Verdict {
    match (kept, counted) {
        (Some(kept), Some(counted)) if counted * 100 > kept * (100 + MOST_PERCENT) => Verdict::Above,
        (Some(kept), Some(counted)) if counted * 100 < kept * (100 - MOST_PERCENT) => Verdict::Below,
        (Some(_), Some(_)) => Verdict::Holds,
        (None, _) => Verdict::New,
        (Some(_), None) => Verdict::Gone,
    }
}

/// The lines for reading.
pub fn table(lines: &[Line]) -> String {
    let mut text = format!("{:<12} {:>10} {:>10} {:>9}\n", "part", "kept", "counted", "");
    let number = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
    for line in lines {
        let change = match (line.kept, line.counted) {
            (Some(kept), Some(counted)) if kept > 0 => {
                format!("{:+.2} %", (counted as f64 / kept as f64 - 1.0) * 100.0)
            }
            _ => String::new(),
        };
        let remark = match line.verdict {
            Verdict::Holds => "",
            Verdict::Above => "  more than 3 % above",
            Verdict::Below => "  more than 3 % below",
            Verdict::New => "  new",
            Verdict::Gone => "  not counted any more",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<12} {:>10} {:>10} {change:>9}{remark}",
            line.part,
            number(line.kept),
            number(line.counted),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(figures: &[(&str, u64)]) -> Figures {
        figures.iter().map(|(part, figure)| ((*part).to_owned(), *figure)).collect()
    }

    #[test]
    fn a_figure_may_move_by_three_percent_and_no_further() {
        let cases = [
            (1_000, 1_000, Verdict::Holds),
            (1_000, 1_030, Verdict::Holds),
            (1_000, 1_031, Verdict::Above),
            (1_000, 970, Verdict::Holds),
            (1_000, 969, Verdict::Below),
            (0, 0, Verdict::Holds),
            (0, 1, Verdict::Above),
        ];
        for (kept, counted, expected) in cases {
            assert_eq!(verdict(Some(kept), Some(counted)), expected, "{kept} {counted}");
        }
    }

    #[test]
    fn of_several_counts_the_middle_one_is_taken() {
        let counts = [("a", 9), ("a", 1), ("a", 4), ("a", 100), ("a", 3)].map(|count| figures(&[count]));
        assert_eq!(medians(&counts), figures(&[("a", 4)]));
    }

    #[test]
    fn parts_that_come_or_go_do_not_hold() {
        let lines = lines(&figures(&[("gone", 1), ("same", 7)]), &figures(&[("new", 2), ("same", 7)]));
        let told: Vec<_> = lines.iter().map(|line| (line.part.as_str(), line.verdict)).collect();
        assert_eq!(told, [("gone", Verdict::Gone), ("new", Verdict::New), ("same", Verdict::Holds)]);
        assert_eq!(lines.iter().filter(|line| line.holds()).count(), 1);
    }

    #[test]
    fn the_table_shows_both_figures_and_what_moved() {
        let lines = lines(&figures(&[("publish", 1_000), ("sign", 200)]), &figures(&[("publish", 1_050)]));
        let expected = "\
part               kept    counted          
publish            1000       1050   +5.00 %  more than 3 % above
sign                200          -            not counted any more
";
        assert_eq!(table(&lines), expected);
    }
}
