//! The functions whose instructions are counted, found by their names: `counted_` and the part.
//!
//! Each is called from one place, is not generic and is never inlined, so that the profile has one entry for it, which
//! holds what it calls as well.

use crate::accepting::{Accepting, Committing};
use crate::delivering::Delivering;
use crate::publishing::Publishing;

/// A publish request over HTTP until its answer: parsing, checking, building the body, committing.
#[inline(never)]
pub fn counted_publish(publishing: &mut Publishing) -> anyhow::Result<()> {
    publishing.round()
}

/// Of that, what is not HTTP.
#[inline(never)]
pub fn counted_accept(accepting: &mut Accepting) -> anyhow::Result<()> {
    accepting.round()
}

/// Of that, the store's part.
#[inline(never)]
pub fn counted_commit(committing: &mut Committing) -> anyhow::Result<()> {
    committing.round()
}

/// From the hint to the claim of an attempt.
#[inline(never)]
pub fn counted_fan_out(delivering: &mut Delivering) -> anyhow::Result<()> {
    delivering.fan_out()
}

/// From the claim to the signed request.
#[inline(never)]
pub fn counted_sign(delivering: &mut Delivering) -> anyhow::Result<()> {
    delivering.sign()
}

/// From the request to its answer, the receiver's part included.
#[inline(never)]
pub fn counted_exchange(delivering: &mut Delivering) -> anyhow::Result<()> {
    delivering.exchange()
}

/// From the answer to what is to be remembered.
#[inline(never)]
pub fn counted_settle(delivering: &mut Delivering) -> anyhow::Result<()> {
    delivering.settle()
}

/// Remembering it.
#[inline(never)]
pub fn counted_record(delivering: &mut Delivering) -> anyhow::Result<()> {
    delivering.record()
}
