//! Waiting for what comes by itself.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often it is counted what is left.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// Waits until something is so, and answers whether it became so in time.
pub async fn becomes(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !is_so() {
        if Instant::now() >= until {
            return false;
        }
        sleep(LOOK_EVERY).await;
    }
    true
}

/// Waits until nothing is left, as long as less and less is: no longer than `still` for anything to come of it.
pub async fn drains(patience: Duration, still: Duration, mut left: impl FnMut() -> usize) {
    let (until, mut least, mut since) = (Instant::now() + patience, usize::MAX, Instant::now());
    loop {
        let now = left();
        if now < least {
            (least, since) = (now, Instant::now());
        }
        if now == 0 || Instant::now() > until || since.elapsed() > still {
            return;
        }
        sleep(COUNT_EVERY).await;
    }
}
