//! Libraries that stand between the program and the C library (`LD_PRELOAD`): they write down or break what it asks of
//! the system. Built from `preload/*.c` with the machine's C compiler, which the program itself needs to be built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Builds `preload/NAME.c` into a folder and answers where the library is.
pub fn build(name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("preload").join(format!("{name}.c"));
    let library = folder.join(format!("lib{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread", "-o"]);
    compiler.arg(&library).arg(&source).arg("-ldl");
    let output = compiler.output().context("the C compiler `cc` cannot be started")?;
    if !output.status.success() {
        bail!("{} does not compile:\n{}", source.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(library)
}
