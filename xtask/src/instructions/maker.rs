//! What decides the number of instructions besides the source: the compilers, the C library, the processor.

use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

/// What built and ran a program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Maker {
    /// The compiler of Rust.
    pub rustc: String,
    /// The compiler of C, for SQLite and the cryptography.
    pub cc: String,
    /// The C library, whose allocator and copying are part of the counts.
    pub libc: String,
    /// The processor, as far as code is chosen by it while running.
    pub target: String,
}

impl Maker {
    /// Asks the tools of this machine.
    pub fn of_this_machine() -> anyhow::Result<Self> {
        Ok(Self {
            rustc: first_line("rustc", &["--version"])?,
            cc: first_line("cc", &["--version"])?,
            libc: first_line("getconf", &["GNU_LIBC_VERSION"])?,
            target: target(),
        })
    }

    /// The names and values of the fields.
    pub fn fields(&self) -> [(&'static str, &str); 4] {
        [("rustc", &self.rustc), ("cc", &self.cc), ("libc", &self.libc), ("target", &self.target)]
    }

    /// Where this one differs from the one that is kept.
    pub fn differences(&self, kept: &Self) -> Vec<String> {
        let both = self.fields().into_iter().zip(kept.fields());
        both.filter(|(here, kept)| here != kept)
            .map(|((name, here), (_, kept))| format!("{name} is {here}, was {kept}"))
            .collect()
    }
}

fn first_line(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn target() -> String {
    // Searching bytes is done with what the processor has; nothing in the environment of a program can change that.
    let widest = if std::is_x86_feature_detected!("avx2") { "with" } else { "without" };
    format!("x86_64 {widest} avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn target() -> String {
    std::env::consts::ARCH.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_both_sides() {
        let kept = Maker {
            rustc: "rustc 1.95.0".to_owned(),
            cc: "cc 12".to_owned(),
            libc: "glibc 2.36".to_owned(),
            target: "x86_64 with avx2".to_owned(),
        };
        assert!(kept.differences(&kept).is_empty());
        let here = Maker { cc: "cc 14".to_owned(), ..kept.clone() };
        assert_eq!(here.differences(&kept), ["cc is cc 14, was cc 12"]);
    }
}
