//! HTTP/1.1 in front of everything else.
//!
//! What is refused here is refused for its form, before anybody asks what it means. Every connection is bounded: how
//! many there are, how long a head, a body or an unread answer may take, and how long the end is waited for.

mod bounds;
mod connection;
mod site;
mod syntax;
mod unread;

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

pub use bounds::ServerBounds;
pub use site::{Metrics, Readiness, Site, SiteParts};

/// Serves a site until `shutdown` turns true; then takes no more connections, lets requests under way finish within
/// [`ServerBounds::drain`], and returns.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    bounds: ServerBounds,
    shutdown: watch::Receiver<bool>,
) {
    let mut stop = shutdown.clone();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (stream, place) = accept(&listener, &places, bounds) => {
                let (site, shutdown) = (site.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection::run(stream, site, bounds, shutdown).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain, all_done).await.is_err() {
        tracing::warn!("requests still under way at the end of the drain were cut off");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    bounds: ServerBounds,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit in the end.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(bounds.accept_pause).await;
            }
        }
    }
}
