//! How much each caller has used of the contract's rates.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use posthaste_contract::model::{Contract, Index, Owner, Rate, RateUnit, Route};
use posthaste_core::rate::{RateAnswer, RateLimit, RateUse};
use posthaste_core::{ApiKey, UnixMs};

/// Entries kept before the first look for some that can be forgotten.
const FIRST_LOOK: usize = 4096;

/// Which rate, and the number of the key or account it is counted by.
type Entry = (Index, i64);

/// What has been used. Entries that are free again are forgotten, so it holds no more than the callers of one window.
#[derive(Default)]
pub(super) struct RateBook {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    used: HashMap<Entry, RateUse>,
    next_look: usize,
}

impl RateBook {
    /// Spends what a request costs, of all the rates of its route or of none. Answers for the first rate that refuses,
    /// else for the one with the least left; `None` if the route has no rates.
    pub fn spend<'c>(
        &self,
        contract: &'c Contract,
        route: &Route,
        key: &ApiKey,
        now: UnixMs,
    ) -> Option<(&'c Rate, RateAnswer)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = Vec::with_capacity(route.rates.len());
        let mut tightest: Option<(&Rate, RateAnswer)> = None;
        for index in &route.rates {
            let Some(rate) = contract.rates.get(*index) else { continue };
            let entry = (*index, counted_by(rate, key));
            let mut used = inner.used.get(&entry).copied().unwrap_or_default();
            let answer = rate.limit.spend(&mut used, cost(rate, route), now);
            if !answer.allowed {
                return Some((rate, answer));
            }
            spent.push((entry, used));
            if tightest.is_none_or(|(_, other)| answer.remaining < other.remaining) {
                tightest = Some((rate, answer));
            }
        }
        inner.used.extend(spent);
        inner.forget_free(now);
        tightest
    }
}

impl Inner {
    /// Looks for free entries whenever their number has doubled, so that each request pays a small constant part.
    fn forget_free(&mut self, now: UnixMs) {
        if self.used.len() >= self.next_look.max(FIRST_LOOK) {
            self.used.retain(|_, used| !RateLimit::is_free(used, now));
            self.next_look = self.used.len() * 2;
        }
    }
}

fn counted_by(rate: &Rate, key: &ApiKey) -> i64 {
    match rate.per {
        Owner::Key => key.no.0,
        Owner::Account => key.account.0,
    }
}

fn cost(rate: &Rate, route: &Route) -> u32 {
    match rate.unit {
        RateUnit::Request => 1,
        RateUnit::Weight => route.weight,
    }
}
