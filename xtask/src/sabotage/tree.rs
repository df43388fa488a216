//! A copy of the workspace that may be spoiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// The copy.
pub struct Tree {
    path: PathBuf,
}

/// One edit in the copy. If it is not taken back, the next copy mends it.
pub struct Edit {
    file: PathBuf,
    sound: String,
}

impl Tree {
    /// Makes the copy, or brings an earlier one up to date. Files that are the same are left alone, so that what was
    /// built from them stays good.
    pub fn copy(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let wanted = files(root)?;
        if path.exists() {
            let stale: Vec<PathBuf> =
                files_below(path)?.into_iter().filter(|file| !wanted.contains(file)).collect();
            for file in stale {
                fs::remove_file(path.join(&file)).with_context(|| file.display().to_string())?;
            }
        }
        for file in &wanted {
            bring(&root.join(file), &path.join(file)).with_context(|| file.display().to_string())?;
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces text that stands in a file exactly once.
    pub fn edit(&self, file: &str, find: &str, replace: &str) -> anyhow::Result<Edit> {
        let sound = sound(&self.path, file, find)?;
        let path = self.path.join(file);
        fs::write(&path, sound.replacen(find, replace, 1))?;
        Ok(Edit { file: path, sound })
    }
}

/// A file's content; an error, unless the text to replace stands there exactly once.
pub fn sound(root: &Path, file: &str, find: &str) -> anyhow::Result<String> {
    let sound = fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
    let times = sound.matches(find).count();
    ensure!(times == 1, "{file}: the text to replace stands there {times} times:\n{find}");
    Ok(sound)
}

impl Edit {
    /// Takes the edit back.
    pub fn undo(self) -> anyhow::Result<()> {
        fs::write(&self.file, &self.sound).with_context(|| self.file.display().to_string())
    }
}

/// Everything that belongs to the workspace: what is tracked, and what is new and not ignored.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !listed.status.success() {
        bail!("{command:?} ended with {}", listed.status);
    }
    let names = String::from_utf8(listed.stdout).context("a file's name is no text")?;
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(paths.filter(|path| root.join(path).is_file()).collect())
}

fn files_below(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(root)?.to_owned()),
            }
        }
    }
    Ok(found)
}

fn bring(from: &Path, to: &Path) -> anyhow::Result<()> {
    let content = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    // Copied with its mode: some files are programs.
    fs::copy(from, to).map(|_| ()).map_err(Into::into)
}
