//! What commands print: text for people on a terminal, one JSON object per line for everybody else.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};

use serde_json::Value;

/// A column of a table: its title, and the JSON pointer of its value.
pub type Column = (&'static str, &'static str);

/// Where a command's answer goes. A reader that stops listening is no fault of the command.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    for_people: bool,
}

impl Output {
    /// To standard output; JSON if asked for or if nobody watches.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { for_people: !json && std::io::stdout().is_terminal() }
    }

    /// Text, whoever reads it, unless JSON is asked for: for commands that are meant to be read.
    #[must_use]
    pub fn text_unless(json: bool) -> Self {
        Self { for_people: !json }
    }

    /// Does a person read it?
    #[must_use]
    pub fn is_for_people(self) -> bool {
        self.for_people
    }

    /// One answer: the sentence for people, the value for programs.
    pub fn answer(self, sentence: impl Display, value: &Value) {
        if self.for_people { self.line(sentence) } else { self.line(value) }
    }

    /// Many answers: a table for people, a line each for programs.
    pub fn table(self, columns: &[Column], items: &[Value]) {
        match self.for_people {
            true => lay_out(columns, items).into_iter().for_each(|row| self.line(row)),
            false => items.iter().for_each(|item| self.line(item)),
        }
    }

    /// A line as it is.
    pub fn line(self, text: impl Display) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// A line on standard error.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The longest cell; what is longer is cut.
const CELL_MAX_CHARS: usize = 60;

fn lay_out(columns: &[Column], items: &[Value]) -> Vec<String> {
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let rows = items
        .iter()
        .map(|item| columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))).collect::<Vec<String>>());
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<String>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    };
    let printable = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    printable.take(CELL_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let items =
            [serde_json::json!({"id": "a", "n": null}), serde_json::json!({"id": "bcd", "n": [1, 2]})];
        assert_eq!(lay_out(&[("ID", "/id"), ("N", "/n")], &items), ["ID   N", "a    -", "bcd  1,2"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(cell(Some(&Value::String("a\u{1b}[31m\n".into()))), "a [31m ");
    }
}
