//! A name server of our own, just large enough to answer with addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What the server says of every name.
#[derive(Clone)]
pub enum Reply {
    /// These addresses, of the family that was asked for.
    Addresses(Vec<IpAddr>),
    /// An error code: 2 is a failure of the server, 3 says that there is no such name.
    Code(u8),
    /// Nothing.
    Silence,
    /// Bytes that are no answer.
    Garbage,
}

pub struct NameServer {
    pub address: SocketAddr,
    questions: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

const TYPE_A: u16 = 1;
const HEADER_BYTES: usize = 12;

impl NameServer {
    /// Answers the n-th lookup of a family with the n-th reply, later ones with the last.
    pub async fn start(replies: Vec<Reply>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let serving = tokio::spawn(serve(socket, replies, questions.clone()));
        Self { address, questions, serving }
    }

    /// Answers always with these addresses.
    pub async fn saying(addresses: &[&str]) -> Self {
        Self::start(vec![addresses_of(addresses)]).await
    }

    /// How many lookups there were.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

pub fn addresses_of(addresses: &[&str]) -> Reply {
    Reply::Addresses(addresses.iter().map(|ip| ip.parse().unwrap()).collect())
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: UdpSocket, replies: Vec<Reply>, questions: Arc<AtomicUsize>) {
    let mut asked = [0; 2];
    let mut buffer = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = question_of(&buffer[..length]);
        let wants_v4 = question[question.len() - 4..question.len() - 2] == TYPE_A.to_be_bytes();
        let round = &mut asked[usize::from(wants_v4)];
        let reply = replies[(*round).min(replies.len() - 1)].clone();
        *round += 1;
        questions.fetch_add(usize::from(wants_v4), Ordering::SeqCst);
        let id = [buffer[0], buffer[1]];
        let packet = match reply {
            Reply::Addresses(all) => {
                let wanted: Vec<IpAddr> = all.into_iter().filter(|ip| ip.is_ipv4() == wants_v4).collect();
                answer(id, 0, question, &wanted)
            }
            Reply::Code(code) => answer(id, code, question, &[]),
            Reply::Silence => continue,
            Reply::Garbage => vec![id[0], id[1], 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0, 0xc0, 0x0c, 0xff],
        };
        socket.send_to(&packet, from).await.unwrap();
    }
}

/// The question section: labels up to the empty one, a type and a class.
fn question_of(packet: &[u8]) -> &[u8] {
    let mut end = HEADER_BYTES;
    while packet[end] != 0 {
        end += usize::from(packet[end]) + 1;
    }
    &packet[HEADER_BYTES..end + 5]
}

fn answer(id: [u8; 2], code: u8, question: &[u8], addresses: &[IpAddr]) -> Vec<u8> {
    let count = (addresses.len() as u16).to_be_bytes();
    let mut packet = vec![id[0], id[1], 0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
    packet.extend_from_slice(question);
    for ip in addresses {
        let octets = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        // The name by pointer, then type, class, and a time to live of nothing.
        let kind = if ip.is_ipv4() { 1 } else { 28 };
        packet.extend_from_slice(&[0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 0, 0, octets.len() as u8]);
        packet.extend_from_slice(&octets);
    }
    packet
}
