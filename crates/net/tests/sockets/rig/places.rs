//! Addresses where nobody answers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// More connections than a queue holds that was asked to be short.
const QUEUE_MAX: usize = 100;

/// A place whose connections are neither taken nor refused: its queue is full.
pub struct Filtered {
    pub address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Filtered {
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(made) =
            tokio::time::timeout(Duration::from_millis(400), TcpStream::connect(address)).await
        {
            waiting.push(made.unwrap());
            assert!(waiting.len() < QUEUE_MAX, "the queue is never full");
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

/// A place that refuses connections: somebody was there a moment ago.
pub async fn closed() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}
