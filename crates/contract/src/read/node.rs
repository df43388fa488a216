//! Walking a TOML tree such that every mistake is reported, not only the first.
//!
//! A [`Table`] remembers which keys were asked for; whatever was not is unknown, and reported when the table is
//! finished. So the code that reads a table is also the list of its keys.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::report::Report;
use crate::model::Basis;

/// A value with its place and path.
#[derive(Clone)]
pub struct Node<'r> {
    pub report: &'r Report<'r>,
    pub path: String,
    pub span: Range<usize>,
    value: &'r DeValue<'r>,
}

/// A table with its place and path.
pub struct Table<'r> {
    pub report: &'r Report<'r>,
    pub path: String,
    pub span: Range<usize>,
    entries: &'r DeTable<'r>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r> Node<'r> {
    /// Reports an error at this value.
    pub fn error(&self, message: impl Into<String>) {
        self.report.error(&self.span, &self.path, message);
    }

    /// Reports a doubt at this value.
    pub fn warning(&self, message: impl Into<String>) {
        self.report.warning(&self.span, &self.path, message);
    }

    fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.error(format!("expected {expected}, found {}", article(self.value.type_str())));
        None
    }

    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub fn is_str(&self) -> bool {
        self.value.is_str()
    }

    pub fn str(&self) -> Option<&'r str> {
        self.value.as_str().or_else(|| self.wrong_type("a string"))
    }

    pub fn bool(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    pub fn int(&self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let Some(number) = self.value.as_integer() else { return self.wrong_type("a whole number") };
        let digits: String = number.as_str().chars().filter(|c| *c != '_').collect();
        match i64::from_str_radix(&digits, number.radix()) {
            Ok(value) if range.contains(&value) => Some(value),
            _ => {
                self.error(format!("must be from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// A share from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        let text = match self.value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            _ => return self.wrong_type("a number from 0.0 to 1.0"),
        };
        let value = text.parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
        if value.is_none() {
            self.error("must be from 0.0 to 1.0");
        }
        value
    }

    /// A time such as `10s`.
    pub fn duration(&self) -> Option<Duration> {
        let text = self.str()?;
        let read = parse_duration(text);
        if read.is_none() {
            self.error(format!(
                "`{text}` is no duration; write a whole number and ms, s, m, h or d, such as \"10s\""
            ));
        }
        read
    }

    pub fn table(&self) -> Option<Table<'r>> {
        let Some(entries) = self.value.as_table() else { return self.wrong_type("a table") };
        Some(Table {
            report: self.report,
            path: self.path.clone(),
            span: self.span.clone(),
            entries,
            asked: RefCell::default(),
        })
    }

    pub fn items(&self) -> Vec<Self> {
        let Some(array) = self.value.as_array() else {
            return self.wrong_type("a list").unwrap_or_default();
        };
        let item = |(n, item): (usize, &'r Spanned<DeValue<'r>>)| Self {
            report: self.report,
            path: format!("{}[{n}]", self.path),
            span: item.span(),
            value: item.get_ref(),
        };
        array.iter().enumerate().map(item).collect()
    }

    pub fn strings(&self) -> Vec<String> {
        self.items().iter().filter_map(Node::str).map(str::to_owned).collect()
    }

    /// One of a closed list of words.
    pub fn word<T: Clone>(&self, words: &[(T, &str)]) -> Option<T> {
        let text = self.str()?;
        let found = words.iter().find(|(_, word)| *word == text).map(|(value, _)| value.clone());
        if found.is_none() {
            self.unknown_word(text, &words.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        }
        found
    }

    /// The place in a list of names that this refers to.
    pub fn reference(&self, what: &str, names: &[String]) -> Option<usize> {
        let text = self.str()?;
        let found = names.iter().position(|name| name == text);
        if found.is_none() {
            let meant = nearest(text, names.iter().map(String::as_str));
            let message = format!("there is no {what} `{text}`");
            self.report.unknown(&self.span, &self.path, message, meant);
        }
        found
    }

    /// Reports that a word is not one of a list.
    pub fn unknown_word(&self, text: &str, known: &[&str]) {
        let meant = nearest(text, known.iter().copied());
        let list =
            if known.len() <= 12 { format!("; known are {}", known.join(", ")) } else { String::new() };
        self.report.unknown(&self.span, &self.path, format!("unknown word `{text}`{list}"), meant);
    }

    /// The value as JSON text.
    pub fn json(&self) -> String {
        json_text(self.value)
    }
}

impl<'r> Table<'r> {
    pub fn root(report: &'r Report<'r>, root: &'r Spanned<DeTable<'r>>) -> Self {
        let entries = root.get_ref();
        Self { report, path: String::new(), span: 0..0, entries, asked: RefCell::default() }
    }

    /// Reports an error about the table as a whole.
    pub fn error(&self, message: impl Into<String>) {
        self.report.error(&self.span, &self.path, message);
    }

    pub fn warning(&self, message: impl Into<String>) {
        self.report.warning(&self.span, &self.path, message);
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Node<'r>> {
        self.asked.borrow_mut().push(key);
        let (_, value) = self.entries.iter().find(|(known, _)| known.get_ref() == key)?;
        Some(self.node(key, value))
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &'static str) -> Option<Node<'r>> {
        let found = self.get(key);
        if found.is_none() {
            self.error(format!("`{key}` is missing"));
        }
        found
    }

    fn node(&self, key: &str, value: &'r Spanned<DeValue<'r>>) -> Node<'r> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Node { report: self.report, path, span: value.span(), value: value.get_ref() }
    }

    /// Every entry in file order, for tables whose keys are names. All keys count as known.
    pub fn named(&self) -> Vec<(String, Node<'r>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let named = |(key, value): (&'r Spanned<_>, &'r Spanned<_>)| {
            let name: &toml::de::DeString<'r> = key.get_ref();
            let mut node = self.node(name, value);
            node.span = key.span();
            (name.to_string(), node)
        };
        entries.into_iter().map(named).collect()
    }

    pub fn str(&self, key: &'static str) -> Option<String> {
        self.get(key)?.str().map(str::to_owned)
    }

    pub fn text(&self, key: &'static str) -> String {
        self.str(key).unwrap_or_default()
    }

    pub fn need_str(&self, key: &'static str) -> String {
        let found = self.need(key);
        let text = found.as_ref().and_then(Node::str).unwrap_or_default();
        if let Some(node) = found.filter(|node| node.is_str() && text.trim().is_empty()) {
            node.error("must not be empty");
        }
        text.to_owned()
    }

    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        self.get(key).and_then(|node| node.bool()).unwrap_or(default)
    }

    pub fn int(&self, key: &'static str, range: std::ops::RangeInclusive<i64>, default: i64) -> i64 {
        self.get(key).and_then(|node| node.int(range)).unwrap_or(default)
    }

    pub fn duration(&self, key: &'static str, default: Duration) -> Duration {
        self.get(key).and_then(|node| node.duration()).unwrap_or(default)
    }

    pub fn strings(&self, key: &'static str) -> Vec<String> {
        self.get(key).map(|node| node.strings()).unwrap_or_default()
    }

    pub fn word<T: Clone>(&self, key: &'static str, words: &[(T, &str)], default: T) -> T {
        self.get(key).and_then(|node| node.word(words)).unwrap_or(default)
    }

    pub fn need_word<T: Clone>(&self, key: &'static str, words: &[(T, &str)], fallback: T) -> T {
        self.need(key).and_then(|node| node.word(words)).unwrap_or(fallback)
    }

    /// Where the part comes from; every table may say it.
    pub fn basis(&self, default: Basis) -> Basis {
        const WORDS: &[(Basis, &str)] =
            &[(Basis::Seed, "seed"), (Basis::Vendor, "vendor"), (Basis::Chosen, "chosen")];
        self.word("basis", WORDS, default)
    }

    /// Reports every key that was never asked for.
    pub fn finish(&self) {
        self.basis(Basis::Seed);
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            let meant = nearest(name, asked.iter().copied());
            self.report.unknown(&key.span(), &path, format!("unknown key `{name}`"), meant);
        }
    }
}

fn article(type_name: &str) -> String {
    match type_name {
        "integer" | "array" => format!("an {type_name}"),
        _ => format!("a {type_name}"),
    }
}

/// `250ms`, `10s`, `5m`, `24h`, `7d`.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits_end);
    let number: u64 = number.parse().ok()?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

fn json_text(value: &DeValue<'_>) -> String {
    let list = |items: Vec<String>, open: char, close: char| format!("{open}{}{close}", items.join(","));
    match value {
        DeValue::String(text) => crate::json::string(text),
        DeValue::Integer(number) => number.as_str().replace('_', ""),
        DeValue::Float(number) => number.as_str().replace('_', ""),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(at) => crate::json::string(&at.to_string()),
        DeValue::Array(items) => list(items.iter().map(|item| json_text(item.get_ref())).collect(), '[', ']'),
        DeValue::Table(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| key.span().start);
            let member = |(key, value): (&Spanned<_>, &Spanned<_>)| {
                let name: &toml::de::DeString<'_> = key.get_ref();
                format!("{}:{}", crate::json::string(name), json_text(value.get_ref()))
            };
            list(sorted.into_iter().map(member).collect(), '{', '}')
        }
    }
}
