//! Every connection is an open file, and many systems allow a process 1,024 of them unless it asks for more.

use posthaste_api::server::ServerBounds;
use posthaste_engine::bounds::Bounds;
use posthaste_net::PoolLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::open_files::refuse_few;

/// What the bounds on connections, in and out, may come to at worst.
const WANTED: u64 = 131_072;
/// Left for the store, runtimes, listeners themselves, name look-ups and whatever is opened for a moment.
const RESERVED: usize = 128;
/// With fewer nothing can be served: the store, runtimes and listeners take about half of them.
const NEEDED: u64 = 96;
/// What is shared out however low the limit is.
const SHARED_AT_LEAST: usize = 32;
/// An attempt may try two addresses at a time before it is known to be slow.
const FILES_PER_ATTEMPT: usize = 2;
/// Idle connections kept by all processors together.
const IDLE_MAX: usize = 16_384;

/// Asks for as many open files as this process may have, up to what it can use. Gives back how many it has.
///
/// # Errors
/// If it has too few to serve.
pub(super) fn allow_many() -> Result<usize, Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let mut reached = current.unwrap_or(u64::MAX);
    if reached < wanted {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
            Ok(()) => reached = wanted,
            Err(error) => tracing::warn!(%error, "the limit on open files could not be raised"),
        }
    }
    refuse_few(NEEDED)?;
    Ok(usize::try_from(reached).unwrap_or(usize::MAX))
}

/// How many connections there may be, in and out, so that none of them takes the last open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connections {
    /// Attempts under way.
    pub engine: Bounds,
    /// Idle ones, for each processor.
    pub pool: PoolLimits,
    /// Those that come in, at each listener.
    pub server: ServerBounds,
}

impl Connections {
    /// As many as the bounds say if so many open files allow it, and a warning if they do not.
    pub fn within(limit: usize, processors: usize, listeners: usize) -> Self {
        let usual = Self::usual(processors);
        let files = limit.saturating_sub(RESERVED).max(SHARED_AT_LEAST);
        if usual.files(processors, listeners) <= files {
            return usual;
        }
        let cut = usual.cut(files, processors, listeners);
        tracing::warn!(
            limit,
            attempts = cut.engine.in_flight,
            slow_attempts = cut.engine.in_flight_slow,
            connections = cut.server.connections,
            "the limit on open files allows fewer attempts and connections at one time than usual; raise it (ulimit -n)"
        );
        cut
    }

    fn usual(processors: usize) -> Self {
        let pool = PoolLimits::default();
        let in_all = pool.in_all.min(IDLE_MAX / processors.max(1));
        Self {
            engine: Bounds::default(),
            pool: PoolLimits { in_all, ..pool },
            server: ServerBounds::default(),
        }
    }

    /// How many open files all of it may come to.
    fn files(&self, processors: usize, listeners: usize) -> usize {
        self.engine.in_flight * FILES_PER_ATTEMPT
            + self.engine.in_flight_slow
            + self.pool.in_all * processors
            + self.server.connections * listeners
    }

    /// Half of the files are for attempts, an eighth for idle connections, the rest for those that come in.
    fn cut(mut self, files: usize, processors: usize, listeners: usize) -> Self {
        let engine = &mut self.engine;
        engine.in_flight = engine.in_flight.min(files / 4 / FILES_PER_ATTEMPT);
        engine.in_flight_failing = engine.in_flight_failing.min(engine.in_flight / 2);
        engine.in_flight_slow = engine.in_flight_slow.min(files / 4);
        self.pool.in_all = self.pool.in_all.min(files / 8 / processors.max(1));
        self.server.connections = self.server.connections.min(files * 3 / 8 / listeners.max(1));
        let half = self.server.connections.div_ceil(2);
        self.server.connections_by_address = self.server.connections_by_address.min(half);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_stay_within_the_limit_on_open_files_and_leave_a_reserve() {
        // The limit, processors, listeners; then attempts, those that fail among them, slow ones, idle connections of
        // a processor, connections of a listener and those from one address.
        let table = [
            (usize::MAX, 2, 1, [1_024, 512, 4_096, 2_048, 10_000, 5_000]),
            (131_072, 64, 2, [1_024, 512, 4_096, 256, 10_000, 5_000]),
            (20_368, 2, 1, [1_024, 512, 4_096, 2_048, 10_000, 5_000]),
            (20_367, 2, 1, [1_024, 512, 4_096, 1_264, 7_589, 3_795]),
            (4_096, 2, 2, [496, 248, 992, 248, 744, 372]),
            (1_024, 2, 1, [112, 56, 224, 56, 336, 168]),
            (1_024, 1, 2, [112, 56, 224, 112, 168, 84]),
            (256, 2, 1, [16, 8, 32, 8, 48, 24]),
            (160, 2, 2, [4, 2, 8, 2, 6, 3]),
            (0, 1, 1, [4, 2, 8, 4, 12, 6]),
        ];
        for (limit, processors, listeners, expected) in table {
            let Connections { engine, pool, server } = Connections::within(limit, processors, listeners);
            let got = [
                engine.in_flight,
                engine.in_flight_failing,
                engine.in_flight_slow,
                pool.in_all,
                server.connections,
                server.connections_by_address,
            ];
            assert_eq!(got, expected, "{limit} for {processors} and {listeners}");
            let all = Connections { engine, pool, server }.files(processors, listeners);
            assert!(all + RESERVED <= limit.max(RESERVED + SHARED_AT_LEAST), "{limit}: {all}");
        }
        println!("counted | receivers | limits on open files and the bounds they allow | {}", table.len());
    }
}
