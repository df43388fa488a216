//! Rules of the house that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::sabotage;

/// No source file is longer, tests aside.
const MOST_LINES: usize = 450;

/// Checks every rule and reports all that is broken.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let vendors = contract_names(root)?;
    let mut broken = Vec::new();
    for file in sources(root)? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let code = without_tests(&text);
        broken.extend(too_long(&name, code));
        broken.extend(names_a_vendor(&name, code, &vendors));
        broken.extend(modules_out_of_order(&file, &name, code));
    }
    // They are gone through last, half an hour from here.
    broken.extend(sabotage::misplaced(root)?);
    if broken.is_empty() {
        println!("tidy: every rule holds");
        return Ok(());
    }
    bail!("{}", broken.join("\n"))
}

/// The built-in contracts of real products: their names belong into their files alone.
fn contract_names(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("contracts"))? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "toml") && stem != "standard" {
            names.push(stem);
        }
    }
    Ok(names)
}

/// Every Rust file that ships: tests, benchmarks and chores are left out.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        walk(&entry?.path().join("src"), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(code, _)| code)
}

fn too_long(name: &str, code: &str) -> Option<String> {
    let lines = code.lines().count();
    (lines > MOST_LINES).then(|| format!("{name}: {lines} lines, more than {MOST_LINES}"))
}

fn names_a_vendor(name: &str, code: &str, vendors: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let lower = line.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for vendor in vendors.iter().filter(|vendor| words.contains(&vendor.as_str())) {
            found.push(format!("{name}:{}: names {vendor}; vendors belong into contracts", number + 1));
        }
    }
    found
}

/// In a crate's `lib.rs` modules stand in reading order: each uses only those above it.
fn modules_out_of_order(file: &Path, name: &str, code: &str) -> Vec<String> {
    let Some(folder) = file.parent().filter(|_| file.ends_with("lib.rs")) else { return Vec::new() };
    let modules: Vec<&str> = code.lines().filter_map(declared_module).collect();
    let mut found = Vec::new();
    for (place, module) in modules.iter().enumerate() {
        let text = module_text(folder, module);
        for later in &modules[place + 1..] {
            if uses(&text, later) {
                found.push(format!("{name}: module {module} uses {later}, which stands below it"));
            }
        }
    }
    found
}

fn declared_module(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(';')
}

fn module_text(folder: &Path, module: &str) -> String {
    let mut files = vec![folder.join(format!("{module}.rs"))];
    let _ = walk(&folder.join(module), &mut files);
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.map(|text| without_tests(&text).to_owned()).collect()
}

fn uses(text: &str, module: &str) -> bool {
    let path = format!("crate::{module}");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            !line[at + path.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_found_as_a_word_and_only_as_one() {
        let vendors = ["acme".to_owned()];
        assert_eq!(names_a_vendor("f", "let x = \"ACME\";\nlet acmes = 1;", &vendors).len(), 1);
    }

    #[test]
    fn a_use_is_told_from_a_longer_name() {
        assert!(uses("use crate::view::Field;", "view"));
        assert!(!uses("use crate::viewer::Field;", "view"));
        assert!(!uses("// see crate::view", "view"));
    }
}
