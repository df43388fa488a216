//! What the operator allows beyond the public internet.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::Origin;
use super::address;
use super::rule::{Refusal, Rule};

/// What the operator allows, and what is never allowed.
#[derive(Debug, Clone, Default)]
pub struct GuardPolicy {
    allow_nets: Vec<IpNet>,
    allows_http: bool,
    own_addresses: Vec<SocketAddr>,
}

/// An allowed network was the whole internet, which switches the guard off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network {0} covers every address; allowing it would switch the address guard off")]
pub struct WholeInternet(pub IpNet);

impl GuardPolicy {
    /// Allows these networks beside the public internet.
    ///
    /// # Errors
    /// If one of them covers every address; see [`GuardPolicy::allowing_any_net`].
    pub fn new(allow_nets: Vec<IpNet>) -> Result<Self, WholeInternet> {
        match allow_nets.iter().find(|net| net.prefix_len() == 0) {
            Some(net) => Err(WholeInternet(*net)),
            None => Ok(Self { allow_nets, ..Self::default() }),
        }
    }

    /// Allows every network. For closed test networks only.
    #[must_use]
    pub fn allowing_any_net(mut self) -> Self {
        self.allow_nets = vec![IpNet::V4(Default::default()), IpNet::V6(Default::default())];
        self
    }

    /// Says whether `http://` is allowed.
    #[must_use]
    pub fn allowing_http(mut self, allows_http: bool) -> Self {
        self.allows_http = allows_http;
        self
    }

    /// Names the addresses this server listens on. They are forbidden whatever else is allowed, because a webhook to
    /// ourselves is a loop. A listener on all addresses forbids its port on the loopback addresses.
    #[must_use]
    pub fn with_own_addresses(mut self, own_addresses: Vec<SocketAddr>) -> Self {
        self.own_addresses = own_addresses;
        self
    }

    /// The networks allowed beside the public internet.
    #[must_use]
    pub fn allow_nets(&self) -> &[IpNet] {
        &self.allow_nets
    }

    /// Is `http://` allowed?
    #[must_use]
    pub fn allows_http(&self) -> bool {
        self.allows_http
    }

    /// Does the address lie in a network that was allowed?
    pub(super) fn covers(&self, ip: IpAddr) -> bool {
        self.allow_nets.iter().any(|net| net.contains(&ip))
    }

    /// As [`GuardPolicy::covers`], judging the address an answer really leads to.
    pub(super) fn covers_from(&self, ip: IpAddr, origin: Origin) -> bool {
        self.covers(meant(ip, origin))
    }

    pub(super) fn check_address(&self, address: SocketAddr, origin: Origin) -> Result<(), Refusal> {
        let ip = meant(address.ip(), origin);
        let is_allowed = origin == Origin::Operator || address::is_public(ip) || self.covers(ip);
        if is_allowed && !self.is_own(SocketAddr::new(ip, address.port())) {
            Ok(())
        } else {
            Err(Rule::IpForbidden.refused())
        }
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let is_here = address.ip().is_loopback() || address.ip().is_unspecified();
        self.own_addresses.iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == address.ip() || (is_here && own.ip().is_unspecified()))
        })
    }
}

fn meant(ip: IpAddr, origin: Origin) -> IpAddr {
    match origin {
        Origin::Dns => address::meant_by_dns(ip),
        Origin::Literal | Origin::Operator => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(nets: &[&str]) -> GuardPolicy {
        GuardPolicy::new(nets.iter().map(|net| net.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn the_whole_internet_must_be_asked_for_by_name() {
        for net in ["0.0.0.0/0", "::/0"] {
            assert!(GuardPolicy::new(vec![net.parse().unwrap()]).is_err(), "{net}");
        }
        let open = GuardPolicy::default().allowing_any_net();
        assert!(open.check_address("127.0.0.1:1".parse().unwrap(), Origin::Dns).is_ok());
        assert!(open.check_address("[::1]:1".parse().unwrap(), Origin::Dns).is_ok());
    }

    #[test]
    fn addresses_are_judged_by_where_they_came_from() {
        let none = policy(&[]);
        let loopback = policy(&["127.0.0.0/8"]);
        for (policy, address, origin, expected) in [
            (&none, "8.8.8.8:443", Origin::Dns, true),
            (&none, "127.0.0.1:443", Origin::Dns, false),
            (&none, "127.0.0.1:443", Origin::Operator, true),
            (&none, "[64:ff9b::808:808]:443", Origin::Dns, true),
            (&none, "[64:ff9b::808:808]:443", Origin::Literal, false),
            (&none, "[64:ff9b::7f00:1]:443", Origin::Dns, false),
            (&none, "[::ffff:10.0.0.1]:443", Origin::Dns, false),
            (&loopback, "127.0.0.1:1", Origin::Literal, true),
            (&loopback, "[64:ff9b::7f00:1]:443", Origin::Dns, true),
            (&loopback, "[::1]:443", Origin::Dns, false),
            (&loopback, "10.0.0.1:443", Origin::Dns, false),
        ] {
            let verdict = policy.check_address(address.parse().unwrap(), origin);
            assert_eq!(verdict.is_ok(), expected, "{address} {origin:?}");
        }
    }

    #[test]
    fn our_own_listeners_are_never_allowed() {
        let own = vec!["0.0.0.0:8080".parse().unwrap(), "127.0.0.2:9090".parse().unwrap()];
        let policy = policy(&["127.0.0.0/8"]).with_own_addresses(own);
        for (address, expected) in [
            ("127.0.0.1:8080", false),
            ("127.0.0.1:8081", true),
            ("127.0.0.2:9090", false),
            ("127.0.0.1:9090", true),
        ] {
            for origin in [Origin::Literal, Origin::Dns, Origin::Operator] {
                let verdict = policy.check_address(address.parse().unwrap(), origin);
                assert_eq!(verdict.is_ok(), expected, "{address} {origin:?}");
            }
        }
    }
}
