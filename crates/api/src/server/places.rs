//! Who is connected, and who has to go so that somebody else can come in.
//!
//! Connections that only wait cost their owners nothing, so anybody can hold thousands. When the last place is taken,
//! those that have waited longest without a request under way are closed: a client that has something to ask never
//! stands behind clients that have nothing to ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::bounds::ServerBounds;
use crate::client_address::ClientAddress;

/// Which share of all places is emptied at one time, so that a flood is not paid for with a look at all of them for
/// each newcomer.
const EMPTIED_SHARE: usize = 64;
/// What stands in place of a turn while a request is under way.
const BUSY: u64 = u64::MAX;

/// The places of one listener.
pub(super) struct Places {
    bounds: ServerBounds,
    turn: Arc<AtomicU64>,
    inner: Mutex<Inner>,
    freed: Notify,
}

#[derive(Default)]
struct Inner {
    last_number: u64,
    seats: HashMap<u64, Arc<Seat>>,
    by_neighbour: HashMap<IpAddr, usize>,
}

/// One connection, as others see it.
pub(super) struct Seat {
    neighbour: IpAddr,
    /// When it began to wait, counted in waits of all; [`BUSY`] while it does not.
    waits_since: AtomicU64,
    turn: Arc<AtomicU64>,
    leave: Notify,
}

/// A place that is taken until this goes.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub seat: Arc<Seat>,
}

/// A request under way on a seat.
pub(super) struct Busy<'s>(&'s Seat);

impl Places {
    pub fn new(bounds: ServerBounds) -> Arc<Self> {
        let (turn, inner, freed) = (Arc::default(), Mutex::default(), Notify::new());
        Arc::new(Self { bounds, turn, inner, freed })
    }

    /// A place for a connection of this client, once there is one; `None` if the client has all it may have, and
    /// requests are under way on every one of them.
    pub async fn take(self: &Arc<Self>, client: ClientAddress) -> Option<Place> {
        let neighbour = client.neighbourhood();
        loop {
            {
                let mut inner = self.lock();
                let of_neighbour = inner.by_neighbour.get(&neighbour).copied().unwrap_or_default();
                let is_crowded = of_neighbour >= self.bounds.connections_by_address;
                if !is_crowded && inner.seats.len() < self.bounds.connections {
                    return Some(self.seat(&mut inner, neighbour));
                }
                let emptied = self.empty(&inner, |seat| !is_crowded || seat.neighbour == neighbour);
                if is_crowded && emptied == 0 {
                    return None;
                }
            }
            // A seat may have found something to do just then: look again.
            let _ = timeout(self.bounds.accept_pause, self.freed.notified()).await;
        }
    }

    /// Asks those who have waited longest to go.
    pub fn make_room(&self) {
        self.empty(&self.lock(), |_| true);
    }

    fn seat(self: &Arc<Self>, inner: &mut Inner, neighbour: IpAddr) -> Place {
        inner.last_number += 1;
        let turn = self.turn.clone();
        let waits_since = AtomicU64::new(turn.fetch_add(1, Ordering::Relaxed));
        let seat = Arc::new(Seat { neighbour, waits_since, turn, leave: Notify::new() });
        inner.seats.insert(inner.last_number, seat.clone());
        *inner.by_neighbour.entry(neighbour).or_default() += 1;
        Place { places: self.clone(), number: inner.last_number, seat }
    }

    /// Asks some of those that wait, the longest first; answers how many.
    fn empty(&self, inner: &Inner, may_go: impl Fn(&Seat) -> bool) -> usize {
        let waiting = inner.seats.values().filter(|seat| may_go(seat));
        let mut waiting: Vec<(u64, &Arc<Seat>)> =
            waiting.map(|seat| (seat.waits_since.load(Ordering::Relaxed), seat)).collect();
        waiting.retain(|(since, _)| *since != BUSY);
        let count = (self.bounds.connections / EMPTIED_SHARE).max(1).min(waiting.len());
        if count < waiting.len() {
            waiting.select_nth_unstable_by_key(count, |(since, _)| *since);
        }
        for (_, seat) in &waiting[..count] {
            seat.leave.notify_one();
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.lock();
        inner.seats.remove(&self.number);
        if let Some(count) = inner.by_neighbour.get_mut(&self.seat.neighbour) {
            *count -= 1;
            if *count == 0 {
                inner.by_neighbour.remove(&self.seat.neighbour);
            }
        }
        drop(inner);
        self.places.freed.notify_one();
    }
}

impl Seat {
    /// Notes that a request is under way, until the answer goes.
    pub fn busy(&self) -> Busy<'_> {
        self.waits_since.store(BUSY, Ordering::Relaxed);
        Busy(self)
    }

    pub fn is_busy(&self) -> bool {
        self.waits_since.load(Ordering::Relaxed) == BUSY
    }

    /// Ends when the seat is wanted for somebody else.
    pub async fn is_wanted(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.waits_since.store(self.0.turn.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}
