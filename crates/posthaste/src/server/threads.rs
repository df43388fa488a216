//! Threads, which a system may count too (`ulimit -u`, `pids.max`).

use std::thread::{Builder, JoinHandle, park};

use crate::failure::Failure;

/// What a server needs beside one for each processor: for the store, for what blocks, and for watching.
const NEEDED: usize = 12;

/// Refuses to start with fewer threads than are needed: they are all started at one time, and ended again. Where one is
/// missing later, whatever needed it fails by itself, or not at all to be seen.
pub(super) fn refuse_few() -> Result<(), Failure> {
    let needed = NEEDED + std::thread::available_parallelism().map_or(1, usize::from);
    let started: Vec<std::io::Result<JoinHandle<()>>> =
        (0..needed).map(|_| Builder::new().name("posthaste-try".to_owned()).spawn(park)).collect();
    let fault = started.iter().find_map(|thread| thread.as_ref().err().map(ToString::to_string));
    for thread in started.into_iter().flatten() {
        thread.thread().unpark();
        let _ = thread.join();
    }
    match fault {
        None => Ok(()),
        Some(fault) => Err(Failure::refused(format!(
            "this process cannot have the {needed} threads it needs at least ({fault}): raise the limit on threads \
             (ulimit -u, or pids.max of its control group)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn where_threads_are_to_be_had_nothing_is_refused() {
        assert_eq!(super::refuse_few(), Ok(()));
    }
}
