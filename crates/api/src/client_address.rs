//! Who is at the other end, as far as an address can tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a request came from: the connection's, or what a trusted proxy says of it. It travels among a
/// request's extensions to the handlers of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Where nobody said who asks.
    pub const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// An address as it is counted and shown: IPv4 is IPv4, also where the system wraps it into IPv6.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address, if anybody said it.
    #[must_use]
    pub fn known(self) -> Option<IpAddr> {
        (self != Self::UNKNOWN).then_some(self.0)
    }

    /// What stands for everybody behind the address: itself, or of IPv6 the /64 network, all of which one customer of
    /// a provider has.
    #[must_use]
    pub fn neighbourhood(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        }
    }
}

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_ipv4_address_or_one_ipv6_network() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let client = ClientAddress::new(address.parse().unwrap());
            assert_eq!(client.neighbourhood().to_string(), expected, "{address}");
        }
    }
}
