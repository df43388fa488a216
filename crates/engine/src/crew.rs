//! Who makes attempts: one runtime for each processor, each with connections of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use posthaste_core::{Attempt, FaultKind};
use posthaste_net::Transport;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::dispatcher::Claim;
use crate::observe::Observe;
use crate::sending::{Sending, not_sent};

/// A runtime, and the transport whose connections belong to it.
pub struct Home {
    /// Where attempts run.
    pub runtime: Handle,
    /// How they get out.
    pub transport: Arc<dyn Transport>,
}

/// An attempt that ended, and whose it was.
pub(crate) struct Ended {
    pub member: usize,
    pub claim: Claim,
    pub attempt: Attempt,
}

/// A member that has a webhook's connections is helped by the idlest one when it has twice as many attempts under way,
/// and so many more. New connections cost more than a little waiting.
const LEAD: usize = 16;

/// Everybody who makes attempts.
pub(crate) struct Crew(Vec<Member>);

struct Member {
    runtime: Handle,
    hand: Arc<Hand>,
    in_flight: usize,
    /// Handed out in one piece: reaching another thread costs the same for one claim as for many.
    claims: Vec<Claim>,
}

/// What an attempt needs.
struct Hand {
    number: usize,
    sending: Sending,
    observe: Observe,
    ended: UnboundedSender<Ended>,
}

impl Crew {
    /// One member for each way of sending. How many attempts are under way is the dispatcher's to bound.
    pub fn new(members: Vec<(Handle, Sending)>, observe: &Observe, ended: &UnboundedSender<Ended>) -> Self {
        let member = |(number, (runtime, sending))| {
            let hand = Hand { number, sending, observe: observe.clone(), ended: ended.clone() };
            Member { runtime, hand: Arc::new(hand), in_flight: 0, claims: Vec::new() }
        };
        Self(members.into_iter().enumerate().map(member).collect())
    }

    /// Gives a claim to the member that has the webhook's connections, or to the idlest if that one is too far ahead.
    pub fn assign(&mut self, claim: Claim) {
        let count = self.0.len().max(1);
        let own = usize::try_from(claim.key.webhook.0).unwrap_or_default() % count;
        let idlest = (0..self.0.len()).min_by_key(|number| self.0[*number].in_flight).unwrap_or_default();
        let is_ahead = self.0[own].in_flight > 2 * self.0[idlest].in_flight + LEAD;
        let member = &mut self.0[if is_ahead { idlest } else { own }];
        member.in_flight += 1;
        member.claims.push(claim);
    }

    /// Starts what was assigned.
    pub fn start(&mut self) {
        for member in &mut self.0 {
            if member.claims.is_empty() {
                continue;
            }
            let (claims, hand) = (std::mem::take(&mut member.claims), member.hand.clone());
            member.runtime.spawn(async move {
                for claim in claims {
                    tokio::spawn(hand.clone().make(claim));
                }
            });
        }
    }

    /// Notes that an attempt is over.
    pub fn ended(&mut self, member: usize) {
        self.0[member].in_flight -= 1;
    }
}

impl Hand {
    async fn make(self: Arc<Self>, claim: Claim) {
        posthaste_faults::point("engine.before-attempt");
        let is_uncaught = posthaste_faults::bug("panic-kills-worker-silently");
        // Whatever fails in here is told as the attempt's end: a slot that is never given back would be lost for good.
        let making = async {
            if is_uncaught {
                panic_now_and_then(claim.slot);
            }
            let attempt = self.sending.attempt(&claim).await;
            self.observe.attempt_ended(&claim, &attempt);
            attempt
        };
        let made = match is_uncaught {
            true => Ok(making.await),
            false => AssertUnwindSafe(making).catch_unwind().await,
        };
        let attempt = made.unwrap_or_else(|_| {
            self.observe.attempt_panicked(&claim);
            not_sent(&claim, FaultKind::Internal, "The attempt could not be made.")
        });
        posthaste_faults::point("engine.attempt-ended");
        // Nobody listens only when deliveries have stopped.
        let _ = self.ended.send(Ended { member: self.number, claim, attempt });
    }
}

/// The fault that a test switched on.
#[expect(clippy::panic, reason = "a test wants to see what an attempt that panics leaves behind")]
fn panic_now_and_then(slot: u64) {
    const ONE_IN: u64 = 16;
    if slot.is_multiple_of(ONE_IN) {
        panic!("a test switched on that attempts panic");
    }
}

#[cfg(test)]
mod tests;
