//! Every reserved range in every spelling that some reader takes for an address: none gets through. And one address in
//! its one honest spelling always does, and is what is dialled.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use posthaste_net::{Guard, GuardPolicy, Host, Resolver, Rule};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};

const CASES: u32 = 32_768;

/// IPv4 ranges that are not public: the first address and the bits that are fixed. Written down here once more, as
/// whole numbers, so that a slip in the guard's own list shows.
const RESERVED_V4: [(u32, u32); 19] = [
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xac10_0000, 12),
    (0xc000_0000, 24),
    (0xc000_0200, 24),
    (0xc01f_c400, 24),
    (0xc034_c100, 24),
    (0xc058_6300, 24),
    (0xc0a8_0000, 16),
    (0xc0af_3000, 24),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 4),
    (0xf000_0000, 4),
    (0xa83f_8110, 32),
];

/// The same for IPv6: what is outside global unicast, and what is reserved inside.
const RESERVED_V6: [(u128, u32); 21] = [
    (0, 128),
    (1, 128),
    (0, 8),
    (0x0100 << 112, 64),
    (0x0064_ff9b << 96, 96),
    (0x0064_ff9b_0001 << 80, 48),
    (0xffff << 32, 96),
    (0x1000 << 112, 4),
    (0x2001 << 112, 23),
    (0x2001_0db8 << 96, 32),
    (0x2002 << 112, 16),
    (0x2620_004f_8000 << 80, 48),
    (0x3ffe << 112, 16),
    (0x3fff << 112, 20),
    (0x4000 << 112, 2),
    (0x5f00 << 112, 16),
    (0x8000 << 112, 2),
    (0xfc00 << 112, 7),
    (0xfe80 << 112, 10),
    (0xfec0 << 112, 10),
    (0xff00 << 112, 8),
];

fn keep_u32(first: u32, fixed: u32, random: u32) -> u32 {
    first | random & u32::MAX.checked_shr(fixed).unwrap_or(0)
}

fn keep_u128(first: u128, fixed: u32, random: u128) -> u128 {
    first | random & u128::MAX.checked_shr(fixed).unwrap_or(0)
}

fn is_reserved_v4(bits: u32) -> bool {
    RESERVED_V4.iter().any(|(first, fixed)| bits >> (32 - fixed) == first >> (32 - fixed))
}

fn is_reserved_v6(bits: u128) -> bool {
    RESERVED_V6.iter().any(|(first, fixed)| bits >> (128 - fixed) == first >> (128 - fixed))
}

/// One part of a dotted address, or all that is left of it, in some base.
fn number(value: u32, style: u8) -> String {
    match style % 6 {
        0 => value.to_string(),
        1 => format!("0x{value:x}"),
        2 => format!("0X{value:X}"),
        3 => format!("0{value:o}"),
        4 => format!("00000{value:o}"),
        _ => format!("0x000{value:x}"),
    }
}

/// A dotted address of one to four parts, each in a base of its own.
fn dotted(bits: u32, parts: usize, styles: [u8; 4]) -> String {
    let parts = parts.clamp(1, 4);
    let mut said: Vec<String> =
        (0..parts - 1).map(|n| number(bits >> (24 - 8 * n) & 0xff, styles[n])).collect();
    let rest = bits & u32::MAX >> (8 * (parts - 1));
    said.push(number(rest, styles[parts - 1]));
    said.join(".")
}

/// The same text in characters that host names are folded from.
fn disguised(text: &str, way: u8) -> String {
    let fold = |c: char| match (way % 6, c) {
        (1, '0'..='9') => char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap_or(c),
        (2, '.') => '\u{3002}',
        (3, '.') => '\u{ff0e}',
        (4, '.') => '\u{ff61}',
        (5, '1'..='9') => char::from_u32(u32::from(c) - u32::from('1') + 0x2460).unwrap_or(c),
        _ => c,
    };
    text.chars().map(fold).collect()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// IPv6 addresses that hold an IPv4 address. Some readers see the inner one.
fn embedded(bits: u32, way: u8) -> Ipv6Addr {
    let inner = u128::from(bits);
    Ipv6Addr::from_bits(match way % 8 {
        0 => 0xffff << 32 | inner,
        1 => inner,
        2 => 0xffff_0000 << 32 | inner,
        3 => 0x0064_ff9b << 96 | inner,
        4 => 0x0064_ff9b_0001 << 80 | inner,
        5 => 0x2002 << 112 | inner << 80 | 1,
        6 => 0x2001 << 112 | 0x0808_0808 << 64 | (inner ^ 0xffff_ffff),
        _ => 0xfe80 << 112 | 0x5efe << 32 | inner,
    })
}

/// An IPv6 address with zeros pressed out at one place or none, its tail as a dotted quad or not, in either case.
fn v6_text(ip: Ipv6Addr, way: u16) -> String {
    let (from, count) = (usize::from(way % 8), usize::from(way / 8 % 9));
    let (has_quad, is_upper, is_padded) = (way & 0x100 != 0, way & 0x200 != 0, way & 0x400 != 0);
    let groups = if has_quad { 6 } else { 8 };
    let mut said: Vec<String> = Vec::new();
    for group in &ip.segments()[..groups] {
        said.push(if is_padded { format!("{group:04x}") } else { format!("{group:x}") });
    }
    if has_quad {
        let [.., a, b, c, d] = ip.octets();
        said.push(format!("{a}.{b}.{c}.{d}"));
    }
    let to = (from + count).min(groups);
    let is_zero = to > from && ip.segments()[from..to].iter().all(|group| *group == 0);
    let text = match is_zero {
        true => format!("{}::{}", said[..from].join(":"), said[to..].join(":")),
        false => said.join(":"),
    };
    if is_upper { text.to_uppercase() } else { text }
}

/// Texts that put a host where one reader or another finds it.
const AROUND: [&str; 22] = [
    "https://{}/",
    "https://{}",
    "HTTPS://{}:8443/",
    "https://{}:443/a?b=c",
    "https://{}?@hooks.example.com/",
    "https://{}./",
    "https://user@{}/",
    "https://hooks.example.com@{}/",
    "https://hooks.example.com:443@{}/",
    "https://hooks.example.com%2f@{}/",
    "https://{}#@hooks.example.com/",
    "https://{}\\@hooks.example.com/",
    "https://hooks.example.com\\@{}/",
    "https:/{}/",
    "https:{}/",
    "https:///{}/",
    "https:\\\\{}/",
    " https://{}/",
    "https://\t{}/",
    "ht\ntps://{}/",
    "https://{}\u{0}/",
    "https://{}%00.example.com/",
];

fn run<S: Strategy>(strategy: S, mut judge: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let judge = std::cell::RefCell::new(&mut judge);
    let ran = TestRunner::new(config).run(&strategy, |value| (judge.borrow_mut())(value));
    ran.map_err(|why| why.to_string()).expect("no counterexample");
}

/// What the guard said of texts that it had to refuse. Many are refused for how they are written, whatever the address;
/// those say less, and are counted apart.
#[derive(Default)]
struct Refused {
    for_address: u64,
    for_writing: u64,
}

impl Refused {
    fn take(&mut self, guard: &Guard, text: &str) -> Result<(), TestCaseError> {
        match guard.check_url(text).map(|target| target.canonical().to_owned()) {
            Ok(canonical) => {
                return Err(TestCaseError::fail(format!("{text:?} was accepted as {canonical}")));
            }
            Err(refusal) if refusal.rule == Rule::IpForbidden => self.for_address += 1,
            Err(_) => self.for_writing += 1,
        }
        Ok(())
    }

    fn tell(&self, of: &str) {
        assert!(self.for_address > 0 && self.for_writing > 0);
        println!("counted | guard | {of} refused for the address | {}", self.for_address);
        println!("counted | guard | {of} refused for how they are written | {}", self.for_writing);
    }
}

#[test]
fn no_spelling_of_a_reserved_ipv4_address_is_accepted() {
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let strategy = (
        select(&RESERVED_V4[..]),
        any::<u32>(),
        1..=4usize,
        any::<[u8; 4]>(),
        any::<u8>(),
        select(&AROUND[..]),
    );
    let mut seen = Refused::default();
    run(strategy, |((first, fixed), random, parts, styles, way, around)| {
        let bits = keep_u32(first, fixed, random);
        let plain = Ipv4Addr::from_bits(bits).to_string();
        for text in [&plain, &dotted(bits, parts, styles)] {
            seen.take(&guard, &around.replace("{}", &disguised(text, way)))?;
            seen.take(&guard, &around.replace("{}", &percent_encoded(text)))?;
            seen.take(&guard, &around.replace("{}", &format!("[{text}]")))?;
        }
        Ok(())
    });
    seen.tell("random spellings of reserved IPv4 addresses");
}

#[test]
fn no_spelling_of_a_reserved_ipv6_address_is_accepted() {
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let strategy =
        (select(&RESERVED_V6[..]), any::<(u128, u128)>(), any::<u16>(), any::<u16>(), select(&AROUND[..]));
    let mut seen = Refused::default();
    run(strategy, |((first, fixed), (random, sparse), way, zone, around)| {
        // Every second bit of many is gone, so that there are zeros to press out.
        let thinned = if zone & 1 == 0 { random & sparse & random.rotate_left(40) } else { random };
        let ip = Ipv6Addr::from_bits(keep_u128(first, fixed, thinned));
        let text = v6_text(ip, way);
        seen.take(&guard, &around.replace("{}", &format!("[{text}]")))?;
        seen.take(&guard, &around.replace("{}", &format!("[{text}%25eth{zone}]")))?;
        seen.take(&guard, &around.replace("{}", &text))
    });
    seen.tell("random spellings of reserved IPv6 addresses");
}

#[test]
fn no_ipv6_address_around_an_ipv4_address_is_accepted() {
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let strategy = (select(&RESERVED_V4[..]), any::<u32>(), any::<u8>(), any::<u16>(), select(&AROUND[..]));
    let mut seen = Refused::default();
    run(strategy, |((first, fixed), random, kind, way, around)| {
        for bits in [keep_u32(first, fixed, random), random] {
            let text = v6_text(embedded(bits, kind), way);
            seen.take(&guard, &around.replace("{}", &format!("[{text}]")))?;
        }
        Ok(())
    });
    seen.tell("random spellings of IPv4 addresses inside IPv6 ones");
}

#[test]
fn the_honest_spelling_of_a_public_address_is_accepted() {
    let guard = Guard::new(GuardPolicy::default());
    let accepted = Cell::new(0_u32);
    run((any::<u32>(), any::<u128>()), |(v4, v6)| {
        let v6 = 0x2000 << 112 | v6 >> 3;
        let v4 = (!is_reserved_v4(v4)).then(|| IpAddr::V4(Ipv4Addr::from_bits(v4)));
        let v6 = (!is_reserved_v6(v6)).then(|| IpAddr::V6(Ipv6Addr::from_bits(v6)));
        for ip in v4.into_iter().chain(v6) {
            let text = format!("https://{}/", Host::Ip(ip));
            let target =
                guard.check_url(&text).map_err(|why| TestCaseError::fail(format!("{text}: {why}")))?;
            prop_assert_eq!(target.host(), &Host::Ip(ip));
            accepted.set(accepted.get() + 1);
        }
        Ok(())
    });
    println!("counted | guard | public addresses in their honest spelling | {}", accepted.get());
}

/// Where a reader who knows nothing of ours would connect to; `None` for names.
fn read_independently(text: &str) -> Option<SocketAddr> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let default = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    Some(SocketAddr::new(host.parse().ok()?, port.map_or(Some(default), |port| port.parse().ok())?))
}

/// Hosts and ports as URLs have them, right and wrong.
fn some_authority() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        (any::<u128>(), any::<u16>()).prop_map(|(bits, way)| format!(
            "[{}]",
            v6_text(Ipv6Addr::from_bits(0x2000 << 112 | bits >> 3), way)
        )),
        (any::<u32>(), 1..=4usize, any::<[u8; 4]>())
            .prop_map(|(bits, parts, styles)| dotted(bits, parts, styles)),
        "[a-z0-9-]{1,8}(\\.[a-z0-9]{1,8}){0,3}",
    ];
    let port = prop_oneof![
        Just(String::new()),
        (1024..=65535u16).prop_map(|port| format!(":{port}")),
        ":[0-9]{0,6}"
    ];
    (host, port).prop_map(|(host, port)| host + &port)
}

#[test]
fn what_is_dialled_is_what_another_reader_reads() {
    let guard = Guard::new(GuardPolicy::default().allowing_http(true));
    let resolver = Resolver::with_name_servers(&[SocketAddr::from(([127, 0, 0, 1], 9))], Vec::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let literals = Cell::new(0_u32);
    let strategy =
        (select(vec!["https", "http", "HTTPS", "Http"]), some_authority(), "[/?][a-z@:\\[\\].]{0,6}");
    run(strategy, |(scheme, authority, rest)| {
        let text = format!("{scheme}://{authority}{rest}");
        let Ok(target) = guard.check_url(&text) else { return Ok(()) };
        match (target.host(), read_independently(&text)) {
            (Host::Ip(_), Some(address)) => {
                let answer = runtime.block_on(resolver.resolve(target.host(), target.port())).unwrap();
                prop_assert_eq!(answer.addresses, vec![address], "{}", text);
                literals.set(literals.get() + 1);
            }
            (Host::Ip(ip), None) => {
                return Err(TestCaseError::fail(format!("{text} is {ip} to nobody else")));
            }
            (Host::Name(name), read) => prop_assert!(read.is_none(), "{} is the name {}", text, name),
        }
        Ok(())
    });
    assert!(literals.get() > CASES / 8, "{} literal addresses", literals.get());
    println!("counted | guard | accepted addresses read independently | {}", literals.get());
}
