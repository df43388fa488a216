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
    /// may be invented, and is not read.
    pub fn client(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        if !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            let Ok(list) = value.to_str() else { return client };
            for text in list.rsplit(',') {
                let Some(address) = address(text.trim()) else { return client };
                client = address;
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    fn trusts(&self, address: ClientAddress) -> bool {
        self.0.iter().any(|net| net.contains(&address.0))
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<ClientAddress> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.map(ClientAddress::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_say_counts() {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let rows: [(&str, &[&str], &str); 14] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9,10.2.2.2 , 10.3.3.3"], "203.0.113.9"),
            ("10.0.0.1", &["10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, "], "10.0.0.1"),
        ];
        let mut count = 0;
        for (peer, lists, expected) in rows {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, list.parse().unwrap());
            }
            let peer = ClientAddress::new(peer.parse().unwrap());
            assert_eq!(proxies.client(peer, &headers).to_string(), expected, "{peer} {lists:?}");
            assert_eq!(Proxies::default().client(peer, &headers), peer);
            count += 1;
        }
        println!("counted | admin | clients behind proxies | {count}");
    }
}
