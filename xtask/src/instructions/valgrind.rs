//! Running a program under callgrind, the same everywhere.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// What the program is run with, and nothing else of the environment. Code that is chosen by what the processor can
/// do is chosen as on a plain one: the cryptography's, by the bits of SSE to SSSE3, and the C library's copying.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("OPENSSL_ia32cap", "~0xfffffdfef87fffef:~0xffffffffffffffff"),
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX,-AVX2,-ERMS,-FSRM"),
];

/// Runs the program, which says how many deliveries it made; the profile goes to a file.
pub fn run(program: &Path, profile: &Path) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
        .envs(ENVIRONMENT)
        .stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let told = String::from_utf8_lossy(&output.stdout);
    let deliveries = told.trim().parse().with_context(|| format!("{told:?} is no number of deliveries"))?;
    ensure!(deliveries > 0, "nothing was delivered");
    Ok(deliveries)
}
