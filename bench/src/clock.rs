//! The times that are measured.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Microseconds since 1970.
pub fn unix_us() -> i64 {
    micros(clock_gettime(ClockId::Realtime))
}

/// The processor time this process has used, in microseconds.
pub fn cpu_us() -> i64 {
    micros(clock_gettime(ClockId::ProcessCPUTime))
}

fn micros(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}
