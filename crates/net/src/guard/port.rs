//! Which ports may be delivered to.

use super::rule::{Refusal, Rule};
use super::target::Scheme;

/// Ports above 1023 that other services are known by. A forged request must not reach them.
const SERVICE_PORTS: [u16; 36] = [
    1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672,
    6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250,
    11211, 27017,
];

/// May deliveries go to this port? The scheme's own port is always among those that may.
pub(super) fn check(scheme: Scheme, port: u16) -> Result<(), Refusal> {
    let is_web = port == 443 || (scheme == Scheme::Http && port == scheme.default_port());
    let is_free = port >= 1024 && !SERVICE_PORTS.contains(&port);
    if is_web || is_free { Ok(()) } else { Err(Rule::PortForbidden.refused()) }
}
