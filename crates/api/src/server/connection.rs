//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::bounds::ServerBounds;
use super::followed::Followed;
use super::heads::{HeadWatch, Notes};
use super::linger::linger;
use super::places::Seat;
use super::site::Site;
use super::tls::Tls;
use super::unread::Unread;
use crate::client_address::ClientAddress;

pub(super) async fn run(
    stream: TcpStream,
    tls: Option<Tls>,
    site: Arc<Site>,
    bounds: ServerBounds,
    seat: &Arc<Seat>,
    shutdown: watch::Receiver<bool>,
) {
    // Answers are small and complete: holding them back for a fuller packet only costs time.
    let (Ok(()), Ok(peer)) = (stream.set_nodelay(true), stream.peer_addr()) else { return };
    let client = ClientAddress::new(peer.ip());
    let Some(tls) = tls else {
        return speak(Unread::new(stream, bounds.unread), client, site, bounds, seat, shutdown).await;
    };
    // Boxed, because what TLS needs would make every plain connection's state as large.
    let handshake = Box::pin(tls.meet(stream, bounds));
    let met = tokio::select! {
        met = handshake => met,
        _ = has_to_end(seat, shutdown.clone()) => None,
    };
    if let Some(stream) = met {
        Box::pin(speak(stream, client, site, bounds, seat, shutdown)).await;
    }
}

/// Speaks HTTP on a stream whose writes are bounded.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    client: ClientAddress,
    site: Arc<Site>,
    bounds: ServerBounds,
    seat: &Arc<Seat>,
    shutdown: watch::Receiver<bool>,
) {
    let notes = Notes::default();
    let watch = HeadWatch::new(notes.clone(), bounds.head_bytes);
    let of_request = seat.clone();
    let service = service_fn(move |request| {
        let (site, seat) = (site.clone(), of_request.clone());
        let hidden = notes.next();
        Box::pin(async move {
            let _busy = seat.busy();
            Ok::<_, Infallible>(site.answer(request, hidden, client, &bounds).await)
        })
    });
    let io = TokioIo::new(Followed::new(stream, watch));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_header_size(bounds.head_bytes)
        .max_headers(bounds.head_fields)
        .half_close(true)
        .serve_connection(io, service);
    let mut has_to_end = pin!(has_to_end(seat, shutdown));
    let mut is_draining = false;
    let outcome = loop {
        tokio::select! {
            outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => break outcome,
            why = &mut has_to_end, if !is_draining => match why {
                End::Wanted if !seat.is_busy() => return,
                End::Wanted | End::Shutdown => {
                    is_draining = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
    tokio::select! {
        () = linger(connection.into_parts().io.into_inner().into_inner(), bounds) => {}
        () = seat.is_wanted() => {}
    }
}

/// Why a connection ends before its client wants it to.
enum End {
    /// Somebody else needs the place.
    Wanted,
    /// The server stops.
    Shutdown,
}

async fn has_to_end(seat: &Seat, mut shutdown: watch::Receiver<bool>) -> End {
    tokio::select! {
        () = seat.is_wanted() => End::Wanted,
        _ = shutdown.wait_for(|stop| *stop) => End::Shutdown,
    }
}
