//! A core dump would hold every secret in the clear, and lie where nobody looks after it.

use rustix::process::{Resource, Rlimit, setrlimit};

/// From here on a crash of this process leaves none, and the limit cannot be raised again.
pub(super) fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be switched off; they would hold secrets");
    }
}
