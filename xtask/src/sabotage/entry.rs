//! The list of protections and of the tests that watch over them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// One protection to switch off.
pub struct Entry {
    /// What is switched off, in words.
    pub name: String,
    /// The source file, from the workspace's folder.
    pub file: String,
    /// The text that protects; it stands in the file once.
    pub find: String,
    /// What stands there without the protection.
    pub replace: String,
    /// How the test is run.
    pub proof: Proof,
    /// The test's name.
    pub caught_by: String,
}

/// How a test is run.
pub enum Proof {
    /// `cargo test` with these arguments.
    Cargo(Vec<String>),
    /// A file of `tests/clients` by pytest, against the spoiled program.
    Clients(String),
}

/// Named beside what an entry tests, and not built: it has neither a library nor tests of its own. With it the features of
/// dependencies are the same for all entries, and none is built twice.
const BESIDE: [&str; 2] = ["--package", "posthaste-reliability"];

impl Proof {
    /// What cargo is told to build for it.
    pub fn build(&self) -> Vec<&str> {
        match self {
            Self::Cargo(arguments) => {
                ["test", "--no-run"].into_iter().chain(arguments.iter().map(String::as_str)).collect()
            }
            Self::Clients(_) => vec!["build", "--package", "posthaste"],
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sabotage: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    file: String,
    find: String,
    replace: String,
    test: Option<Vec<String>>,
    clients: Option<String>,
    caught_by: String,
}

/// All entries of a folder whose file's or own name contains `wanted`; those of one source file stand together, so that
/// little has to be built anew from one to the next.
pub fn read(folder: &Path, wanted: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for found in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = found?.path();
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).with_context(|| shown.clone())?;
        let file: File = toml::from_str(&text).with_context(|| shown.clone())?;
        let area = path.file_stem().unwrap_or_default().to_string_lossy();
        for written in file.sabotage {
            if area.contains(wanted) || written.name.contains(wanted) {
                entries.push(entry(written).with_context(|| shown.clone())?);
            }
        }
    }
    entries.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
    Ok(entries)
}

fn entry(written: Written) -> anyhow::Result<Entry> {
    let Written { name, file, find, replace, test, clients, caught_by } = written;
    let proof = match (test, clients) {
        (Some(arguments), None) => {
            Proof::Cargo(BESIDE.into_iter().map(str::to_owned).chain(arguments).collect())
        }
        (None, Some(file)) => Proof::Clients(file),
        _ => bail!("{name}: either `test` or `clients` says how it is proved"),
    };
    Ok(Entry { name, file, find, replace, proof, caught_by })
}
