//! Answers on their way back to those who asked.
//!
//! Waking a task of another thread costs a system call each time. The answers of one commit go to each runtime in one
//! piece, and are given out by a task that runs there.

use tokio::runtime::Handle;

/// Tells one caller. Dropping it instead tells that the writer ended, so that must be known by then.
type Tell = Box<dyn FnOnce() + Send>;

/// An answer, and the runtime of who waits for it.
pub(crate) struct Reply {
    home: Option<Handle>,
    tell: Tell,
}

impl Reply {
    /// `home` is `None` for a caller without a runtime.
    pub fn new(home: Option<Handle>, tell: impl FnOnce() + Send + 'static) -> Self {
        Self { home, tell: Box::new(tell) }
    }
}

/// The answers of one commit.
#[derive(Default)]
pub(crate) struct Replies(Vec<(Option<Handle>, Vec<Tell>)>);

impl Replies {
    pub fn push(&mut self, reply: Reply) {
        let id = reply.home.as_ref().map(Handle::id);
        match self.0.iter_mut().find(|(home, _)| home.as_ref().map(Handle::id) == id) {
            Some((_, tells)) => tells.push(reply.tell),
            None => self.0.push((reply.home, vec![reply.tell])),
        }
    }

    /// Gives them out.
    pub fn give(self) {
        for (home, tells) in self.0 {
            match home {
                // A runtime that ended drops the task, and there is nobody left on it to tell.
                Some(home) if tells.len() > 1 => {
                    home.spawn(async move { tells.into_iter().for_each(|tell| tell()) });
                }
                _ => tells.into_iter().for_each(|tell| tell()),
            }
        }
    }
}
