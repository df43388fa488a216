//! A name server that says what the test tells it to.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

const HEADER_BYTES: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];
const TYPE_AAAA: [u8; 2] = [0, 28];

/// Answers every question with the addresses last given; a name that is an address followed by `.nip.io` with that one.
pub struct Names {
    pub address: SocketAddr,
    said: Arc<Mutex<Vec<IpAddr>>>,
}

impl Names {
    pub async fn saying(addresses: &[&str]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(socket, said.clone()));
        let names = Self { address, said };
        names.say(addresses);
        names
    }

    pub fn say(&self, addresses: &[&str]) {
        *self.said.lock().unwrap() = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    }
}

async fn serve(socket: UdpSocket, said: Arc<Mutex<Vec<IpAddr>>>) {
    let mut packet = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut packet).await.unwrap();
        let (question, name) = question_of(&packet[..length]);
        let of_itself = name.strip_suffix(".nip.io").and_then(|ip| ip.parse().ok());
        let addresses = of_itself.map_or_else(|| said.lock().unwrap().clone(), |ip: IpAddr| vec![ip]);
        socket.send_to(&answer([packet[0], packet[1]], question, &addresses), from).await.unwrap();
    }
}

/// The question section, and the name it asks for.
fn question_of(packet: &[u8]) -> (&[u8], String) {
    let (mut end, mut labels) = (HEADER_BYTES, Vec::new());
    while packet[end] != 0 {
        let next = end + 1 + usize::from(packet[end]);
        labels.push(String::from_utf8_lossy(&packet[end + 1..next]).into_owned());
        end = next;
    }
    (&packet[HEADER_BYTES..end + 5], labels.join("."))
}

fn answer(id: [u8; 2], question: &[u8], addresses: &[IpAddr]) -> Vec<u8> {
    let kind = &question[question.len() - 4..question.len() - 2];
    let octets = addresses.iter().filter_map(|ip| match ip {
        IpAddr::V4(ip) if kind == TYPE_A => Some(ip.octets().to_vec()),
        IpAddr::V6(ip) if kind == TYPE_AAAA => Some(ip.octets().to_vec()),
        _ => None,
    });
    let octets: Vec<Vec<u8>> = octets.collect();
    let mut packet = vec![id[0], id[1], 0x81, 0x80, 0, 1, 0, octets.len() as u8, 0, 0, 0, 0];
    packet.extend_from_slice(question);
    for octets in octets {
        // The name by pointer, then type, class, and a time to live of nothing.
        packet.extend_from_slice(&[0xc0, 0x0c, kind[0], kind[1], 0, 1, 0, 0, 0, 0, 0, octets.len() as u8]);
        packet.extend_from_slice(&octets);
    }
    packet
}
