//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

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
        return speak(Unread::new(stream, bounds.unread, seat.clone()), client, site, bounds, seat, shutdown)
            .await;
    };
    // Boxed, because what TLS needs would make every plain connection's state as large.
    let handshake = Box::pin(tls.meet(stream, bounds, seat));
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
            let answer = site.answer(request, hidden, client, &seat, &bounds).await;
            posthaste_faults::point("api.before-first-byte");
            Ok::<_, Infallible>(answer)
        })
    });
    let io = TokioIo::new(Followed::new(stream, watch, bounds));
    let mut connection = http1::Builder::new()
        .max_header_size(bounds.head_bytes)
        .max_headers(bounds.head_fields)
        .half_close(true)
        .serve_connection(io, service);
    let outcome = tokio::select! {
        outcome = poll_fn(|context| connection.poll_without_shutdown(context)) => outcome,
        why = has_to_end(seat, shutdown) => {
            if matches!(why, End::Wanted) && seat.goes_at_once() {
                return;
            }
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|context| connection.poll_without_shutdown(context));
            match why {
                End::Shutdown => rest.await,
                End::Wanted => tokio::select! {
                    outcome = rest => outcome,
                    () = overstays(seat, bounds) => return,
                },
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

/// Ends when the last answer was given time enough to be read. One that is not there yet is waited for.
async fn overstays(seat: &Seat, bounds: ServerBounds) {
    seat.stays();
    loop {
        sleep(bounds.linger).await;
        if !seat.is_working() {
            return;
        }
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
