//! Real clients judge real deliveries: packages from PyPI in a virtual environment of the project's own.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::counts::{self, Counts};

/// Builds the binary, installs the clients and runs the tests in `tests/clients`.
///
/// Where Python cannot be had, it says so and goes on; under CI that is a failure.
pub fn run(root: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    if has_python() {
        return judge(root, counts);
    }
    println!("SKIPPED: tests/clients: python3 with its venv module is not on this machine");
    if crate::is_ci() {
        bail!("nothing may be skipped under CI");
    }
    Ok(())
}

fn judge(root: &Path, counts: &mut Counts) -> anyhow::Result<()> {
    crate::run(Command::new("cargo").args(["build", "--package", "posthaste"]).current_dir(root))?;
    let environment = root.join("target/clients");
    let python = environment.join("bin/python");
    if !python.exists() {
        crate::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let tests = root.join("tests/clients");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    crate::run(Command::new(&python).args(install).arg(tests.join("requirements.txt")))?;
    let mut judges = Command::new(&python);
    judges
        .args(["-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider"])
        .arg(&tests)
        .env("POSTHASTE_BINARY", root.join("target/debug/posthaste"));
    counts::collect(&mut judges, counts)
}

fn has_python() -> bool {
    let asked = Command::new("python3").args(["-c", "import venv, ensurepip"]).status();
    asked.is_ok_and(|status| status.success())
}
