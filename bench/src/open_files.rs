//! Connections are open files, and a thousand hosts take more of them than many machines allow at first.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than any part needs.
const WANTED: u64 = 20_000;

/// Lets this process and those it starts open as many files as the machine lets it say.
pub fn allow_many() -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        allow_many().unwrap();
        let after = getrlimit(Resource::Nofile);
        assert!(after.current.is_none_or(|now| before.current.is_some_and(|then| now >= then)));
        assert_eq!(after.maximum, before.maximum);
    }
}
