//! The end of a connection.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::bounds::ServerBounds;

/// Closes our side and listens a little longer: closing with bytes unread would reset the connection, and the client
/// could lose the answer that says why.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, bounds: ServerBounds) {
    let mut buffer = [0; 4096];
    let mut heard = 0;
    let end = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        while heard < bounds.linger_bytes {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => heard += length,
            }
        }
    };
    // Running out of time is an end like the others.
    let _ = timeout(bounds.linger, end).await;
}
