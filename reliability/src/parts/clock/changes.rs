//! What is done to the clocks.

use crate::rig::clock::Turn;

/// What is done to the clock of one server, in order.
pub struct Change {
    /// What it is.
    pub name: &'static str,
    /// The time zone of the process, as POSIX spells it.
    pub zone: &'static str,
    /// Before its first start.
    pub before: Turn,
    /// While it runs.
    pub running: Turn,
    /// While it is stopped, with retries waiting.
    pub stopped: Turn,
    /// Is the machine started anew meanwhile?
    pub boots: bool,
    /// Is it killed, and not asked to stop?
    pub is_killed: bool,
    /// After its second start.
    pub after: Turn,
}

const DAYS_10: i64 = 864_000_000;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 61_000;
const SECOND: i64 = 1_000;
/// Two seconds before 32 bits of seconds are used up.
const IN_2038: i64 = 2_147_483_645;
const IN_2100: i64 = 4_102_444_800;
/// The last seconds of 2026-06-30, where a leap second would be.
const LEAP: i64 = 1_782_863_998;

const PLAIN: Change = Change {
    name: "",
    zone: "UTC0",
    before: Turn::None,
    running: Turn::None,
    stopped: Turn::None,
    boots: false,
    is_killed: false,
    after: Turn::None,
};

const fn running(name: &'static str, running: Turn, after: Turn) -> Change {
    Change { name, running, after, ..PLAIN }
}

const fn stopped(name: &'static str, stopped: Turn, after: Turn) -> Change {
    Change { name, stopped, after, ..PLAIN }
}

/// A zone, and two seconds before its clocks go forward or back.
const fn zone(zone: &'static str, at: i64) -> Change {
    Change { name: zone, zone, before: Turn::To(at), ..PLAIN }
}

const fn booted(change: Change) -> Change {
    Change { boots: true, ..change }
}

const fn killed(change: Change) -> Change {
    Change { is_killed: true, ..change }
}

/// All changes. Those that matter most come first: a run with every change tries as many as it has time for.
pub const CHANGES: &[Change] = &[
    killed(running("forward 10 days, killed", Turn::By(DAYS_10), Turn::By(-DAYS_10))),
    killed(running("back 10 days, killed", Turn::By(-DAYS_10), Turn::By(DAYS_10))),
    booted(running(
        "forward 10 days, and the machine is started anew",
        Turn::By(DAYS_10),
        Turn::By(-DAYS_10),
    )),
    booted(stopped("the machine is started anew 10 days back", Turn::By(-DAYS_10), Turn::By(DAYS_10))),
    stopped("forward 10 days while it is stopped", Turn::By(DAYS_10), Turn::By(-DAYS_10)),
    running("1970", Turn::To(0), Turn::By(DAYS_10)),
    running("2038", Turn::To(IN_2038), Turn::By(-DAYS_10)),
    running("stopped, then 10 % too fast", Turn::Rate(-1_000_000), Turn::Rate(100_000)),
    running("forward and back 1 s", Turn::By(SECOND), Turn::By(-SECOND)),
    running("back and forward 1 s", Turn::By(-SECOND), Turn::By(SECOND)),
    running("forward and back 61 s", Turn::By(MINUTE), Turn::By(-MINUTE)),
    running("back and forward 61 s", Turn::By(-MINUTE), Turn::By(MINUTE)),
    running("forward and back 1 h", Turn::By(HOUR), Turn::By(-HOUR)),
    running("back and forward 1 h", Turn::By(-HOUR), Turn::By(HOUR)),
    running("10 % too slow, then too fast", Turn::Rate(-100_000), Turn::Rate(100_000)),
    Change { before: Turn::To(LEAP), ..running("a leap second", Turn::By(-SECOND), Turn::None) },
    stopped("back 10 days while it is stopped", Turn::By(-DAYS_10), Turn::By(DAYS_10)),
    booted(stopped("the machine is started anew in 1970", Turn::To(20), Turn::By(DAYS_10))),
    booted(running("back 10 days, and the machine is started anew", Turn::By(-DAYS_10), Turn::By(DAYS_10))),
    running("2100", Turn::To(IN_2100), Turn::By(-DAYS_10)),
    Change { before: Turn::To(20), ..running("from 1970 on", Turn::To(1_795_000_000), Turn::None) },
    zone("CET-1CEST,M3.5.0,M10.5.0/3", 1_774_745_998),
    zone("EST5EDT,M3.2.0,M11.1.0", 1_793_512_798),
    zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1_775_314_798),
    zone("NST3:30NDT,M3.2.0,M11.1.0", 1_772_947_798),
    zone("IST-1GMT0,M10.5.0,M3.5.0/1", 1_792_889_998),
    zone("<-04>4<-03>,M9.1.6/24,M4.1.6/24", 1_775_357_998),
];
