//! The address guard: what it takes has one reading, and the address in it is a public one.

#![no_main]

#[path = "../../crates/net/src"]
#[allow(dead_code, unused_imports, reason = "the module as it stands, used in part")]
mod net {
    pub mod guard;
}

use libfuzzer_sys::fuzz_target;
use net::guard::{Guard, GuardPolicy, Host};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let Ok(target) = guard.check_url(text) else { return };
    let again = guard.check_url(target.canonical()).expect("the canonical form is taken");
    assert_eq!(again.canonical(), target.canonical());
    let other: http::Uri = target.canonical().parse().expect("another parser reads it");
    assert_eq!(other.host(), Some(target.host().to_string().as_str()));
    if let Host::Ip(ip) = target.host() {
        assert!(!ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast(), "{text}");
        let inner = match ip {
            std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast(),
            std::net::IpAddr::V6(v6) => v6.segments()[0] & 0xe000 != 0x2000,
        };
        assert!(!inner, "{text}");
    }
});
