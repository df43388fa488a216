//! The standard contract with other numbers: schedules and rates that a test can wait for.

use std::path::Path;

use anyhow::ensure;

const STANDARD: &str = include_str!("../../../contracts/standard.toml");
/// The name of the file.
pub const FILE: &str = "short.toml";
/// Delays of the shortened schedule, in milliseconds.
pub const DELAYS_MS: [u64; 3] = [300, 1_000, 2_000];
/// What becomes the shortened schedule.
const SHORTER: [(&str, &str); 2] = [
    (r#"["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]"#, r#"["300ms", "1s", "2s"]"#),
    ("jitter      = 0.1", "jitter      = 0.0"),
];

/// Writes the contract into a folder, with the schedule of [`DELAYS_MS`] and further texts changed.
///
/// # Errors
/// If a text is not in it, or the file cannot be written.
pub fn shorten(folder: &Path, further: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut contract = STANDARD.to_owned();
    for (long, short) in SHORTER.iter().chain(further) {
        ensure!(contract.contains(long), "the standard contract does not say `{long}`");
        contract = contract.replace(long, short);
    }
    Ok(std::fs::write(folder.join(FILE), contract)?)
}
