//! What a receiver sends when nobody asked never becomes an answer to somebody else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::rig::{Authority, HOST, OK, Rig, Setup, told};

/// What comes while a connection is idle.
#[derive(Clone, Copy)]
enum Late {
    /// Bytes of the protocol.
    Says(&'static [u8]),
    /// Bytes on the wire, below TLS if there is TLS.
    Wire(&'static [u8]),
    /// The end of what the receiver says.
    End,
}

/// The answer on every connection but the first.
const ANOTHER: &[u8] = b"HTTP/1.1 299 Other\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn bytes_on_an_idle_connection_are_noticed_before_it_serves_again() {
    let authority = Authority::new("ours");
    let tls = authority.for_name(HOST).config().clone();
    let lates = [
        ("an answer", Late::Says(OK)),
        ("the first byte of an answer", Late::Says(b"H")),
        ("the end", Late::End),
        ("a byte", Late::Wire(b"!")),
        ("the beginning of a record", Late::Wire(&[23, 3, 3])),
        ("a record that nobody can read", Late::Wire(&[23, 3, 3, 0, 2, 1, 1])),
        ("an alert", Late::Wire(&[21, 3, 3, 0, 2, 1, 0])),
    ];
    let mut rows = 0;
    for (name, late) in lates {
        for tls in [None, Some(tls.clone())] {
            for is_heard in [false, true] {
                let scheme = if tls.is_some() { "https" } else { "http" };
                let sent = sent_twice(&authority, tls.clone(), late, is_heard).await;
                assert_eq!(sent, ["200 2B", "299 0B"], "{scheme}, {name}, heard of: {is_heard}");
                rows += 1;
            }
        }
    }
    println!("counted | receivers | bytes on idle connections | {rows}");
}

/// Sends twice over what would be one connection, and tells both outcomes. In between something comes in. This thread is
/// the runtime's only one: if the runtime is not to hear of it, nothing is done that would give it a turn.
async fn sent_twice(
    authority: &Authority,
    tls: Option<Arc<ServerConfig>>,
    late: Late,
    is_heard: bool,
) -> [String; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let entry = format!("{HOST}:{}:{address}", address.port());
    let rig = Rig::new(Setup { connect_to: &[entry], roots: Some(authority.pem()), ..Setup::default() });
    let url = format!("{scheme}://{HOST}:{}/", address.port());
    let (order, orders) = channel();
    let (tell, told_of) = channel();
    let serving = thread::spawn(move || serve(&listener, tls, late, &orders, &tell));

    let first = rig.send(&url).await;
    order.send(()).unwrap();
    told_of.recv().unwrap();
    for _ in 0..if is_heard { 100 } else { 0 } {
        tokio::task::yield_now().await;
    }
    let second = rig.send(&url).await;
    drop(order);
    serving.join().unwrap();
    [told(&first.outcome), told(&second.outcome)]
}

fn serve(
    listener: &TcpListener,
    tls: Option<Arc<ServerConfig>>,
    late: Late,
    orders: &Receiver<()>,
    tell: &Sender<()>,
) {
    let mut first = Line::accept(listener, tls.clone());
    first.answer(OK);
    orders.recv().unwrap();
    first.say(late);
    tell.send(()).unwrap();
    // If the first connection serves again, this waits in vain and ends with the attempt.
    listener.set_nonblocking(true).unwrap();
    let mut second = None;
    while second.is_none() && orders.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
        second = listener.accept().ok();
        thread::yield_now();
    }
    if let Some((stream, _)) = second {
        stream.set_nonblocking(false).unwrap();
        Line::new(stream, tls).answer(ANOTHER);
    }
}

/// A connection, with TLS or without.
enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Line {
    fn accept(listener: &TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        Self::new(listener.accept().unwrap().0, tls)
    }

    fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Self {
        // What is written is there for the other side when the write has returned.
        stream.set_nodelay(true).unwrap();
        match tls {
            None => Self::Plain(stream),
            Some(config) => {
                Self::Tls(Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)))
            }
        }
    }

    /// Reads a request, which ends with the body that all of them have, and answers.
    fn answer(&mut self, answer: &[u8]) {
        let mut request = Vec::new();
        while !request.ends_with(b"{\"a\":1}") {
            let mut some = [0; 4096];
            let read = self.stream().read(&mut some).unwrap();
            request.extend_from_slice(&some[..read]);
        }
        self.stream().write_all(answer).unwrap();
        self.stream().flush().unwrap();
    }

    fn say(&mut self, late: Late) {
        match late {
            Late::Says(bytes) => {
                self.stream().write_all(bytes).unwrap();
                self.stream().flush().unwrap();
            }
            Late::Wire(bytes) => self.socket().write_all(bytes).unwrap(),
            Late::End => self.socket().shutdown(std::net::Shutdown::Write).unwrap(),
        }
    }

    fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut **stream,
        }
    }

    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut(),
        }
    }
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}
