//! HTTP/1.1 in front of everything else.
//!
//! What is refused here is refused for its form, before anybody asks what it means. Every connection is bounded: how
//! many there are, how long a head, a body or an unread answer may take, and how long the end is waited for.

mod bounds;
mod followed;
mod heads;
mod places;
mod proxies;
mod syntax;
mod unread;

mod linger;

mod tls;

mod site;

mod connection;

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client_address::ClientAddress;
pub use bounds::ServerBounds;
use places::{Place, Places};
pub use site::{Metrics, Notes, Readiness, Site, SiteParts};
pub use tls::{Handshakes, Tls};

/// Where connections come in.
pub struct Entrance {
    listener: TcpListener,
    tls: Option<Tls>,
}

impl Entrance {
    /// A listener where TLS is spoken.
    #[must_use]
    pub fn with_tls(listener: TcpListener, tls: Tls) -> Self {
        Self { listener, tls: Some(tls) }
    }
}

impl From<TcpListener> for Entrance {
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

/// Serves a site until `shutdown` turns true; then takes no more connections, lets requests under way finish within
/// [`ServerBounds::drain`], and returns. Connections go to `homes` in turn; without any, they stay on this runtime.
pub async fn serve(
    entrance: impl Into<Entrance>,
    site: Arc<Site>,
    bounds: ServerBounds,
    homes: &[Handle],
    shutdown: watch::Receiver<bool>,
) {
    let Entrance { listener, tls } = entrance.into();
    let here = [Handle::current()];
    let mut homes = if homes.is_empty() { here.iter() } else { homes.iter() }.cycle();
    let mut stop = shutdown.clone();
    let places = Places::new(bounds);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (stream, client) = accept(&listener, &places, bounds) => {
                let Some(place) = place_for(client, &site, &places, shutdown.clone()).await else { continue };
                // A socket belongs to the runtime that waits for it.
                let stream = stream.into_std();
                let (tls, site, shutdown) = (tls.clone(), site.clone(), shutdown.clone());
                let connection = async move {
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        connection::run(stream, tls, site, bounds, &place.seat, shutdown).await;
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

/// The next connection.
async fn accept(listener: &TcpListener, places: &Places, bounds: ServerBounds) -> (TcpStream, ClientAddress) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, ClientAddress::new(peer.ip())),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // The likeliest reason is that there are too many already.
                places.make_room();
                tokio::time::sleep(bounds.accept_pause).await;
            }
        }
    }
}

/// A place for a new connection; `None` if there is none for this client, or the end came first.
async fn place_for(
    client: ClientAddress,
    site: &Site,
    places: &Arc<Places>,
    mut stop: watch::Receiver<bool>,
) -> Option<Place> {
    tokio::select! {
        () = told_to_stop(&mut stop) => None,
        place = places.take(client, site.is_proxy(client)) => place,
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // Nobody being left who could tell means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
