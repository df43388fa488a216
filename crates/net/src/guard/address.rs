//! Which addresses are public.
//!
//! IPv6 is an allow-list: only global unicast space less its special blocks. Everything else (mapped, compatible and
//! translated IPv4 among it) falls outside without having to be known by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 blocks that are not public, and one platform address that answers inside a public cloud.
const FORBIDDEN_V4: [Ipv4Net; 19] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 52, 193, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([192, 175, 48, 0], 24),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([168, 63, 129, 16], 32),
];

/// Global unicast.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Blocks inside global unicast that are not public.
const FORBIDDEN_V6: [Ipv6Net; 6] = [
    v6([0x2001, 0, 0], 23),
    v6([0x2001, 0xdb8, 0], 32),
    v6([0x2002, 0, 0], 16),
    v6([0x2620, 0x4f, 0x8000], 48),
    v6([0x3ffe, 0, 0], 16),
    v6([0x3fff, 0, 0], 20),
];

/// The prefix under which translating networks show IPv4 addresses (RFC 6052).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);

/// Is it an address on the public internet?
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !FORBIDDEN_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => PUBLIC_V6.contains(&ip) && !FORBIDDEN_V6.iter().any(|net| net.contains(&ip)),
    }
}

/// The address that a name server's answer really leads to: behind a NAT64 prefix, the IPv4 address inside.
pub(super) fn meant_by_dns(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c]: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_blocks() {
        for (text, expected) in [
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.127.255.255", false),
            ("168.63.129.16", false),
            ("168.63.129.17", true),
            ("172.32.0.0", true),
            ("223.255.255.255", true),
            ("255.255.255.255", false),
            ("1fff:ffff::1", false),
            ("2000::1", true),
            ("2001:1ff:ffff::", false),
            ("2001:200::1", true),
            ("2620:4f:8000::1", false),
            ("2620:4f:8001::1", true),
            ("3fff:fff::1", false),
            ("3fff:1000::1", true),
            ("4000::", false),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::808:808", false),
        ] {
            assert_eq!(is_public(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_translated_address_means_the_one_inside() {
        let meant = |text: &str| meant_by_dns(text.parse().unwrap()).to_string();
        assert_eq!(meant("64:ff9b::7f00:1"), "127.0.0.1");
        assert_eq!(meant("64:ff9b:1::7f00:1"), "64:ff9b:1::7f00:1");
        assert_eq!(meant("2001:4860::1"), "2001:4860::1");
    }
}
