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
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

pub use bounds::ServerBounds;
pub use site::{Metrics, Readiness, Site, SiteParts};

/// Serves a site until `shutdown` turns true; then takes no more connections, lets requests under way finish within
/// [`ServerBounds::drain`], and returns. Connections go to `homes` in turn; without any, they stay on this runtime.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    bounds: ServerBounds,
    homes: &[Handle],
    shutdown: watch::Receiver<bool>,
) {
    let here = [Handle::current()];
    let mut homes = if homes.is_empty() { here.iter() } else { homes.iter() }.cycle();
    let mut stop = shutdown.clone();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (stream, place) = accept(&listener, &places, bounds) => {
                // A socket belongs to the runtime that waits for it.
                let stream = stream.into_std();
                let (site, shutdown) = (site.clone(), shutdown.clone());
                let connection = async move {
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        connection::run(stream, site, bounds, shutdown).await;
                    }
                    drop(place);
                };
                if let Some(home) = homes.next() {
                    connections.spawn_on(connection, home);
                }
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
