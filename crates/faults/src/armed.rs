//! What a build for tests does.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::{BUGS, POINTS};

/// Where the process ends, and how often it still comes by there before it does.
struct End {
    at: String,
    passes_left: AtomicU64,
}

static END: LazyLock<Option<End>> = LazyLock::new(|| {
    let wanted = setting("POSTHASTE_FAULT_POINT")?;
    let (at, count) = wanted.split_once(':').unwrap_or((wanted.as_str(), "1"));
    assert!(POINTS.iter().any(|known| known.name == at), "there is no fault point {at:?}");
    let passes_left = AtomicU64::new(count.parse().unwrap_or(1));
    Some(End { at: at.to_owned(), passes_left })
});

static BUG: LazyLock<Option<String>> = LazyLock::new(|| {
    let bug = setting("POSTHASTE_BUG")?;
    assert!(BUGS.iter().any(|known| known.name == bug), "there is no bug {bug:?}");
    Some(bug)
});

#[expect(clippy::disallowed_methods, reason = "only in builds for tests, and not a setting of the program")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn point(name: &'static str) {
    debug_assert!(POINTS.iter().any(|known| known.name == name), "{name:?} is not in the list of points");
    let Some(end) = END.as_ref().filter(|end| end.at == name) else { return };
    if end.passes_left.fetch_sub(1, Ordering::Relaxed) == 1 {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

pub fn bug(name: &'static str) -> bool {
    debug_assert!(BUGS.iter().any(|known| known.name == name), "{name:?} is not in the list of bugs");
    BUG.as_deref() == Some(name)
}
