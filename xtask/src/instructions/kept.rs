//! The file with the figures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::compare::Figures;
use super::maker::Maker;

const HEAD: &str = "\
# Instructions that one delivery takes in each part of the hot path, counted by callgrind.
# `cargo xtask instructions` holds a build against them; `cargo xtask instructions --accept` writes this file.
# They compare one commit with the next. The shipped binary, whose dependencies are optimised further, takes fewer.
";

/// What is kept.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Kept {
    /// What built and ran the program that was counted.
    #[serde(rename = "built-with")]
    pub maker: Maker,
    /// The figures.
    #[serde(rename = "instructions")]
    pub figures: Figures,
}

impl Kept {
    /// Reads the file.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    }

    /// Writes the file.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, self.text()).with_context(|| file.display().to_string())?;
        println!("kept in {}", file.display());
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n[built-with]\n");
        // Writing to a string cannot fail.
        for (name, value) in self.maker.fields() {
            let _ = writeln!(text, "{name} = {}", toml::Value::from(value));
        }
        text.push_str("\n[instructions]\n");
        for (part, figure) in &self.figures {
            let _ = writeln!(text, "{part} = {figure}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let maker = Maker {
            rustc: "rustc 1.95.0".to_owned(),
            cc: "cc (Debian \"12\") 12.2.0".to_owned(),
            libc: "2.36".to_owned(),
            target: "x86_64 with avx2".to_owned(),
        };
        let figures = [("publish".to_owned(), 60_000), ("sign".to_owned(), 9_000)].into();
        let kept = Kept { maker, figures };
        assert_eq!(toml::from_str::<Kept>(&kept.text()).unwrap(), kept);
        assert!(kept.text().ends_with("\n[instructions]\npublish = 60000\nsign = 9000\n"));
    }
}
