//! Proxies that are believed when they say where a request comes from.

use http::HeaderMap;
use ipnet::IpNet;

use crate::client_address::ClientAddress;

/// Where proxies write the addresses they were asked from, each behind those before it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of trusted proxies.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Who asks: the peer, or if it is a trusted proxy the last address in its list that is none. What stands before that
    /// may be invented, and is not read. Where an address should stand and none does, it is the proxy that asks.
    pub fn client(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        if !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for text in value.as_bytes().rsplit(|byte| *byte == b',') {
                let Some(address) = address(text.trim_ascii()) else { return client };
                client = address;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    pub fn trusts(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|net| net.contains(&address.0))
    }
}

/// An address, with or without a port.
fn address(text: &[u8]) -> Option<ClientAddress> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.map(ClientAddress::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_what_trusted_proxies_say_counts() {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let rows: [(&str, &[&[u8]], &str); 26] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &[b"203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("fd00::1", &[b"2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &[b"198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"198.51.100.7", b"203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"203.0.113.9,10.2.2.2 , 10.3.3.3"], "203.0.113.9"),
            ("10.0.0.1", &[b"10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &[b"203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &[b"[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &[b"198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"198.51.100.7, "], "10.0.0.1"),
            // What a client invents stands in front, and hides nothing.
            ("10.0.0.1", &[b"\xff, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"x\ty\x80, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            ("10.0.0.1", &[b"\xff", b"203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"unknown,,203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"203.0.113.9", b""], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9, \xff"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9, \xff, 10.2.2.2"], "10.2.2.2"),
            ("10.0.0.1", &[b"[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &[b"2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &[b"203.0.113.9:"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9:99999"], "10.0.0.1"),
            ("10.0.0.1", &[b"\t203.0.113.9\t"], "203.0.113.9"),
        ];
        let mut count = 0;
        for (peer, lists, expected) in rows {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, HeaderValue::from_bytes(list).unwrap());
            }
            let peer = ClientAddress::new(peer.parse().unwrap());
            let shown: Vec<_> = lists.iter().map(|list| list.escape_ascii().to_string()).collect();
            assert_eq!(proxies.client(peer, &headers).to_string(), expected, "{peer} {shown:?}");
            assert_eq!(Proxies::default().client(peer, &headers), peer);
            count += 1;
        }
        println!("counted | admin | clients behind proxies | {count}");
    }
}
