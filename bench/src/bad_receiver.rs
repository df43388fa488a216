//! Receivers that take no delivery: nobody listens, nobody answers, or the answer never comes to its end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::interval;

/// What is wrong with a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ill {
    /// It refuses connections.
    Dead,
    /// It takes requests and never answers.
    Hanging,
    /// It answers a byte a second, without end.
    Dripping,
}

/// Stands on loopback until it is dropped.
pub struct BadReceiver {
    /// Where.
    pub address: SocketAddr,
    _hold: Hold,
}

enum Hold {
    /// Bound, so that nobody else gets the port, and not listening.
    Port {
        _socket: TcpSocket,
    },
    Accepting {
        _task: JoinSet<()>,
    },
}

const DRIP_EVERY: Duration = Duration::from_secs(1);
/// The answer's head, whose last header has no end.
const DRIPS: &[u8] = b"HTTP/1.1 200 OK\r\nx-drip: ";

impl BadReceiver {
    /// One of this kind.
    pub async fn start(ill: Ill) -> anyhow::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        if ill == Ill::Dead {
            let socket = TcpSocket::new_v4()?;
            socket.bind(anywhere)?;
            return Ok(Self { address: socket.local_addr()?, _hold: Hold::Port { _socket: socket } });
        }
        let listener = TcpListener::bind(anywhere).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, ill));
        Ok(Self { address, _hold: Hold::Accepting { _task: task } })
    }
}

/// Holds connections for as long as the sender does; they end with this task.
async fn accept(listener: TcpListener, ill: Ill) {
    let mut held = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.spawn(hold(stream, ill));
        while held.try_join_next().is_some() {}
    }
}

async fn hold(mut stream: TcpStream, ill: Ill) -> std::io::Result<()> {
    let mut drips = DRIPS.iter().chain(std::iter::repeat(&b'.'));
    let mut ticks = interval(DRIP_EVERY);
    let mut scratch = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut scratch) => if read? == 0 { return Ok(()) },
            _ = ticks.tick(), if ill == Ill::Dripping => {
                let byte = drips.next().copied().unwrap_or(b'.');
                stream.write_all(&[byte]).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_dead_refuse_and_the_others_answer_nothing_whole() {
        let dead = BadReceiver::start(Ill::Dead).await.unwrap();
        let refused = TcpStream::connect(dead.address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let dripping = BadReceiver::start(Ill::Dripping).await.unwrap();
        let mut stream = TcpStream::connect(dripping.address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 1);
        let hanging = BadReceiver::start(Ill::Hanging).await.unwrap();
        let mut stream = TcpStream::connect(hanging.address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 64]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(hanging);
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    }
}
