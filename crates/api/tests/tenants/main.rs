//! Tenants apart: no call with one tenant's credentials reads, changes or betrays what belongs to another.
//!
//! The rows are made from the compiled contracts: each route with an id in it, by every kind of key.

#[cfg(test)]
#[path = "../public/rig/mod.rs"]
#[expect(dead_code, reason = "the rig serves other suites too")]
mod rig;

#[cfg(test)]
#[path = "../admin/rig.rs"]
#[expect(dead_code, reason = "the rig serves other suites too")]
mod admin_rig;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod holdings;

#[cfg(test)]
mod lists;
#[cfg(test)]
mod matrix;

#[cfg(test)]
mod operator;

#[cfg(test)]
mod collisions;

#[cfg(test)]
mod timing;

#[cfg(test)]
mod races;
