//! Libraries that stand between the program and the C library (`LD_PRELOAD`): they write down or break what it asks of
//! the system. Built from `preload/*.c` with the machine's C compiler, which the program itself needs to be built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Their sources, as they were when this program was built.
const SOURCES: [(&str, &str); 3] = [
    ("record", include_str!("../../preload/record.c")),
    ("fail", include_str!("../../preload/fail.c")),
    ("clock", include_str!("../../preload/clock.c")),
];

/// Builds one of them into a folder and answers where the library is.
pub fn build(name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let known = SOURCES.iter().find(|(known, _)| *known == name);
    let (_, text) = known.with_context(|| format!("there is no preload/{name}.c"))?;
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("lib{name}.so")));
    std::fs::write(&source, text)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread", "-o"]);
    compiler.arg(&library).arg(&source).arg("-ldl");
    let output = compiler.output().context("the C compiler `cc` cannot be started")?;
    if !output.status.success() {
        bail!("{} does not compile:\n{}", source.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(library)
}
