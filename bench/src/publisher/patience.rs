//! A bound on waiting that costs next to nothing when it is not reached.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Bounds one wait after another. Its timer is set again when it fires, not for each wait.
pub struct Patience {
    longest: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub fn new(longest: Duration) -> Self {
        Self { longest, timer: Box::pin(sleep_until(Instant::now() + longest)) }
    }

    /// What comes of `work`, or nothing if that takes too long from `began` on.
    pub async fn wait<T>(&mut self, began: Instant, work: impl Future<Output = T>) -> Option<T> {
        let deadline = began + self.longest;
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            while self.timer.as_mut().poll(context).is_ready() {
                if self.timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                self.timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn waits_end_with_the_work_or_with_the_time() {
        let mut patience = Patience::new(Duration::from_millis(1));
        assert_eq!(patience.wait(Instant::now(), ready(1)).await, Some(1));
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(patience.wait(began, pending::<()>()).await, None);
            assert!(Instant::now() >= began + Duration::from_millis(1));
        }
        assert_eq!(patience.wait(Instant::now(), ready(2)).await, Some(2));
    }
}
