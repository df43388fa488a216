//! A name server that does what a script says, over UDP and TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

const HEADER_BYTES: usize = 12;
pub const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// The header's flag of an answer that did not fit.
pub const CUT: u8 = 0x02;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// As it was written, without the last dot.
    pub name: String,
    /// The type of record.
    pub kind: u16,
    pub is_tcp: bool,
    id: [u8; 2],
    section: Vec<u8>,
}

/// What the server sends for a question, packet by packet.
pub type Script = dyn Fn(&Question) -> Vec<Vec<u8>> + Send + Sync;

/// The server.
pub struct Zone {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Question>>>,
    serving: Vec<JoinHandle<()>>,
}

impl Zone {
    pub async fn start(script: impl Fn(&Question) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let (script, asked): (Arc<Script>, Arc<Mutex<Vec<Question>>>) = (Arc::new(script), Arc::default());
        let serving = vec![
            tokio::spawn(serve_udp(udp, script.clone(), asked.clone())),
            tokio::spawn(serve_tcp(tcp, script, asked.clone())),
        ];
        Self { address, asked, serving }
    }

    /// Answers always with these addresses.
    pub async fn saying(addresses: &[&str]) -> Self {
        let all: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        Self::start(move |question| {
            vec![question.addresses(&all.iter().map(String::as_str).collect::<Vec<_>>())]
        })
        .await
    }

    /// Answers always with an error code: 2 is a failure of the server, 3 says that there is no such name.
    pub async fn failing(code: u8) -> Self {
        Self::start(move |question| vec![question.refusal(code)]).await
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }

    /// How many questions there were for IPv4 addresses.
    pub fn lookups(&self) -> usize {
        self.asked().iter().filter(|question| question.kind == A).count()
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

/// The same port for both; the system gives one for UDP, and if TCP has it already there is another.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>, asked: Arc<Mutex<Vec<Question>>>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let question = Question::read(&buffer[..length], false);
        asked.lock().unwrap().push(question.clone());
        for packet in script(&question) {
            socket.send_to(&packet, from).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>, asked: Arc<Mutex<Vec<Question>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (script, asked) = (script.clone(), asked.clone());
        tokio::spawn(async move {
            // Ends when the resolver hangs up.
            while let Ok(length) = stream.read_u16().await {
                let mut packet = vec![0; usize::from(length)];
                stream.read_exact(&mut packet).await.unwrap();
                let question = Question::read(&packet, true);
                asked.lock().unwrap().push(question.clone());
                for packet in script(&question) {
                    let framed = [(packet.len() as u16).to_be_bytes().as_slice(), &packet].concat();
                    // A resolver that has enough may hang up before the end.
                    let _ = stream.write_all(&framed).await;
                }
            }
        });
    }
}

impl Question {
    fn read(packet: &[u8], is_tcp: bool) -> Self {
        let mut labels = Vec::new();
        let mut end = HEADER_BYTES;
        while packet[end] != 0 {
            let length = usize::from(packet[end]);
            labels.push(String::from_utf8_lossy(&packet[end + 1..=end + length]).into_owned());
            end += length + 1;
        }
        let section = packet[HEADER_BYTES..end + 5].to_vec();
        let kind = u16::from_be_bytes([packet[end + 1], packet[end + 2]]);
        Self { name: labels.join("."), kind, is_tcp, id: [packet[0], packet[1]], section }
    }

    /// A question that nobody asked.
    pub fn asking(name: &str, kind: u16) -> Self {
        let section = [labels(name), kind.to_be_bytes().to_vec(), vec![0, 1]].concat();
        Self { name: name.to_owned(), kind, is_tcp: false, id: [0x12, 0x34], section }
    }

    /// An answer with these records.
    pub fn answer(&self, records: &[Record]) -> Vec<u8> {
        self.packet(0, 0, records)
    }

    /// The answer with the addresses of the family that was asked for.
    pub fn addresses(&self, addresses: &[&str]) -> Vec<u8> {
        self.addresses_of(&self.name, addresses)
    }

    /// The same under another name.
    pub fn addresses_of(&self, name: &str, addresses: &[&str]) -> Vec<u8> {
        self.answer(&records(name, self.kind, addresses))
    }

    /// An answer with an error code and no records.
    pub fn refusal(&self, code: u8) -> Vec<u8> {
        self.packet(0, code, &[])
    }

    /// An answer with further flags, a code and records.
    pub fn packet(&self, flags: u8, code: u8, records: &[Record]) -> Vec<u8> {
        let count = (records.len() as u16).to_be_bytes();
        let mut packet =
            vec![self.id[0], self.id[1], 0x81 | flags, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
        packet.extend_from_slice(&self.section);
        for Record { name, kind, data } in records {
            packet.extend_from_slice(&labels(name));
            packet.extend_from_slice(&kind.to_be_bytes());
            // Of the internet, to be forgotten at once.
            packet.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
            packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend_from_slice(data);
        }
        packet
    }
}

/// One record of an answer.
#[derive(Debug, Clone)]
pub struct Record {
    name: String,
    kind: u16,
    data: Vec<u8>,
}

/// The addresses of one family as records of a name.
pub fn records(name: &str, kind: u16, addresses: &[&str]) -> Vec<Record> {
    let addresses = addresses.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
    let wanted = addresses.filter(|ip| ip.is_ipv4() == (kind == A));
    let record = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => Record { name: name.to_owned(), kind: A, data: ip.octets().to_vec() },
        IpAddr::V6(ip) => Record { name: name.to_owned(), kind: AAAA, data: ip.octets().to_vec() },
    };
    wanted.map(record).collect()
}

/// One name is another.
pub fn alias(name: &str, of: &str) -> Record {
    Record { name: name.to_owned(), kind: CNAME, data: labels(of) }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}
