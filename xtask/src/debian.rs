//! Programs that tests need and that Debian has.

use std::process::{Command, Stdio};

use anyhow::bail;

/// Sees to it that a program is here, and installs its package where Debian's packages and the rights for it are at hand.
///
/// # Errors
/// If the program is neither here nor to be had.
pub fn ensure(program: &str, package: &str) -> anyhow::Result<()> {
    if is_here(program) {
        return Ok(());
    }
    println!("{program} is not on this machine; installing it");
    let installed = apt_get(&["update", "--quiet"]) && apt_get(&["install", "--yes", "--quiet", package]);
    if !installed || !is_here(program) {
        bail!(
            "{program} is not on this machine and could not be installed; on Debian: apt-get install {package}"
        );
    }
    Ok(())
}

fn is_here(program: &str) -> bool {
    let mut asked = Command::new(program);
    // Not all of them know the option: that it can be started is enough.
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// As the user we are, or else as root if nobody has to be asked for a password.
fn apt_get(arguments: &[&str]) -> bool {
    let plain = ["apt-get"];
    let with_rights = ["sudo", "--non-interactive", "apt-get"];
    [plain.as_slice(), with_rights.as_slice()].into_iter().any(|words| {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
