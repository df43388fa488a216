//! Places where a test may end the process, and bugs that a test may switch on.
//!
//! A promise is only worth something if its test can fail. The bugs in [`BUGS`] are the mistakes that such a service
//! could make; the tests of reliability switch each of them on and must notice. The places in [`POINTS`] are those where
//! a process that ends leaves the most behind.
//!
//! Without the feature `armed` all of it is compiled away: [`point`] does nothing and [`bug`] is always `false`. A build
//! with it says so when the server starts, and in its version ([`IS_ARMED`]).

#[cfg(feature = "armed")]
mod armed;
mod lists;

pub use lists::{BUGS, Named, POINTS};

/// Was this built for tests?
pub const IS_ARMED: bool = cfg!(feature = "armed");

/// A place where the process ends as by `kill -9`, if a test asked for it: `POSTHASTE_FAULT_POINT=NAME` or `NAME:N` for
/// the N-th time it comes by. The name is one of [`POINTS`].
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(feature = "armed")]
    armed::point(name);
    #[cfg(not(feature = "armed"))]
    let _ = name;
}

/// Is this bug switched on with `POSTHASTE_BUG=NAME`? The name is one of [`BUGS`].
#[inline(always)]
#[must_use]
pub fn bug(name: &'static str) -> bool {
    #[cfg(feature = "armed")]
    return armed::bug(name);
    #[cfg(not(feature = "armed"))]
    {
        let _ = name;
        false
    }
}
