//! Where findings are gathered while a file is read.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Severity};

/// Gathers what is wrong with one file.
pub struct Report<'s> {
    file: &'s str,
    text: &'s str,
    line_starts: Vec<usize>,
    findings: RefCell<Vec<(usize, Finding)>>,
}

impl<'s> Report<'s> {
    pub fn new(file: &'s str, text: &'s str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { file, text, line_starts, findings: RefCell::default() }
    }

    pub fn error(&self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        self.add(Severity::Error, at, key, message.into(), None);
    }

    pub fn warning(&self, at: &Range<usize>, key: &str, message: impl Into<String>) {
        self.add(Severity::Warning, at, key, message.into(), None);
    }

    /// An error about a word, with the one that may have been meant.
    pub fn unknown(&self, at: &Range<usize>, key: &str, message: String, meant: Option<&str>) {
        self.add(Severity::Error, at, key, message, meant.map(str::to_owned));
    }

    fn add(
        &self,
        severity: Severity,
        at: &Range<usize>,
        key: &str,
        message: String,
        suggestion: Option<String>,
    ) {
        let start = at.start.min(self.text.len());
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(line_start..start).map_or(1, |before| before.chars().count() + 1);
        let (file, key) = (self.file.to_owned(), key.to_owned());
        let finding = Finding { severity, file, line, column, key, message, suggestion };
        let mut findings = self.findings.borrow_mut();
        if !findings.iter().any(|(_, known)| *known == finding) {
            findings.push((start, finding));
        }
    }

    /// Was no error found in any of these parts?
    pub fn are_sound(&self, parts: &[&str]) -> bool {
        let in_parts = |finding: &Finding| {
            let part = finding.key.split(['.', '[']).next().unwrap_or_default();
            finding.severity == Severity::Error && parts.contains(&part)
        };
        !self.findings.borrow().iter().any(|(_, finding)| in_parts(finding))
    }

    /// Everything found, in file order.
    pub fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|(start, finding)| (*start, finding.severity));
        findings.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// The place of the value at a path, or of the deepest part of the path that exists.
pub fn locate(root: &Spanned<DeTable<'_>>, path: &[&str]) -> Range<usize> {
    let mut found = 0..0;
    let mut table = Some(root.get_ref());
    let mut list = None;
    for step in path {
        let next = match (table, list) {
            (Some(entries), _) => {
                let entry = entries.iter().find(|(key, _)| key.get_ref() == step);
                entry.map(|(key, value)| (key.span(), value.get_ref()))
            }
            (None, Some(items)) => {
                let items: &toml::de::DeArray<'_> = items;
                let item = step.parse().ok().and_then(|n: usize| items.get(n));
                item.map(|item| (item.span(), item.get_ref()))
            }
            (None, None) => None,
        };
        let Some((span, value)) = next else { break };
        found = span;
        (table, list) = match value {
            DeValue::Table(inner) => (Some(inner), None),
            DeValue::Array(inner) => (None, Some(inner)),
            _ => (None, None),
        };
    }
    found
}
