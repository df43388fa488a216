//! The namespace's furniture, and the kernel's packet counters in it.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

/// Every IPv4 block that webhooks may not reach.
const V4: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The same of IPv6: blocks inside the global unicast space, and what is outside of it.
const V6: [&str; 12] = [
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3ffe::/16",
    "3fff::/20",
    "::/3",
    "4000::/2",
    "8000::/2",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// More than the namespace has, "any" included.
const DEVICES: u32 = 5;

/// Brings the namespace up: these addresses are here, all others lie beyond a device that leads nowhere.
pub fn furnish(here: &[Ipv4Addr]) {
    ip("link set lo up");
    for address in here {
        ip(&format!("address add {address}/32 dev lo"));
    }
    ip("-6 address add 2600::1/128 dev lo nodad");
    ip("link add out type veth peer name nowhere");
    for device in ["out", "nowhere"] {
        ip(&format!("link set {device} up"));
    }
    ip("route add default dev out src 11.0.0.2");
    ip("-6 route add default dev out");
}

/// Puts a file of the test's in the place of one of the system's, for this namespace alone.
pub fn replace(system: &str, own: &Path) {
    run("mount", &["--bind", own.to_str().unwrap(), system]);
}

fn ip(arguments: &str) {
    run("ip", &arguments.split(' ').collect::<Vec<_>>());
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
}

/// The counters of all forbidden ranges.
pub struct Counters;

impl Counters {
    /// Counts from now on every TCP and UDP packet that a process of this namespace sends into a forbidden range.
    pub fn install() -> Self {
        let rule = |family: &str, range: &str| {
            format!("{family} daddr {range} meta l4proto {{ tcp, udp }} counter comment \"{range}\"\n")
        };
        let rules: String =
            V4.iter().map(|it| rule("ip", it)).chain(V6.iter().map(|it| rule("ip6", it))).collect();
        let table = format!(
            "table inet witness {{ chain out {{ type filter hook output priority 0; policy accept;\n{rules}}}\n}}\n"
        );
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(table.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "{table}");
        Self
    }

    /// Packets by range.
    pub fn read(&self) -> Vec<(String, u64)> {
        let mut nft = Command::new("nft");
        let listed = nft.args(["-j", "list", "table", "inet", "witness"]).output().unwrap();
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let rules = listed["nftables"].as_array().unwrap().iter().map(|it| &it["rule"]);
        let counts: Vec<(String, u64)> = rules
            .filter_map(|rule| {
                let range = rule["comment"].as_str()?.to_owned();
                let counter = rule["expr"].as_array()?.iter().find_map(|it| it.get("counter"))?;
                Some((range, counter["packets"].as_u64()?))
            })
            .collect();
        assert_eq!(counts.len(), V4.len() + V6.len(), "{listed}");
        counts
    }
}

/// Addresses to be tried: the first and the last of every range.
pub fn addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    for range in V4.iter().chain(&V6) {
        let net: IpNet = range.parse().unwrap();
        // Of what lies outside the global unicast space, addresses that are neither "any" nor an IPv4 address.
        let first = if net.prefix_len() == 3 { "::1".parse().unwrap() } else { net.network() };
        found.extend([first, net.broadcast()]);
    }
    found.extend(
        ["::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"].map(|it| it.parse::<IpAddr>().unwrap()),
    );
    found.dedup();
    found
}

/// Sends something into every range, so that the counters show that they count.
pub fn knock_everywhere() {
    for address in addresses() {
        let from: SocketAddr = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
        let socket = UdpSocket::bind(from).unwrap();
        for device in 0..DEVICES {
            let to = match address {
                IpAddr::V4(ip) => SocketAddr::from((ip, 443)),
                // Addresses of a link mean nothing without the link.
                IpAddr::V6(ip) => SocketAddrV6::new(ip, 443, 0, device).into(),
            };
            // Nobody answers; the packet is what matters.
            let _ = socket.send_to(b"knock", to);
        }
        let _ = TcpStream::connect_timeout(&SocketAddr::new(address, 443), Duration::from_millis(10));
    }
}
