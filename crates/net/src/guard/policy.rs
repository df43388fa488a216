//! What the operator allows beyond the public internet.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::{IpNet, Ipv6Net};

use super::Origin;
use super::address;
use super::rule::{Refusal, Rule};

/// IPv4 addresses in the form in which IPv6 sockets speak of them (RFC 4291 section 2.5.5.2).
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// What the operator allows, and what is never allowed.
#[derive(Debug, Clone, Default)]
pub struct GuardPolicy {
    allow_nets: Vec<IpNet>,
    allows_any_net: bool,
    allows_http: bool,
    own_addresses: Vec<SocketAddr>,
}

/// A network that cannot be allowed as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitNet {
    /// It is the whole of a family, alone or together with others.
    #[error("{0} is every address there is, which would switch the address guard off")]
    Whole(IpNet),
    /// It has bits beyond its prefix: a network was meant, or one address.
    #[error("{0} has bits beyond its prefix; the network is {network}", network = .0.trunc())]
    HostBits(IpNet),
    /// IPv4 addresses written as IPv6 ones, which no delivery goes to.
    #[error("{0} is a network of IPv4 addresses mapped into IPv6; write it as an IPv4 network")]
    Mapped(IpNet),
}

impl GuardPolicy {
    /// Allows these networks beside the public internet.
    ///
    /// # Errors
    /// If one of them is not written as the network it is, or they cover every address of a family; see
    /// [`GuardPolicy::allowing_any_net`].
    pub fn new(allow_nets: Vec<IpNet>) -> Result<Self, UnfitNet> {
        for net in &allow_nets {
            match net {
                net if net.trunc() != *net => return Err(UnfitNet::HostBits(*net)),
                IpNet::V6(v6) if MAPPED.contains(v6) => return Err(UnfitNet::Mapped(*net)),
                _ => {}
            }
        }
        // Two halves are the whole, too.
        match IpNet::aggregate(&allow_nets).into_iter().find(|net| net.prefix_len() == 0) {
            Some(whole) => Err(UnfitNet::Whole(whole)),
            None => Ok(Self { allow_nets, ..Self::default() }),
        }
    }

    /// Allows every network. For closed test networks only.
    #[must_use]
    pub fn allowing_any_net(mut self) -> Self {
        self.allows_any_net = true;
        self
    }

    /// Says whether `http://` is allowed.
    #[must_use]
    pub fn allowing_http(mut self, allows_http: bool) -> Self {
        self.allows_http = allows_http;
        self
    }

    /// Names the addresses this server listens on. They are forbidden whatever else is allowed, because a webhook to
    /// ourselves is a loop. A listener on all addresses forbids its port on every address of this machine.
    #[must_use]
    pub fn with_own_addresses(mut self, own_addresses: Vec<SocketAddr>) -> Self {
        self.own_addresses = own_addresses;
        self
    }

    /// Is `http://` allowed?
    #[must_use]
    pub fn allows_http(&self) -> bool {
        self.allows_http
    }

    /// Is any network allowed beside the public internet?
    pub(crate) fn allows_nets(&self) -> bool {
        self.allows_any_net || !self.allow_nets.is_empty()
    }

    /// Does the address lie in a network that was allowed? Mapped IPv4 addresses lie in none.
    pub(super) fn covers(&self, ip: IpAddr, origin: Origin) -> bool {
        let ip = meant(ip, origin);
        let is_mapped = matches!(ip, IpAddr::V6(v6) if MAPPED.contains(&v6));
        self.allows_any_net || (!is_mapped && self.allow_nets.iter().any(|net| net.contains(&ip)))
    }

    /// Is it an address of the public internet, and not one of ours?
    pub(super) fn is_public(&self, address: SocketAddr, origin: Origin) -> bool {
        address::is_public(meant(address.ip(), origin)) && !self.is_own(address, origin)
    }

    /// Judges one address alone: allowed by where it lies or by who named it, and not one of ours.
    pub(super) fn check_address(&self, address: SocketAddr, origin: Origin) -> Result<(), Refusal> {
        let is_allowed = origin == Origin::Operator || self.covers(address.ip(), origin);
        let is_allowed = is_allowed || address::is_public(meant(address.ip(), origin));
        if is_allowed && !self.is_own(address, origin) { Ok(()) } else { Err(Rule::IpForbidden.refused()) }
    }

    /// Does one of our own listeners take connections to this address?
    pub(super) fn is_own(&self, address: SocketAddr, origin: Origin) -> bool {
        let ip = meant(address.ip(), origin).to_canonical();
        let mut same_port = self.own_addresses.iter().filter(|own| own.port() == address.port());
        same_port.any(|own| {
            let own = own.ip().to_canonical();
            // Connecting to "no address" connects to this machine.
            own == ip || ip.is_unspecified() || (own.is_unspecified() && is_of_this_machine(ip))
        })
    }
}

/// Only a machine's own addresses can be bound to. Nothing is sent.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
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
    fn networks_are_taken_only_as_what_they_are() {
        let mut judged = 0;
        for (nets, expected) in [
            (&["10.0.0.0/8"][..], "allowed"),
            (&["10.0.0.1/32", "::1/128"], "allowed"),
            (&["fd00::/8", "64:ff9b::/96"], "allowed"),
            (&["0.0.0.0/1", "::/1"], "allowed"),
            (&["0.0.0.0/0"], "0.0.0.0/0 is every address"),
            (&["::/0"], "::/0 is every address"),
            (&["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0 is every address"),
            (&["8000::/1", "10.0.0.0/8", "4000::/2", "::/2"], "::/0 is every address"),
            (&["10.0.0.1/8"], "10.0.0.1/8 has bits beyond its prefix; the network is 10.0.0.0/8"),
            (&["fd00::1/8"], "fd00::1/8 has bits beyond its prefix"),
            (&["::ffff:10.0.0.0/104"], "::ffff:10.0.0.0/104 is a network of IPv4 addresses mapped"),
            (&["::ffff:0:0/96"], "::ffff:0.0.0.0/96 is a network of IPv4 addresses mapped"),
        ] {
            let read = GuardPolicy::new(nets.iter().map(|net| net.parse().unwrap()).collect());
            let said = read.map_or_else(|unfit| unfit.to_string(), |_| "allowed".to_owned());
            assert!(said.starts_with(expected), "{nets:?}: {said}");
            judged += 1;
        }
        println!("counted | guard | lists of allowed networks | {judged}");
    }

    #[test]
    fn the_whole_internet_must_be_asked_for_by_name() {
        let open = GuardPolicy::default().allowing_any_net();
        for address in ["127.0.0.1:1", "[::1]:1", "[::ffff:10.0.0.1]:1", "169.254.169.254:80"] {
            assert!(open.check_address(address.parse().unwrap(), Origin::Dns).is_ok(), "{address}");
        }
        let own = open.with_own_addresses(vec!["127.0.0.1:8080".parse().unwrap()]);
        assert!(own.check_address("127.0.0.1:8080".parse().unwrap(), Origin::Literal).is_err());
    }

    #[test]
    fn addresses_are_judged_by_where_they_came_from() {
        let none = policy(&[]);
        let loopback = policy(&["127.0.0.0/8"]);
        let low_v6 = policy(&["::/8"]);
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
            (&loopback, "[::ffff:127.0.0.1]:443", Origin::Dns, false),
            (&loopback, "[::1]:443", Origin::Dns, false),
            (&loopback, "10.0.0.1:443", Origin::Dns, false),
            (&low_v6, "[::1]:443", Origin::Literal, true),
            (&low_v6, "[::ffff:10.0.0.1]:443", Origin::Literal, false),
        ] {
            let verdict = policy.check_address(address.parse().unwrap(), origin);
            assert_eq!(verdict.is_ok(), expected, "{address} {origin:?}");
        }
    }

    /// The address by which this machine would speak to the outside, if it is connected to anything. What depends on it
    /// is asserted, and not counted.
    fn outer_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        // Choosing a route is not sending: documentation addresses are never reached.
        socket.connect("192.0.2.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    #[test]
    fn our_own_listeners_are_never_allowed() {
        let own: Vec<SocketAddr> = ["0.0.0.0:8080", "127.0.0.2:9090", "[::]:7070", "[::ffff:127.0.0.3]:6060"]
            .map(|own| own.parse().unwrap())
            .to_vec();
        let everywhere = GuardPolicy::default().allowing_any_net().with_own_addresses(own);
        let rows: [(SocketAddr, bool); 16] = [
            ("127.0.0.1:8080", false),
            ("127.9.9.9:8080", false),
            ("[::1]:8080", false),
            ("0.0.0.0:8080", false),
            ("[::ffff:127.0.0.1]:8080", false),
            ("[::ffff:0.0.0.0]:8080", false),
            ("192.0.2.1:8080", true),
            ("127.0.0.1:8081", true),
            ("127.0.0.2:9090", false),
            ("[::ffff:127.0.0.2]:9090", false),
            ("0.0.0.0:9090", false),
            ("[::]:9090", false),
            ("127.0.0.1:9090", true),
            ("127.0.0.1:7070", false),
            ("[::1]:7070", false),
            ("127.0.0.3:6060", false),
        ]
        .map(|(address, expected)| (address.parse().unwrap(), expected));
        let outer =
            outer_address().map(|ip| [(SocketAddr::new(ip, 8080), false), (SocketAddr::new(ip, 9090), true)]);
        for (address, expected) in rows.into_iter().chain(outer.into_iter().flatten()) {
            for origin in [Origin::Literal, Origin::Dns, Origin::Operator] {
                let verdict = everywhere.check_address(address, origin);
                assert_eq!(verdict.is_ok(), expected, "{address} {origin:?}");
            }
        }
        let translated: SocketAddr = "[64:ff9b::7f00:2]:9090".parse().unwrap();
        assert!(everywhere.check_address(translated, Origin::Dns).is_err());
        println!("counted | guard | addresses beside our own listeners | {}", rows.len() + 1);
    }
}
