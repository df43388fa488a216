//! Who guesses credentials, and how they are stopped.
//!
//! More different wrong credentials from one address than a limit within [`WINDOW`], and further requests from there are
//! refused before their credential is looked at, for as long again. Credentials that were accepted from that address
//! lately go on working: whoever guesses from behind the same proxy as the product locks nobody out. An address of this
//! machine or of a private network may be a proxy that stands for everybody: there only wrong credentials are told to
//! wait. A wrong credential counts once however often it comes, because a client that is set up wrong guesses nothing.
//!
//! Credentials are remembered as keyed hashes, and only in memory.

mod accepted;
mod suspects;

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::Duration;

use posthaste_core::{Dice, UnixMs};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use siphasher::sip::SipHasher13;

use crate::client_address::ClientAddress;
use accepted::{Accepted, Noted};
use suspects::{Suspects, Verdict};

/// Within which time wrong credentials are counted together, and for how long nothing more is heard then.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The highest limit: each wrong credential that is counted takes memory.
pub const LIMIT_MAX: u32 = 1000;
/// How many accepted credentials of operators are remembered.
const OPERATORS: usize = 4096;
/// How many accepted credentials of customers are remembered.
const CUSTOMERS: usize = 65_536;

/// Which API somebody wants to get in to. What customers do with their keys makes no operator's token forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The admin API.
    Admin,
    /// The public API.
    Public,
}

/// An address is blocked: nothing is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// For how much longer.
    pub retry_in: Duration,
}

/// What all listeners and runtimes know of failed logins.
pub struct Logins {
    limit: u32,
    keys: (u64, u64),
    operators: Accepted,
    customers: Accepted,
    suspects: Suspects,
    wrong: Counter,
    refused: Counter,
    blocks: Counter,
}

impl Logins {
    /// Blocks an address after more than `limit` different wrong credentials; 0 blocks nobody. More than [`LIMIT_MAX`]
    /// is taken for that.
    #[must_use]
    pub fn new(limit: u32, dice: &dyn Dice) -> Self {
        let limit = limit.min(LIMIT_MAX);
        Self {
            limit,
            keys: (dice.roll(), dice.roll()),
            operators: Accepted::for_about(OPERATORS),
            customers: Accepted::for_about(CUSTOMERS),
            suspects: Suspects::new(limit as usize),
            wrong: Counter::default(),
            refused: Counter::default(),
            blocks: Counter::default(),
        }
    }

    /// Shows in the metrics what is counted.
    pub fn register(&self, registry: &mut Registry) {
        for (name, help, counter) in [
            ("posthaste_failed_logins", "Wrong credentials, repeated ones included", &self.wrong),
            (
                "posthaste_failed_logins_refused",
                "Requests refused because of failed logins: unseen, or from private addresses once they were seen to be wrong",
                &self.refused,
            ),
            (
                "posthaste_failed_logins_blocks",
                "Times that an address was blocked for failed logins",
                &self.blocks,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    /// Begins to let somebody in who shows these texts, which stand for one credential; none are no guess.
    pub(crate) fn begin<'t>(
        &self,
        door: Door,
        client: ClientAddress,
        texts: impl IntoIterator<Item = &'t [u8]>,
        now: UnixMs,
    ) -> Result<Login<'_>, Blocked> {
        let mut login = Login {
            logins: self,
            door,
            from: client.neighbourhood(),
            pair: 0,
            shows_something: false,
            noted: None,
            now,
        };
        if self.limit == 0 {
            return Ok(login);
        }
        let mut hasher = self.hasher();
        login.hash_address(&mut hasher);
        for text in texts {
            login.shows_something = true;
            hasher.write(text);
            hasher.write_u8(0xff);
        }
        login.pair = hasher.finish();
        login.noted = self.accepted(door).knows(login.pair, now);
        if login.shows_something && login.noted.is_some() {
            return Ok(login);
        }
        match self.suspects.blocked_for(login.shard(), login.from, now) {
            Some(retry_in) if !may_stand_for_many(login.from) => Err(self.refuse(retry_in)),
            _ => Ok(login),
        }
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.keys.0, self.keys.1)
    }

    fn accepted(&self, door: Door) -> &Accepted {
        match door {
            Door::Admin => &self.operators,
            Door::Public => &self.customers,
        }
    }

    fn refuse(&self, retry_in: Duration) -> Blocked {
        self.refused.inc();
        Blocked { retry_in }
    }

    fn count_wrong(&self, login: &Login<'_>, guess: u64) -> Result<(), Blocked> {
        self.wrong.inc();
        match self.suspects.guessed(login.shard(), login.from, guess, login.now) {
            Verdict::Counted => Ok(()),
            Verdict::Blocked(retry_in) => Err(self.refuse(retry_in)),
            Verdict::Blocks => {
                self.blocks.inc();
                tracing::warn!(
                    address = %login.from,
                    limit = self.limit,
                    seconds = WINDOW.as_secs(),
                    "too many different wrong credentials from this address: only those accepted lately are looked at"
                );
                Ok(())
            }
        }
    }
}

/// Somebody who shows a credential and is not yet in.
pub(crate) struct Login<'l> {
    logins: &'l Logins,
    door: Door,
    from: IpAddr,
    /// Stands for the address and the credential.
    pair: u64,
    shows_something: bool,
    noted: Option<Noted>,
    now: UnixMs,
}

impl Login<'_> {
    /// The credential was right.
    pub fn accepted(&self) {
        if self.logins.limit > 0 && self.noted != Some(Noted::JustNow) {
            self.logins.accepted(self.door).keep(self.pair, self.now);
        }
    }

    /// The credential was wrong.
    ///
    /// # Errors
    /// If the address was blocked in the meantime: then nobody is told that it was wrong.
    pub fn refused(&self) -> Result<(), Blocked> {
        if self.logins.limit == 0 || !self.shows_something {
            return Ok(());
        }
        self.logins.count_wrong(self, self.pair)
    }

    /// The credential names somebody, but what should prove it was wrong.
    ///
    /// # Errors
    /// As [`Self::refused`].
    pub fn refused_proof(&self, proof: &[u8]) -> Result<(), Blocked> {
        if self.logins.limit == 0 {
            return Ok(());
        }
        let mut hasher = self.logins.hasher();
        hasher.write_u64(self.pair);
        hasher.write(proof);
        self.logins.count_wrong(self, hasher.finish())
    }

    fn hash_address(&self, hasher: &mut SipHasher13) {
        match self.from {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
    }

    /// Spreads addresses over the shards in a way that nobody outside can steer.
    fn shard(&self) -> u64 {
        let mut hasher = self.logins.hasher();
        self.hash_address(&mut hasher);
        hasher.finish()
    }
}

/// May it be a proxy in front of this server? Such addresses are not on the public internet.
fn may_stand_for_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        // Of IPv6 only the network is known here, so the loopback address is all zeros.
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
