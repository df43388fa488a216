//! A copy of the tree with a folder of its own for what is built from it, so that nothing built from a spoiled tree is ever
//! taken for the real thing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use super::entry::{Entry, Proof};
use super::tree::Tree;

/// The longest a test may take that waits for what does not come any more, in seconds.
const TEST_PATIENCE_S: &str = "150";
/// What `timeout` answers when that is over.
const TIMED_OUT: i32 = 124;
/// How much of a build's complaint is shown.
const SHOWN_LINES: usize = 40;

/// Where protections are switched off one by one.
pub struct Bench {
    root: PathBuf,
    tree: Tree,
    target: PathBuf,
}

impl Bench {
    /// One in this folder, up to date with the workspace at `root`.
    pub fn set_up(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let tree = Tree::copy(root, &folder.join("tree"))?;
        Ok(Self { root: root.to_owned(), tree, target: folder.join("target") })
    }

    /// The same, which begins with the libraries of others that `cargo test --workspace` has built, unless something was built
    /// there before. They are the same ones, and building them takes minutes.
    pub fn set_up_first(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (built, target) = (root.join("target/debug"), folder.join("target"));
        if !target.exists() && built.join("deps").is_dir() {
            let unfinished = folder.join("target.new");
            let libraries = unfinished.join("debug/deps");
            std::fs::create_dir_all(&libraries)?;
            copy(&[built.join("build"), built.join(".fingerprint")], &unfinished.join("debug"))?;
            copy(&libraries_of_others(&built.join("deps"))?, &libraries)?;
            std::fs::rename(unfinished, target)?;
        }
        Self::set_up(root, folder)
    }

    /// Builds what the entries' tests need, as long as nothing is spoiled.
    pub fn prepare(&self, entries: &[Entry]) -> anyhow::Result<()> {
        // All at once, so that both processors are busy to the end.
        let mut needed: BTreeMap<&str, BTreeSet<&[&str]>> = BTreeMap::new();
        let commands: Vec<Vec<&str>> = entries.iter().map(|entry| entry.proof.build()).collect();
        for (verb, rest) in commands.iter().filter_map(|command| command.split_first()) {
            needed.entry(verb).or_default().extend(rest.chunk_by(|_, next| !next.starts_with('-')));
        }
        for (verb, options) in needed {
            self.build(&[&[verb], options.into_iter().collect::<Vec<_>>().concat().as_slice()].concat())?;
        }
        Ok(())
    }

    /// Another one, which begins with what was built here, unless something was built there before. Its tree is newer than
    /// that, so it shares what does not belong to the workspace: some of our tests know where they were built.
    pub fn set_up_another(&self, folder: &Path) -> anyhow::Result<Self> {
        let (target, unfinished) = (folder.join("target"), folder.join("target.new"));
        if !target.exists() {
            if folder.exists() {
                std::fs::remove_dir_all(folder)?;
            }
            std::fs::create_dir_all(folder)?;
            std::fs::create_dir(&unfinished)?;
            copy(&[self.target.join("debug")], &unfinished)?;
            std::fs::rename(unfinished, target)?;
        }
        Self::set_up(&self.root, folder)
    }

    /// Makes the edit, runs the test, and takes the edit back. Answers why nobody noticed, if so.
    pub fn attempt(&self, entry: &Entry) -> anyhow::Result<Option<String>> {
        let edit = self.tree.edit(&entry.file, &entry.find, &entry.replace)?;
        // A build that breaks is no test that notices.
        let told = self.build(&entry.proof.build()).and_then(|()| self.test(entry));
        edit.undo()?;
        let told = told?;
        let printed = format!("{}{}", text(&told.stdout), text(&told.stderr));
        if told.status.code() == Some(TIMED_OUT) {
            // Green is not what it is, and nobody waits for ever.
            return Ok(None);
        }
        let failed = printed.lines().any(|line| line.contains(&entry.caught_by) && line.contains("FAILED"));
        Ok(match (told.status.success(), failed) {
            (true, _) => Some(format!("{} passed, or did not run", entry.caught_by)),
            (false, true) => None,
            (false, false) => Some(format!("something else failed:\n{}", last_lines(&printed))),
        })
    }

    fn test(&self, entry: &Entry) -> anyhow::Result<Output> {
        match &entry.proof {
            Proof::Cargo(arguments) => {
                let mut command = housebound("cargo");
                command.args(["test", "--offline"]).args(arguments).args(["--", &entry.caught_by]);
                output(self.building(&mut command))
            }
            Proof::Clients(file) => {
                let mut command = housebound(&self.root.join("target/clients/bin/python").to_string_lossy());
                command
                    .args(["-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-k", &entry.caught_by])
                    .arg(self.tree.path().join("tests/clients").join(file))
                    .env("POSTHASTE_BINARY", self.target.join("debug/posthaste"));
                output(&mut command)
            }
        }
    }

    fn build(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let built = output(self.building(Command::new("cargo").args(arguments)))?;
        if !built.status.success() {
            bail!("does not compile any more:\n{}", last_lines(&text(&built.stderr)));
        }
        Ok(())
    }

    /// Where and how this tree is built: nobody debugs it here.
    fn building<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo
            .current_dir(self.tree.path())
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "none")
    }
}

/// Copies files and folders into a folder, with their times: by these it is told what has to be built again.
fn copy(all: &[PathBuf], into: &Path) -> anyhow::Result<()> {
    crate::run(Command::new("cp").args(["-a", "--reflink=auto", "--target-directory"]).arg(into).args(all))
}

/// The built libraries that are not of this workspace.
fn libraries_of_others(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_of_others = |name: &str| name.starts_with("lib") && !name.starts_with("libposthaste");
        if name.to_str().is_some_and(is_of_others) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// A program that has to end, and reaches nothing but this machine where such a room can be had: without its guard, a
/// server would dial whatever the tests' name servers say.
fn housebound(program: &str) -> Command {
    const LOOPBACK_UP: &str = "ip link set lo up && exec \"$@\"";
    let inside = ["unshare", "--net", "--", "sh", "-c", LOOPBACK_UP, "sh"];
    let tried = Command::new(inside[0]).args(&inside[1..]).arg("true").output();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", TEST_PATIENCE_S]);
    if tried.is_ok_and(|output| output.status.success()) {
        command.args(inside);
    }
    command.arg(program);
    command
}

fn output(command: &mut Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
