//! The address guard: what it takes has one reading, and the address in it is a public one.

#![no_main]

#[path = "../../crates/net/src"]
#[allow(dead_code, unused_imports, reason = "the module as it stands, used in part")]
mod net {
    pub mod guard;
}

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use net::guard::{Guard, GuardPolicy, Host};

/// The longest URL.
const URL_MAX_CHARS: usize = 2048;

/// What is not public, written down without a look at the guard's own list: the special-purpose registries for IPv4 and
/// IPv6 (RFC 6890), multicast, 6to4, the former test networks, and a platform address that answers inside a cloud.
const RESERVED: &str = "
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
    ::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3ffe::/16 3fff::/20";

/// Names that mean something only inside a network (RFC 6761, RFC 6762, RFC 8375, RFC 9476 and common use).
const INNER_NAMES: [&str; 14] = [
    "localhost",
    "local",
    "internal",
    "localdomain",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "onion",
    "invalid",
    "test",
    "metadata.goog",
];

/// Does the network hold the address? By whole numbers: the guard asks another library.
fn holds(net: &str, ip: IpAddr) -> bool {
    let (first, length) = net.split_once('/').expect("a prefix length");
    let length: u32 = length.parse().expect("a number");
    let shift = |bits: u128, width: u32| bits.checked_shr(width - length).unwrap_or(0);
    match (first.parse().expect("an address"), ip) {
        (IpAddr::V4(first), IpAddr::V4(ip)) => {
            shift(first.to_bits().into(), 32) == shift(ip.to_bits().into(), 32)
        }
        (IpAddr::V6(first), IpAddr::V6(ip)) => shift(first.to_bits(), 128) == shift(ip.to_bits(), 128),
        _ => false,
    }
}

/// Could a name be read as an address by somebody (RFC 3986 leaves it to "inet_aton")? Its last label tells.
fn looks_like_an_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hex || last.bytes().all(|byte| byte.is_ascii_digit())
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let Ok(target) = guard.check_url(text) else { return };
    // Escapes make the canonical form longer than the text may be.
    if target.canonical().chars().count() <= URL_MAX_CHARS {
        let again = guard.check_url(target.canonical()).expect("the canonical form is taken");
        assert_eq!(again.canonical(), target.canonical());
    }
    let other: http::Uri = target.canonical().parse().expect("another parser reads it");
    assert_eq!(other.host(), Some(target.host().to_string().as_str()));
    match target.host() {
        Host::Ip(ip) => {
            let net = RESERVED.split_whitespace().find(|net| holds(net, *ip));
            assert_eq!(net, None, "{text}");
        }
        Host::Name(name) => {
            let dotted = format!(".{name}");
            let inner = INNER_NAMES.iter().find(|inner| dotted.ends_with(&format!(".{inner}")));
            assert_eq!(inner, None, "{text}");
            assert!(name.contains('.') && !looks_like_an_address(name), "{text}");
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
            assert!(name.bytes().all(is_plain) && name.len() <= 253, "{text}");
        }
    }
});
