//! Receivers that say when to come back, and when that is.

use std::ops::RangeInclusive;

/// The schedule's delay before the second attempt, in seconds.
pub const SCHEDULED: u64 = 600;
/// The longest a receiver can ask for.
const LONGEST: u64 = 3_600;

/// A receiver that asks to be left alone for a while.
pub struct Wait {
    pub name: &'static str,
    /// Its whole answer.
    pub answer: String,
    /// Seconds from the end of the attempt to the next one.
    pub seconds: RangeInclusive<u64>,
}

fn wait(status: u16, name: &'static str, headers: &str, seconds: u64) -> Wait {
    let answer = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n");
    Wait { name, answer, seconds: seconds..=seconds + 1 }
}

pub fn waits() -> Vec<Wait> {
    let says = |name, value: &str, seconds| wait(503, name, &format!("Retry-After: {value}\r\n"), seconds);
    let digits = |count: usize| "9".repeat(count);
    vec![
        wait(503, "says nothing", "", SCHEDULED),
        says("0", "0", SCHEDULED),
        says("-1", "-1", SCHEDULED),
        says("+1800", "+1800", SCHEDULED),
        says("1.5", "1.5", SCHEDULED),
        says("1800.0", "1800.0", SCHEDULED),
        says("1e9", "1e9", SCHEDULED),
        says("0x708", "0x708", SCHEDULED),
        says("nothing", "", SCHEDULED),
        says("a word", "soon", SCHEDULED),
        says("less than the schedule", "60", SCHEDULED),
        says("more than the schedule", "1800", 1_800),
        says("with space", "  1800\t", 1_800),
        says("with zeros", "0001800", 1_800),
        says("an hour", "3600", LONGEST),
        says("more than an hour", "9999", LONGEST),
        says("more than anybody lives", "99999999999", LONGEST),
        says("more than fits", &digits(40), LONGEST),
        says("4 KiB of digits", &digits(4 * 1024), LONGEST),
        says("10 KiB of digits", &digits(10 * 1024), SCHEDULED),
        says("no whole date", "Wed, 01 Jan 1970", SCHEDULED),
        says("the first day", "Thu, 01 Jan 1970 00:00:00 GMT", SCHEDULED),
        says("the wrong weekday", "Wed, 01 Jan 2100 00:00:00 GMT", SCHEDULED),
        says("a far day", "Fri, 01 Jan 2100 00:00:00 GMT", LONGEST),
        says("a far day, as it was written once", "Friday, 31-Dec-60 23:59:59 GMT", LONGEST),
        says("the last day", "Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
        says("a day in another zone", "Fri, 01 Jan 2100 00:00:00 +0100", SCHEDULED),
        says("two in one line", "1800, 2400", SCHEDULED),
        says("bytes", "\u{661}\u{668}\u{660}\u{660}", SCHEDULED),
        wait(503, "two lines", "Retry-After: 1800\r\nRetry-After: 2400\r\n", SCHEDULED),
        wait(429, "too many requests", "Retry-After: 1800\r\n", 1_800),
        wait(500, "a status that cannot ask", "Retry-After: 1800\r\n", SCHEDULED),
        wait(301, "a redirect", "Retry-After: 1800\r\nLocation: /\r\n", SCHEDULED),
    ]
}
