//! A name server whose names say what it answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

const HEADER_BYTES: usize = 12;
const TYPE_A: u16 = 1;
const NO_SUCH_NAME: u8 = 3;
/// Between the addresses before the turn and those after it.
const TURN: &str = "-x-";

/// The name server.
pub struct NameServer {
    has_turned: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// The label that stands for `first` until the server turns, and for `then` after it.
pub fn name_of(first: &[IpAddr], then: &[IpAddr]) -> String {
    let told = |addresses: &[IpAddr]| addresses.iter().map(digits).collect::<Vec<_>>().join("-");
    format!("{}{TURN}{}", told(first), told(then))
}

fn digits(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("{:08x}", u32::from(*ip)),
        IpAddr::V6(ip) => format!("{:032x}", u128::from(*ip)),
    }
}

fn address(digits: &str) -> Option<IpAddr> {
    match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V4(bits.into())),
        32 => u128::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V6(bits.into())),
        _ => None,
    }
}

impl NameServer {
    /// Answers for the names below a zone, and for those that have an IPv4 address in front as public wildcard
    /// services do; there are no others.
    pub async fn start(at: SocketAddr, zone: &'static str) -> Self {
        let socket = UdpSocket::bind(at).await.unwrap();
        let has_turned = Arc::new(AtomicBool::new(false));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (turned, names) = (has_turned.clone(), asked.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                names.lock().unwrap().push(question_of(&buffer[..length]).0);
                let packet = answer(&buffer[..length], zone, turned.load(Ordering::SeqCst));
                socket.send_to(&packet, from).await.unwrap();
            }
        });
        Self { has_turned, asked }
    }

    /// Every name asked for, in lower case.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// From now on names have their later addresses.
    pub fn turn(&self) {
        self.has_turned.store(true, Ordering::SeqCst);
    }
}

fn answer(packet: &[u8], zone: &str, has_turned: bool) -> Vec<u8> {
    let (name, question) = question_of(packet);
    let wants_v4 = question[question.len() - 4..question.len() - 2] == TYPE_A.to_be_bytes();
    let all = addresses(&name, zone, has_turned);
    let code = if all.is_empty() { NO_SUCH_NAME } else { 0 };
    let wanted: Vec<IpAddr> = all.into_iter().filter(|it| it.is_ipv4() == wants_v4).collect();
    let count = (wanted.len() as u16).to_be_bytes();
    let mut told = vec![packet[0], packet[1], 0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
    told.extend_from_slice(question);
    for ip in wanted {
        let octets = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        // The name by pointer, then type, class, and a time to live of nothing.
        let kind = if ip.is_ipv4() { 1 } else { 28 };
        told.extend_from_slice(&[0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 0, 0, octets.len() as u8]);
        told.extend_from_slice(&octets);
    }
    told
}

fn addresses(name: &str, zone: &str, has_turned: bool) -> Vec<IpAddr> {
    let Some(label) = name.strip_suffix(zone).and_then(|front| front.strip_suffix('.')) else {
        let four: Vec<&str> = name.splitn(5, '.').take(4).collect();
        return four.join(".").parse().into_iter().collect();
    };
    let Some((first, then)) = label.split_once(TURN) else { return Vec::new() };
    let told = if has_turned { then } else { first };
    told.split('-').filter_map(address).collect()
}

/// The name asked for, in lower case, and the question section: labels up to the empty one, a type and a class.
fn question_of(packet: &[u8]) -> (String, &[u8]) {
    let mut labels = Vec::new();
    let mut end = HEADER_BYTES;
    while packet[end] != 0 {
        let length = usize::from(packet[end]);
        labels.push(String::from_utf8_lossy(&packet[end + 1..end + 1 + length]).to_lowercase());
        end += length + 1;
    }
    (labels.join("."), &packet[HEADER_BYTES..end + 5])
}
