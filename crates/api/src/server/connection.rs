//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::bounds::ServerBounds;
use super::site::Site;
use super::unread::Unread;

pub(super) async fn run(
    stream: TcpStream,
    site: Arc<Site>,
    bounds: ServerBounds,
    mut shutdown: watch::Receiver<bool>,
) {
    // Answers are small and complete: holding them back for a fuller packet only costs time.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let site = site.clone();
        Box::pin(async move { Ok::<_, Infallible>(site.answer(request, &bounds).await) })
    });
    let io = TokioIo::new(Unread::new(stream, bounds.unread));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_header_size(bounds.head_bytes)
        .max_headers(bounds.head_fields)
        .half_close(true)
        .serve_connection(io, service);
    let mut is_draining = false;
    let outcome = loop {
        tokio::select! {
            outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => break outcome,
            _ = shutdown.wait_for(|stop| *stop), if !is_draining => {
                is_draining = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
    linger(connection.into_parts().io.into_inner().into_inner(), bounds).await;
}

/// Closes our side and listens a little longer: closing with bytes unread would reset the connection, and the client
/// could lose the answer that says why.
async fn linger(mut stream: TcpStream, bounds: ServerBounds) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    let mut heard = 0;
    let listen = async {
        while heard < bounds.linger_bytes {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => heard += length,
            }
        }
    };
    // Running out of time is an end like the others.
    let _ = tokio::time::timeout(bounds.linger, listen).await;
}
