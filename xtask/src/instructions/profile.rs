//! Reading callgrind's profile.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

/// The functions that are counted are named so; the rest of the name is the part's.
const COUNTED: &str = "counted_";

/// The instructions of each part, with all it calls.
///
/// The profile has, for every call from one function to another, a line `cfn=` with the name of the callee, one
/// `calls=`, and one with what the calls took, whose last number is the instructions.
pub fn parts(profile: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    ensure!(
        profile.lines().any(|line| line == "events: Ir"),
        "the profile does not count instructions alone"
    );
    let mut parts = BTreeMap::new();
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        let Some(part) = line.strip_prefix("cfn=").and_then(part) else { continue };
        let calls = lines.next().filter(|line| line.starts_with("calls="));
        let cost = calls.and_then(|_| lines.next()).and_then(|line| line.split(' ').next_back());
        let cost: u64 =
            cost.and_then(|cost| cost.parse().ok()).with_context(|| format!("no cost after {line}"))?;
        *parts.entry(part.to_owned()).or_default() += cost;
    }
    ensure!(!parts.is_empty(), "the profile has none of the functions that are counted");
    Ok(parts)
}

/// The part that a function is, if it is one: nothing but the name itself, without what the compiler appends.
fn part(function: &str) -> Option<&str> {
    let path = function.strip_prefix("posthaste_hot_path::counted::")?;
    let name = path.split_once("::h").map_or(path, |(name, _)| name);
    name.strip_prefix(COUNTED)
        .filter(|part| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
events: Ir

fl=???
fn=posthaste_hot_path::main
0 1200
cfn=posthaste_hot_path::counted::counted_publish
calls=32 0 
0 640000
cfn=posthaste_hot_path::counted::counted_fan_out
calls=32 0 
0 32000

fn=posthaste_hot_path::counted::counted_publish
0 64
cfn=posthaste_hot_path::publishing::Publishing::round
calls=32 0 
0 639936

totals: 673200
";

    #[test]
    fn parts_hold_what_they_call() {
        let expected = [("fan_out".to_owned(), 32_000), ("publish".to_owned(), 640_000)];
        assert_eq!(parts(PROFILE).unwrap(), expected.into());
    }

    #[test]
    fn a_profile_without_them_is_a_failure() {
        assert!(parts("events: Ir\nfn=main\n0 7\n").is_err());
        assert!(parts(&PROFILE.replace("events: Ir", "events: Ir Dr")).is_err());
        assert!(parts(&PROFILE.replace("0 32000\n", "")).is_err());
    }

    #[test]
    fn names_are_told_from_longer_ones() {
        let at = |name: &str| part(&format!("posthaste_hot_path::counted::{name}")).map(str::to_owned);
        assert_eq!(at("counted_fan_out").as_deref(), Some("fan_out"));
        assert_eq!(at("counted_sign::h0123456789abcdef").as_deref(), Some("sign"));
        assert_eq!(at("counted_sign::{{closure}}"), None);
        assert_eq!(at("other"), None);
        assert_eq!(part("core::ops::counted_sign"), None);
    }
}
